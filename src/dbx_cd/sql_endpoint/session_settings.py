"""The settings of a session by Databricks SQL's names, given when it opens or by SET and RESET.

They belong to the protocol's session and not to Spark: Spark would take `SET ansi_mode = false` for a name of the
user's own and go on as before, and the time a statement may take is kept by this endpoint. Source of names, values and
defaults: Databricks' documentation, "Configuration parameters" and the page of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from dbx_cd.sql_endpoint.thrift_api import ThriftFault

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MOST_SECONDS = 172_800  # two days, the default of STATEMENT_TIMEOUT

# Atomic and possessive: a statement may begin with any number of comments, and most are no SET.
_COMMENTS = r"(?>\s+|/\*.*?\*/|--[^\n]*(?:\n|\Z))*+"
_SET = re.compile(
    rf"{_COMMENTS}(?P<verb>set|reset)\b(?P<rest>(?>/\*.*?\*/|--[^\n]*(?:\n|\Z)|'[^']*'|\"[^\"]*\"|[^;])*+)(?:;{_COMMENTS})*+",
    re.IGNORECASE | re.DOTALL,
)
_COMMENT_OR_TEXT = re.compile(r"('[^']*'|\"[^\"]*\")|/\*.*?\*/|--[^\n]*", re.DOTALL)
_ASSIGNMENT = re.compile(r"(?P<name>`\w+`|\w+)\s*(?:=\s*(?P<value>.*))?", re.DOTALL)


def _boolean(text: str) -> str:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower()


def _seconds(text: str) -> str:
    if not 0 <= int(text) <= MOST_SECONDS:
        raise ValueError(text)
    return str(int(text))


def _policy(text: str) -> str:
    if text.upper() not in ("LEGACY", "EXCEPTION", "CORRECTED"):
        raise ValueError(text)
    return text.upper()


@dataclass(frozen=True)
class _Setting:
    expected: str
    """What a value has to be, in words."""
    read: Callable[[str], str] = str
    """The value as it is kept; ValueError where it cannot be one."""
    spark_name: str | None = None
    """What Spark calls it; None where Spark has nothing like it."""
    default: str = ""
    """Its value where Spark has nothing like it and nobody has set it."""


_SETTINGS = {
    "ANSI_MODE": _Setting("true or false", _boolean, "spark.sql.ansi.enabled"),
    "LEGACY_TIME_PARSER_POLICY": _Setting(
        "LEGACY, EXCEPTION or CORRECTED", _policy, "spark.sql.legacy.timeParserPolicy"
    ),
    "MAX_FILE_PARTITION_BYTES": _Setting("a number of bytes", spark_name="spark.sql.files.maxPartitionBytes"),
    "STATEMENT_TIMEOUT": _Setting(f"a number of seconds from 0 to {MOST_SECONDS}", _seconds, default=str(MOST_SECONDS)),
    "TIMEZONE": _Setting("a time zone", spark_name="spark.sql.session.timeZone"),
    # These change how fast or how a result travels, never what it is; this endpoint has no such machinery.
    "USE_CACHED_RESULT": _Setting("true or false", _boolean, default="true"),
    "ENABLE_PHOTON": _Setting("true or false", _boolean, default="true"),
    "QUERY_TAGS": _Setting("text"),
}


class SessionSettings:
    """The settings of one session.

    Args:
        spark: the Spark session that only this client uses.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._own: dict[str, str] = {}

    @property
    def timeout(self) -> float | None:
        """Seconds that a statement may take; None for no limit but the client's own."""
        return float(self._own.get("STATEMENT_TIMEOUT", 0)) or None

    def configure(self, configuration: Mapping[str, str]) -> None:
        """Take over what a client asks for when it opens the session; Spark's own names go to Spark.

        Raises:
            ThriftFault: there is no such setting, or it cannot have this value.
        """
        for name, value in configuration.items():
            if name.startswith("spark.thriftserver."):
                continue  # how Spark's own Thrift server sends rows
            if name.startswith("spark."):
                self._spark.conf.set(name, value)
            else:
                self._put(name, value)

    def answer(self, statement: str) -> pa.Table | None:
        """The result of a SET or RESET of these settings, which is done now; None for any other statement.

        Raises:
            ThriftFault: there is no such setting, or it cannot have this value.
        """
        found = _SET.fullmatch(statement)
        if found is None:
            return None
        rest = _COMMENT_OR_TEXT.sub(lambda part: part[1] or " ", found["rest"]).strip()
        if found["verb"].lower() == "reset":
            return self._reset(rest)
        if not rest:
            return self._all()
        assignment = _ASSIGNMENT.fullmatch(rest)
        if assignment is None or assignment["name"].upper() == "PATH":
            return None  # a name of Spark's, with dots; or another statement, such as SET TIME ZONE and SET PATH
        name, value = assignment["name"].strip("`"), assignment["value"]
        if value is not None:
            self._put(name, value.strip())
        return _rows([(name, self._value(name))])

    def _reset(self, name: str) -> pa.Table | None:
        if not name:
            self._own.clear()
            return None  # Spark resets its own
        plain = name.strip("`")
        if re.search(r"\W", plain):
            return None
        setting = _setting(plain)
        self._own.pop(plain.upper(), None)
        if setting.spark_name is not None:
            self._spark.conf.unset(setting.spark_name)
        return pa.table({})

    def _put(self, name: str, text: str) -> None:
        setting, value = _setting(name), _unquoted(text)
        try:
            kept = setting.read(value)
        except ValueError:
            raise ThriftFault(
                f"[INVALID_CONF_VALUE] The value '{value}' in the config \"{name}\" is invalid. "
                f"It should be {setting.expected}. SQLSTATE: 22022",
                sql_state="22022",
            ) from None
        if setting.spark_name is None:
            self._own[name.upper()] = kept
        elif name.upper() == "TIMEZONE" and re.match(r"(local|interval\b.*)$", text, re.IGNORECASE | re.DOTALL):
            self._spark.sql(f"SET TIME ZONE {text}")
        else:
            self._spark.conf.set(setting.spark_name, kept)

    def _value(self, name: str) -> str:
        setting = _setting(name)
        if setting.spark_name is None:
            return self._own.get(name.upper(), setting.default)
        return str(self._spark.conf.get(setting.spark_name))

    def _all(self) -> pa.Table:
        own = [(name, self._value(name)) for name in _SETTINGS]
        return _rows([*own, *((row[0], row[1]) for row in self._spark.sql("SET").collect())])


def _setting(name: str) -> _Setting:
    try:
        return _SETTINGS[name.upper()]
    except KeyError:
        raise ThriftFault(
            f"[CONFIG_NOT_AVAILABLE] Configuration {name} is not available: there is no session setting {name!r}; "
            f"there are {', '.join(_SETTINGS)}. SQLSTATE: 42K0I",
            sql_state="42K0I",
        ) from None


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0] else text


def _rows(pairs: list[tuple[str, str]]) -> pa.Table:
    names, values = zip(*pairs, strict=True)
    return pa.table({"key": pa.array(names, pa.string()), "value": pa.array(values, pa.string())})
