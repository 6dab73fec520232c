"""What changed in one node between two manifests: columns, contract, tests, edges, config and code.

What an environment makes of the same project is no change: where a relation is, and a config value that is written
alike in both and comes out otherwise.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dbx_cd.dbt.artifacts import Node
from dbx_cd.dbt.keys import enforces_contract

_PLACE = ("database", "schema", "alias", "catalog")
"""Config keys that say where a relation is, which differs from target to target."""
_OTHER_KEYS = {
    "constraints": "its constraints",
    "latest_version": "its latest version",
    "access": "its access",
    "arguments": "its arguments",
    "returns": "what it returns",
}
"""Keys of a node that are written in YAML files, in words."""
_MOST_LINES = 200


@dataclass(frozen=True)
class ColumnChange:
    """One column that was added, removed, or has another type."""

    name: str
    """The column's name."""
    before: str | None
    """The type it had; "" where it is not declared, None where there was no such column."""
    after: str | None
    """The type it has; "" where it is not declared, None where there is no such column."""

    def __str__(self) -> str:
        if self.before is None:
            return f"+ column {self.name} {self.after}".rstrip()
        if self.after is None:
            return f"- column {self.name} {self.before}".rstrip()
        return f"~ column {self.name}: {self.before or 'no type'} → {self.after or 'no type'}"


@dataclass(frozen=True)
class ConfigChange:
    """One config key with another value."""

    key: str
    """The key."""
    before: str
    """The value it had, as JSON; "" where it was not set."""
    after: str
    """The value it has, as JSON; "" where it is not set."""

    def __str__(self) -> str:
        return f"~ {self.key}: {self.before or 'not set'} → {self.after or 'not set'}"


@dataclass(frozen=True)
class CodeDiff:
    """A text as it was and as it is."""

    lines: tuple[str, ...] = ()
    """The lines of a unified diff, without the names of files."""
    left_out: int = 0
    """How many further lines it has."""

    @classmethod
    def of(cls, before: str, after: str, *, most: int = _MOST_LINES) -> CodeDiff:
        """The difference of two texts, at most so many lines of it."""
        if before == after:
            return cls()
        lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3))[2:]
        return cls(tuple(lines[:most]), max(0, len(lines) - most))

    def shortened(self, most: int) -> CodeDiff:
        """The same with no more lines than that."""
        return CodeDiff(self.lines[:most], self.left_out + max(0, len(self.lines) - most))


@dataclass(frozen=True)
class NodeDiff:
    """What changed in one node, and in the tests that are attached to it."""

    unique_id: str
    """dbt's own id of the node."""
    change: str
    """`added`, `removed`, `modified`, or `unchanged` where only its tests changed, or what the same code reads."""
    columns: tuple[ColumnChange, ...] = ()
    """Columns that were added, removed or have another type."""
    contract: str = ""
    """What became of an enforced contract: `added`, `removed` or `changed`; "" where it is as it was."""
    tests: tuple[str, ...] = ()
    """Its tests that were added (`+ `), removed (`- `) or changed (`~ `), each in words."""
    parents_added: tuple[str, ...] = ()
    """What it reads now and did not read before, by unique id."""
    parents_removed: tuple[str, ...] = ()
    """What it does not read any more."""
    config: tuple[ConfigChange, ...] = ()
    """The config keys that changed, but for the contract's."""
    macros: tuple[str, ...] = ()
    """The macros it uses, through others too, that changed."""
    others: tuple[str, ...] = ()
    """What else changed, in words, such as the documentation of columns."""
    sql: CodeDiff = CodeDiff()
    """Its code as it is written."""

    @property
    def name(self) -> str:
        """The node's own id without the project: `model orders`."""
        kind, _, *rest = self.unique_id.split(".")
        return f"{kind} {'.'.join(rest)}"

    @property
    def lines(self) -> tuple[str, ...]:
        """What changed but for the code, a line each; the first character says how."""
        contract = {"added": "+ contract enforced", "removed": "- contract enforced", "changed": "~ contract"}
        return (
            *map(str, self.columns),
            *([contract[self.contract]] if self.contract else []),
            *(f"{test[0]} test {test[2:]}" for test in self.tests),
            *(f"+ reads {parent}" for parent in self.parents_added),
            *(f"- reads {parent}" for parent in self.parents_removed),
            *map(str, self.config),
            *(f"~ uses {macro}" for macro in self.macros),
            *(f"~ {other}" for other in self.others),
        )


def columns_of(node: Node, catalog: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """The types of a node's columns: those of the catalog where that knows it, else as documented."""
    if node.unique_id in catalog:
        return catalog[node.unique_id]
    return {name: str(column.get("data_type") or "") for name, column in node.columns.items()}


def column_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[ColumnChange, ...]:
    """Columns whose type is another; names are compared as Spark does, without regard to case."""
    old, new = ({name.lower(): (name, kind) for name, kind in side.items()} for side in (before, after))
    changes = []
    for key in [*new, *(key for key in old if key not in new)]:
        was, now = old.get(key), new.get(key)
        if was is None or now is None or was[1].lower() != now[1].lower():
            changes.append(ColumnChange((now or was or ("", ""))[0], was and was[1], now and now[1]))
    return tuple(changes)


def contract_change(old: Node, new: Node) -> str:
    """What became of the enforced contract."""
    before, after = enforces_contract(old), enforces_contract(new)
    if before != after:
        return "added" if after else "removed"
    checksums = [(node.raw.get("contract") or {}).get("checksum") for node in (old, new)]
    return "changed" if after and checksums[0] != checksums[1] else ""


def config_changes(old: Node, new: Node) -> tuple[tuple[ConfigChange, ...], bool]:
    """The config keys that changed, and whether others differ only by the environment."""
    changes, by_environment = [], False
    for key in sorted({*old.config, *new.config}):
        before, after = (_plain(node.config.get(key)) for node in (old, new))
        written = [(node.raw.get("unrendered_config") or {}).get(key) for node in (old, new)]
        if key in _PLACE:
            if written[0] != written[1] and not _written_in_code(old, new, key):
                changes.append(ConfigChange(key, _text(written[0]), _text(written[1])))
        elif before != after:
            if (written[0] is not None and written[0] == written[1]) or _written_in_code(old, new, key):
                by_environment = True
            elif key != "contract" or enforces_contract(old) == enforces_contract(new):
                changes.append(ConfigChange(key, _text(before), _text(after)))
    return tuple(changes), by_environment


def other_changes(old: Node, new: Node) -> tuple[str, ...]:
    """Changes that have no place of their own, in words."""
    found = []
    for name in sorted(old.columns.keys() & new.columns.keys()):
        before, after = (
            {key: plain for key, value in node.columns[name].items() if (plain := _written(key, value)) is not None}
            for node in (old, new)
        )
        keys = sorted(key for key in {*before, *after} - {"data_type"} if before.get(key) != after.get(key))
        if keys:
            found.append(f"{' and '.join(keys)} of column {name}")
    # An object of name and checksum for most nodes, bare text for unit tests (measured, dbt 1.11).
    same_lines = code_of(old).splitlines() == code_of(new).splitlines()
    if same_lines and _plain(old.raw.get("checksum")) != _plain(new.raw.get("checksum")):
        found.append("its file")
    if old.raw.get("test_metadata") != new.raw.get("test_metadata"):
        found.append("its arguments")
    if old.raw.get("identifier") != new.raw.get("identifier"):
        found.append(f"its table: {old.raw.get('identifier')} → {new.raw.get('identifier')}")
    for key, words in _OTHER_KEYS.items():
        if _written(key, old.raw.get(key)) != _written(key, new.raw.get(key)):
            found.append(words)
    for key in ("unrendered_database", "unrendered_schema"):
        if old.raw.get(key) and new.raw.get(key) and old.raw[key] != new.raw[key]:
            found.append(f"its {key.removeprefix('unrendered_')}: {old.raw[key]} → {new.raw[key]}")
    return tuple(found)


def code_of(node: Node) -> str:
    """The code as it is written."""
    return str(node.raw.get("raw_code") or "")


def test_in_words(node: Node) -> str:
    """A test with what it is given: `unique(id)`, or the name of one written in SQL."""
    if node.test is None:
        return node.name
    arguments = {k: v for k, v in (node.test.get("kwargs") or {}).items() if k != "model"}
    column = arguments.pop("column_name", None)
    given = [str(column)] if column else []
    given += [f"{key}={value if isinstance(value, str) else _text(value)}" for key, value in sorted(arguments.items())]
    return f"{node.test.get('name')}({', '.join(given)})"


def same_test(node: Node) -> tuple[tuple[str, ...], str, str]:
    """What makes two tests the same one with other arguments: what it is attached to, its name and its column."""
    test = node.test or {}
    return attached(node), str(test.get("name") or node.name), str((test.get("kwargs") or {}).get("column_name") or "")


def attached(node: Node) -> tuple[str, ...]:
    """The nodes that a test is about: the one it is declared at, else all that it reads."""
    declared = node.raw.get("attached_node")
    return (str(declared),) if declared else node.depends_on


def _written_in_code(old: Node, new: Node, key: str) -> bool:
    """Whether a key is set in the code itself, which is the same: its value comes from the environment."""
    code = code_of(old)
    return code == code_of(new) and re.search(rf"\b{re.escape(key)}\s*=", code) is not None


def _written(key: str, value: Any) -> Any:
    """A value as it was written: dbt puts the relation of this target into `to` of a foreign key."""
    if key == "constraints":
        value = [
            {inner: _last_name(v) if inner == "to" else v for inner, v in constraint.items()}
            for constraint in value or ()
        ]
        value = [_plain(constraint) for constraint in value]
    return _plain(value)


def _last_name(relation: Any) -> str | None:
    """The last name in `catalog.schema.name`, quoted or not, or in `ref('name')`."""
    return re.findall(r"\w+", relation)[-1] if relation else None


def _plain(value: Any) -> Any:
    """A value without its empty parts: another version of dbt writes more of those."""
    if isinstance(value, Mapping):
        value = {key: plain for key, inner in value.items() if (plain := _plain(inner)) is not None}
    return None if value is None or value in ("", [], {}) else value


def _text(value: Any) -> str:
    return "" if value is None else json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
