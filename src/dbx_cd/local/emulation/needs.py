"""What rights a statement needs: declared by its entry in the table, and asked for in one place, before it runs.

The rights are those that the Databricks SQL reference and "Unity Catalog privileges reference" name:

- ALTER TABLE: MODIFY for ALTER COLUMN and table properties, MANAGE or ownership for SET OWNER TO, "all other operations
  require ownership of the table" (ALTER TABLE, "Required permissions"), keys and clustering among them. Who drops a
  primary key with CASCADE must own the tables whose foreign keys go with it (table constraints of the REST API).
- MODIFY lets write "if the user also has SELECT on the table": both are asked for where a statement reads it to do so.
- SET TAGS and UNSET TAGS: APPLY TAG, which an owner has.
- COMMENT ON: MODIFY on a table, ownership of a view, MANAGE on anything else.
- Clones: SELECT on the source, CREATE TABLE on the schema, and MANAGE on a table that is replaced, as wherever one is.
- To look at an object: SELECT on it ("Explore database objects"), or BROWSE, or any other privilege on it.
- CREATE CATALOG: CREATE CATALOG on the metastore; DROP of anything: MANAGE, which owners have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from dbx_cd.local.emulation.catalog_bridge import CatalogBridge
from dbx_cd.local.emulation.matched_statement import Statement

OWNERSHIP = "OWNERSHIP"
"""In place of a privilege: to be the owner, for which MANAGE is not enough."""


@dataclass(frozen=True)
class Condition:
    """When something is needed."""

    words: str
    """As docs/fidelity.md says it."""
    applies: Callable[[Statement], bool]
    """Whether it is so for a statement."""


@dataclass(frozen=True)
class Objects:
    """Objects that a statement does not simply name in one of its parts."""

    words: str
    """As docs/fidelity.md says it."""
    names: Callable[[Statement], Iterable[list[str]]]
    """The names in a statement, as parts."""


@dataclass(frozen=True)
class Need:
    """A privilege on an object, and USE CATALOG and USE SCHEMA on the way to it."""

    privilege: str
    """One of Unity Catalog's, or OWNERSHIP."""
    kind: str
    """METASTORE, CATALOG, SCHEMA, TABLE (a view, too), VOLUME or FUNCTION."""
    on: str | Objects = "name"
    """The part of the statement that names the object, or a function that finds it."""
    seeing: bool = False
    """Whether it is enough to be told of the object: by BROWSE on its catalog or any privilege on it."""
    where: Condition | None = None
    """When it is needed, if not always."""

    def __str__(self) -> str:
        name = f"`{self.on}`" if isinstance(self.on, str) else self.on.words
        place = self.kind.lower() if self.kind == "METASTORE" else f"{self.kind.lower()} {name}"
        text = f"to own the {place}" if self.privilege == OWNERSHIP else f"{self.privilege} on the {place}"
        if self.seeing:
            text += " (or any other privilege on it, or BROWSE)"
        return text if self.where is None else f"{text} {self.where.words}"

    def require(self, statement: Statement) -> None:
        """Refuse a statement whose user lacks it; on what does not exist only the way to it is needed."""
        if self.where is None or self.where.applies(statement):
            for name in self._names(statement):
                require(statement.bridge, self, name)

    def _names(self, statement: Statement) -> Iterable[list[str]]:
        if self.kind == "METASTORE":
            return [[]]
        return [statement.parts(self.on)] if isinstance(self.on, str) else self.on.names(statement)


Needs: TypeAlias = tuple[Need, ...] | str
"""What is needed; or, in words, why nothing is asked for before the statement runs."""


def require(bridge: CatalogBridge, need: Need, name: list[str]) -> None:
    """Ask the rights of the session's user for one thing.

    Args:
        bridge: the Java catalog, for the session.
        need: the privilege, and the kind of the object.
        name: the object, by one to three parts; none for the metastore.

    Raises:
        AnalysisException: INSUFFICIENT_PERMISSIONS, which names what is missing.
    """
    bridge.call("require", need.privilege, need.kind, name, need.seeing, of="StatementRights")


def require_all(statement: Statement, needs: Needs) -> None:
    """Refuse a statement whose user lacks something of what it needs."""
    if not isinstance(needs, str):
        for need in needs:
            need.require(statement)


def seen(statement: Statement, kind: str, names: Iterable[list[str]]) -> list[list[str]]:
    """Those of the objects that the session's user is told of."""
    return [list(name) for name in statement.bridge.call("seen", kind, list(names), of="StatementRights")]


def schema_of(statement: Statement) -> list[list[str]]:
    """The schema of the relation that is named."""
    return [list(statement.bridge.call("qualify", statement.parts("name")))[:-1]]


SCHEMA_OF_NAME = Objects("of `name`", schema_of)
NOT_TEMPORARY = Condition(
    "unless it is a temporary view",
    lambda statement: not statement.bridge.call("isTemporaryView", statement.parts("name")),
)
OF_VIEW = Condition("if it is a view", lambda statement: statement.bridge.call("isView", statement.parts("name")))
OF_TABLE = Condition("if it is a table", lambda statement: not statement.bridge.call("isView", statement.parts("name")))
