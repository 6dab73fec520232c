"""Which node a name means, as dbt's `ref` and its node selection read it.

Read in dbt-core 1.11: `RefableLookup` and `_packages_to_search` in `contracts/graph/manifest.py`, `is_selected_node` in
`graph/selector_methods.py`. What dbt takes by the order of its manifest is ambiguous here, and refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

from dbx_cd.errors import DbxCdError


class Named(Protocol):
    """What a node says of its own name."""

    @property
    def unique_id(self) -> str:
        """dbt's own id."""

    @property
    def name(self) -> str:
        """The name that `ref` takes, without a version."""

    @property
    def package(self) -> str:
        """The dbt package that defines it."""

    @property
    def version(self) -> str | None:
        """The version of a versioned model."""

    @property
    def is_latest(self) -> bool:
        """Whether the name without a version means it."""


Node = TypeVar("Node", bound=Named)


def named(
    nodes: Iterable[Node], name: str, *, root: str, package: str | None = None, version: object = None
) -> Node | None:
    """The node that a name means in the root project; None when there is none.

    Without a version a name means the latest one. The root project's node goes before those of its packages.

    Args:
        nodes: what may be meant.
        name: `people`, `people.v2` or `people_v2`, each also after its package (`shop.people`); or a unique id.
        root: the name of the root project.
        package: the package, as the first of `ref`'s two arguments.
        version: the version, as `ref`'s argument `v` or `version`.

    Raises:
        DbxCdError: it may mean several; the message names them.
    """
    wanted = name if version is None else f"{name}.v{version}"
    candidates = [n for n in nodes if package in (None, n.package)]
    for names_of in (ref_names, _with_package, _underscored, lambda n: (n.unique_id,)):
        found = [n for n in candidates if wanted in names_of(n)]
        found = [n for n in found if n.package == root] or found
        if len(found) > 1:
            raise DbxCdError(
                f"the name `{wanted}` is ambiguous: it may mean {', '.join(sorted(n.unique_id for n in found))}",
                next_step="write the package before it, as in `package.model`, or one of these ids instead",
            )
        if found:
            return found[0]
    return None


def all_names(node: Named) -> Collection[str]:
    """Every name by which dbt's node selection finds a node, but for its unique id: that without a version, too."""
    return {node.name, f"{node.package}.{node.name}", *ref_names(node), *_with_package(node), *_underscored(node)}


def numbered(node: Named) -> str:
    """A node's name; of a versioned model with its version, as in `people.v2`."""
    return node.name if node.version is None else f"{node.name}.v{node.version}"


def ref_names(node: Named) -> Collection[str]:
    """The names by which `ref` finds a node: with its version if it has one, and without if it is the latest."""
    own = numbered(node)
    return (node.name, own) if node.is_latest and node.version is not None else (own,)


def _with_package(node: Named) -> Collection[str]:
    return [f"{node.package}.{name}" for name in ref_names(node)]


def _underscored(node: Named) -> Collection[str]:
    if node.version is None:
        return ()
    return (f"{node.name}_v{node.version}", f"{node.package}.{node.name}_v{node.version}")
