"""What `setup.grants` lists, for the places and identities of one project: whose names the files say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from dbx_cd.relations import split_name
from dbx_cd.setup.check.scene import Scene
from dbx_cd.setup.grants import APPROVERS, JOB, Grant
from dbx_cd.setup.places import places_of

_INSTALLED = ("wheel", "requirements")


@dataclass(frozen=True)
class NeededGrant:
    """One statement for one identity."""

    principal: str
    """Who needs it."""
    is_group: bool
    """Whether that is a group."""
    grant: Grant
    """What it needs."""

    @property
    def kind(self) -> str:
        """The object's kind."""
        return self.grant.on.partition(" ")[0]

    @property
    def name(self) -> str:
        """The object's name, as the API takes it."""
        name = self.grant.on.partition(" ")[2]
        return ".".join(split_name(name)) or name

    @property
    def statement(self) -> str:
        """The statement that an administrator runs."""
        return self.grant.sql(self.principal)


def needed_grants(scene: Scene) -> Iterator[NeededGrant]:
    """What the job's identity and the approvers need; the latter are a group, the former whom the job runs as."""
    manifests = {}
    for target in scene.looked_at:
        with suppress(Exception):  # the check of the parse says why
            manifests[target] = scene.lists(target).manifest
    variables = scene.written.variables if scene.written is not None else {}
    places = places_of(
        scene.config,
        catalogs={target: scene.output(target).catalog for target in scene.looked_at},
        manifests=manifests,
        packages=[str(variables[name]) for name in _INSTALLED if name in variables],
    )
    principals = {JOB: (scene.run_as, False), APPROVERS: (scene.config.approvers, True)}
    for grant in places.grants():
        principal, is_group = principals.get(grant.who, ("", False))
        if principal:
            yield NeededGrant(principal, is_group, grant)
