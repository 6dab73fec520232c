"""What `setup.grants` lists, for the places and identities of one project: whose names the files say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.relations import quote, split_name
from dbx_cd.setup.check_scene import Scene
from dbx_cd.setup.grants import APPROVERS, JOB, Places
from dbx_cd.setup.places import places_of


@dataclass(frozen=True)
class NeededGrant:
    """One statement for one identity."""

    principal: str
    """Who needs it."""
    is_group: bool
    """Whether that is a group."""
    privileges: tuple[str, ...]
    """The privileges, as SQL writes them."""
    on: str
    """Kind and quoted name of the object."""

    @property
    def kind(self) -> str:
        """The object's kind."""
        return self.on.partition(" ")[0]

    @property
    def name(self) -> str:
        """The object's name, as the API takes it."""
        name = self.on.partition(" ")[2]
        return ".".join(split_name(name)) or name

    @property
    def statement(self) -> str:
        """The statement that an administrator runs."""
        return f"GRANT {', '.join(self.privileges)} ON {self.on} TO {quote(self.principal)}"


def needed_grants(scene: Scene) -> Iterator[NeededGrant]:
    """What the job's identity and the approvers need; the latter are a group, the former whom the job runs as."""
    principals = {JOB: (scene.run_as, False), APPROVERS: (scene.config.approvers, True)}
    for grant in project_places(scene).grants():
        principal, is_group = principals.get(grant.who, ("", False))
        if principal:
            yield NeededGrant(principal, is_group, grant.privileges, grant.on)


def project_places(scene: Scene) -> Places:
    """Where the project keeps things: by its settings, its profile, and what dbt could parse of it."""
    catalogs = {target: scene.output(target).catalog for target in scene.looked_at}
    return places_of(scene.config, catalogs=catalogs, manifests=dict(_manifests(scene)))


def _manifests(scene: Scene) -> Iterator[tuple[str, Manifest]]:
    for target in scene.looked_at:
        with suppress(Exception):  # the check of the parse says why
            yield target, scene.lists(target).manifest
