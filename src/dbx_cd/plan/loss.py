"""What a build takes from production: one record a loss, with the name by which somebody consents to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from dbx_cd.relations import RelationName

LossKind = Literal[
    "taken_over",
    "table_replaced",
    "format_changed",
    "full_refresh",
    "column_dropped",
    "column_narrowed",
    "column_retyped",
    "column_moved",
    "column_unfilled",
    "contract_removed",
    "contract_narrowed",
    "keys_dropped",
    "grants_dropped",
    "tags_dropped",
    "protection_dropped",
    "orphan",
    "orphan_dropped",
    "build_refused",
]


@dataclass(frozen=True)
class Loss:
    """Something that production has, and will not have, or not as it is, after a build."""

    name: str
    """What somebody types to consent to it, such as `prod.shop.orders: column discount`; no other loss has it."""
    kind: LossKind
    """What sort of loss it is."""
    relation: str
    """The relation that loses it, as `catalog.schema.name`."""
    detail: str
    """What happens, in one line."""
    destructive: bool
    """Whether something is gone, so that somebody has to consent to it by name; False for what is only said."""
    readers: tuple[str, ...] = ()
    """The models and snapshots that read the relation, directly or through others, such as `model orders_summary`."""
    exposures: tuple[str, ...] = ()
    """The dashboards and other uses outside of dbt that depend on it, with their owners and addresses."""
    column: str = ""
    """The column that it is about, in lower case; "" where it is about the relation."""

    def __str__(self) -> str:
        read_by = [*self.exposures, *self.readers]
        return f"{self.name}: {self.detail}" + (f"; read by {', '.join(read_by)}" if read_by else "")


def loss(
    relation: RelationName, kind: LossKind, what: str, detail: str, *, destructive: bool = True, column: str = ""
) -> Loss:
    """A loss of a relation, whose readers are not known yet.

    Args:
        relation: the relation that loses something.
        kind: what sort of loss.
        what: what is lost, such as `column discount`.
        detail: what happens, in one line.
        destructive: whether somebody has to consent to it.
        column: the column that it is about.
    """
    line = " ".join(detail.split())
    return Loss(_copyable(f"{relation}: {what}"), kind, str(relation), line, destructive, column=column.lower())


def _copyable(name: str) -> str:
    """A name that survives a list with commas and a line of text: what would end it is written as in an address."""
    return "".join(quote(c) if c in ",%" or (c.isspace() and c != " ") else c for c in name).strip()
