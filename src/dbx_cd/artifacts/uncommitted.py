"""What a working tree has and the commit that is released from it has not: a release is made of a commit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dbx_cd.artifacts.checkout import Checkout, head_of
from dbx_cd.config import FILE_NAME
from dbx_cd.enumeration import listed
from dbx_cd.errors import ConfigError

_SHOWN = 10


def uncommitted(folder: Path, *, commit: str, but: Sequence[Path] = (), project: Path | None = None) -> tuple[str, ...]:
    """The files around a folder that are not as its newest commit has them, by their names in the repository.

    Args:
        folder: a folder in a working tree.
        commit: the full SHA that is released, in any case; where the tree is not at it, nobody takes the tree for the
            release.
        but: folders to leave out, such as one that tools write to.
        project: the folder of the dbt project, where it is known.

    Returns:
        The names, `dbx_cd.yml` and what else is in the project first, since that changes what is built; none
        where the folder is in no git repository, or git does not answer.
    """
    place = folder.resolve()
    try:
        if head_of(place) != commit.lower():
            return ()
        tree = Checkout.around(place)
    except ConfigError:
        return ()
    left_out = [path.resolve() for path in but]
    names = [name for name in tree.changed if not any((tree.root / name).is_relative_to(path) for path in left_out)]

    def order(name: str) -> tuple[bool, bool, str]:
        path = tree.root / name
        return path.name != FILE_NAME, project is not None and not path.is_relative_to(project.resolve()), name

    return tuple(sorted(names, key=order))


def uncommitted_in_words(names: Sequence[str]) -> str:
    """One sentence for whoever starts the release; "" for no names.

    A name that cannot be printed, for a line break or for bytes that are no UTF-8, is written with escapes.
    """
    if not names:
        return ""
    return f"not in this release, since not committed: {listed([_printable(name) for name in names], most=_SHOWN)}"


def _printable(name: str) -> str:
    decoded = os.fsencode(name).decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in decoded)
