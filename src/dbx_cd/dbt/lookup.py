"""Looking up by name what should be there: refused where it is not, with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from dbx_cd.dbt.artifacts import BUILT_TYPES, Manifest, Node
from dbx_cd.dbt.names import all_names
from dbx_cd.errors import DbxCdError


class NoSuchName(DbxCdError):
    """Nothing has the name."""


def require_model(
    manifest: Manifest, name: str, *, of: str = "the project", package: str | None = None, version: object = None
) -> Node:
    """The model, seed or snapshot that a name means, see `Manifest.by_name`.

    Args:
        manifest: what may be meant.
        name, package, version: as for `Manifest.by_name`.
        of: whose manifest it is, for the message.

    Raises:
        NoSuchName: there is none; the message suggests the nearest name.
        DbxCdError: it may mean several; the message names them.
    """
    node = manifest.by_name(name, package=package, version=version)
    if node is not None:
        return node
    wanted = ".".join(filter(None, (package, name, f"v{version}" if version is not None else None)))
    raise NoSuchName(
        f"{of} has no model `{wanted}`{nearest_model(manifest, wanted)}",
        next_step="name a model, seed or snapshot as `ref` does: `orders`, `orders.v2` or `package.orders`",
    )


def require_source(manifest: Manifest, name: str, table: str) -> Node:
    """The source table that `source()` means in the root project, see `Manifest.source`.

    Raises:
        NoSuchName: there is none; the message suggests the nearest name.
        DbxCdError: it may mean several; the message names them.
    """
    node = manifest.source(name, table)
    if node is not None:
        return node
    sources = (n for n in manifest.nodes.values() if n.resource_type == "source")
    near = _nearest(f"{name}.{table}", (f"{n.raw.get('source_name')}.{n.name}" for n in sources))
    raise NoSuchName(
        f"the project has no source `{name}.{table}`{near}", next_step="write `source('name', 'table')` as in a model"
    )


def nearest_model(manifest: Manifest, wanted: str) -> str:
    """The end of a message about a model that is not there: the nearest name; "" where none is near."""
    built = (n for n in manifest.nodes.values() if n.resource_type in BUILT_TYPES)
    return _nearest(wanted, (name for node in built for name in all_names(node)))


def _nearest(wanted: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(wanted, set(names), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""
