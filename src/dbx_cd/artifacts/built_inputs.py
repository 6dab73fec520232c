"""From what each relation of a target was built: written beside the artifacts of a build, so that a later one can tell.

A file and no event of the log: it is as long as the project, and it is of exactly these artifacts. Which of them are in
place is known already, also after a release was brought back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from dbx_cd import volume
from dbx_cd.artifacts.version import write_json
from dbx_cd.dbt.json_files import read_json
from dbx_cd.errors import ArtifactError, DbxCdError
from dbx_cd.records import Record
from dbx_cd.volume import Unreachable

if TYPE_CHECKING:
    from dbx_cd.artifacts.version import ArtifactVersion

INPUTS_NAME = "built_inputs.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InputVersion:
    """What a relation was when it was read, or when it was built."""

    relation: str
    """Its `RelationName.key`."""
    version: int | None = None
    """The version of its Delta table; None where it has none, and then it may have new data at any time."""
    at: datetime | None = None
    """When that was committed."""
    mark: str = ""
    """The mark of that commit; of a view or a function a digest of its text."""

    @property
    def is_known(self) -> bool:
        """Whether it can be told later that it is still the same."""
        return bool(self.mark)


@dataclass(frozen=True)
class NodeInputs:
    """From what one node's relation was built."""

    inputs: tuple[InputVersion, ...] = ()
    """What it read outside of what is built, as of the start of the build."""
    doubts: tuple[str, ...] = ()
    """Why the same inputs need not give the same rows again, in words: it reads the clock, ..."""
    left: InputVersion | None = None
    """What its relation or function was after the build."""


@dataclass(frozen=True)
class BuiltInputs(Record):
    """From what the relations of a target were built that a build made, or that it found as it would have made them."""

    KIND: ClassVar[str] = "built_inputs"

    target: str
    """The dbt target."""
    nodes: Mapping[str, NodeInputs] = field(default_factory=dict)
    """By unique id. What is not here was not selected, or nobody knows from what it was built."""
    kept: tuple[str, ...] = ()
    """The unique ids of those that this build found unchanged and did not build."""
    touched: tuple[str, ...] | None = None
    """Of a build that failed: the keys of the relations that it may have changed; None where that is not known."""

    def __str__(self) -> str:
        return f"from what {len(self.nodes)} relations of {self.target} were built"

    def write(self, folder: Path) -> None:
        """Write it beside what a build left."""
        write_json(folder / INPUTS_NAME, self.to_dict())

    @classmethod
    def of(cls, version: ArtifactVersion | None) -> Self | None:
        """What is written beside artifacts; None where nothing is, or nothing that can be understood.

        Raises:
            Unreachable: it cannot be read now.
        """
        if version is None or INPUTS_NAME not in version.files or not volume.is_file(version.path / INPUTS_NAME):
            return None
        try:
            return cls.read(read_json(version.path / INPUTS_NAME))
        except Unreachable:
            raise
        except (ArtifactError, DbxCdError) as exc:
            _log.warning("from what %s was built is not known: %s", version, exc)
            return None


def kept_by(version: ArtifactVersion) -> frozenset[str]:
    """The unique ids of what a build selected, found unchanged, and left as it stood.

    Raises:
        Unreachable: it cannot be read now.
    """
    inputs = BuiltInputs.of(version)
    return frozenset() if inputs is None else frozenset(inputs.kept)
