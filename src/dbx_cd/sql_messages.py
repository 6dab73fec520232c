"""What Databricks says where a statement or a file is refused: in one line, which right is missing, and its grant.

Unity Catalog's texts, as its users report them: `[INSUFFICIENT_PERMISSIONS] Insufficient privileges:`, a line end, and
`User does not have USE CATALOG on Catalog 'ops'. SQLSTATE: 42501` (databricks-apps-cookbook issue 18, dbt-fusion issue
500); `UnauthorizedAccessException: PERMISSION_DENIED: User does not have USE SCHEMA on Schema 'ops.dbt_meta'.` (ibis
issue 9038); `User is not an owner of Table 'prod.shop.orders'.`
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dbx_cd.relations import quote

SETUP = "python -m dbx_cd setup"
"""The command that prints every grant."""

_PARTS = {"METASTORE": 0, "CATALOG": 1, "SCHEMA": 2, "TABLE": 3, "VOLUME": 3, "FUNCTION": 3}
_KINDS = {"VIEW": "TABLE", "DATABASE": "SCHEMA", "ROUTINE OR MODEL": "FUNCTION", "ROUTINE": "FUNCTION"}
_OBJECT = (
    r"(?P<kind>Metastore|Catalog|Schema|Database|Table|View|Volume|Function|Routine or Model|Routine)"
    r"\s+'(?P<name>[^']+)'"
)
_MISSING = re.compile(
    rf"User (?:does not have (?P<privileges>[A-Z]+(?:[ ,_]+(?:and )?[A-Z]+)*)|is not an owner of)"
    rf"(?(privileges) on) {_OBJECT}"
)


@dataclass(frozen=True)
class MissingRight:
    """One thing that somebody may not do, by what a message says of it."""

    privileges: tuple[str, ...]
    """The privileges, as SQL writes them; none where the object has to be owned."""
    kind: str
    """The kind of the object, as SQL writes it."""
    name: str
    """The object's name, as the message has it."""

    def grant(self, to: str | None) -> str | None:
        """The statement that gives it; None where none does, or the message does not say on what.

        Args:
            to: to whom; None for whoever was refused.
        """
        parts = self.name.split(".") if self.kind != "METASTORE" else []
        if not self.privileges or len(parts) != _PARTS[self.kind]:  # a name may have dots in it
            return None
        on = " ".join([self.kind, *filter(None, [".".join(map(quote, parts))])])
        return f"GRANT {', '.join(self.privileges)} ON {on} TO {'<who this runs as>' if to is None else quote(to)}"

    def __str__(self) -> str:
        if not self.privileges:
            return f"ownership of {self.kind} {self.name}"
        return f"{', '.join(self.privileges)} on {self.kind} {self.name}"


def missing_rights(text: str) -> tuple[MissingRight, ...]:
    """What a message says that somebody lacks, each thing once; nothing where it is about something else."""
    return tuple(dict.fromkeys(_missing(text)))


def _missing(text: str) -> Iterator[MissingRight]:
    for found in _MISSING.finditer(text):
        privileges = re.split(r"\s*,\s*|\s+and\s+", (found["privileges"] or "").replace("_", " "))
        kind = found["kind"].upper()
        yield MissingRight(tuple(filter(None, privileges)), _KINDS.get(kind, kind), found["name"])


def step_to_rights(text: str, *, who: str | None = None) -> str | None:
    """What to do about a message that names a missing right; None where it names none.

    Args:
        text: the message.
        who: whom the platform refused, where that is known.
    """
    missing = missing_rights(text)
    grants = [grant for right in missing if (grant := right.grant(who)) is not None]
    steps = [f"let an administrator run {'; '.join(grants)}"] if grants else []
    owned = [right for right in missing if not right.privileges]
    if owned:
        steps.append(f"let an owner of {', '.join(right.name for right in owned)} do it, or get ownership")
    if missing and not steps:
        steps.append(f"get {', '.join(map(str, missing))}")
    return f"{'; '.join(steps)} (`{SETUP}` prints every grant that is needed)" if steps else None


def step_to_volume(path: str) -> str | None:
    """What to do where the files of a volume may not be used; None for a path that is on none."""
    parts = path.split("/")
    if parts[:2] != ["", "Volumes"] or len(parts) < 5:
        return None
    grant = MissingRight(("READ VOLUME", "WRITE VOLUME"), "VOLUME", ".".join(parts[2:5])).grant(None)
    return f"let an administrator run {grant}, with USE CATALOG and USE SCHEMA (`{SETUP}` prints every grant)"


def first_line(text: str) -> str:
    """The first line of a database's message, with the next one where it only announces that."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return ""
    return f"{lines[0]} {lines[1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]
