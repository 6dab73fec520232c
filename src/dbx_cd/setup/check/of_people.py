"""Checks of who is who: as whom the workspace is asked, and who may approve."""

from __future__ import annotations

from collections.abc import Iterator

from dbx_cd.approval.approver import is_member
from dbx_cd.enumeration import listed
from dbx_cd.people import same_person
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped, warn
from dbx_cd.setup.check.scene import Scene
from dbx_cd.setup.check.workspace_people import members_of

_SHOWN = 10


def identity(scene: Scene) -> Iterator[CheckLine]:
    """As whom all the rest is asked."""
    me, runs_as = scene.me, scene.run_as
    if runs_as and not same_person(me, runs_as):
        yield ok(me, f"asks; the job runs as {runs_as}, whose own rights are known only as far as {me} may see them")
    else:
        yield ok(me, "asks" + (", which is whom the job runs as" if runs_as else ""))


def approvers(scene: Scene) -> Iterator[CheckLine]:
    """The group is there, somebody is in it, and the Workflow itself is not."""
    group = scene.config.approvers
    members = members_of(scene.client, group)
    if members is None:
        yield fail(
            group,
            "there is no such group, or this identity may not see it",
            next_step="make it, assign it to the workspace, and add who may approve; or name another as `approvers`",
        )
        return
    if not members:
        yield fail(group, "nobody is in it, so nobody can approve", next_step="add who may approve to the group")
        return
    names = [f"{m.name} (a group)" if m.is_group else m.name for m in members]
    yield ok(group, f"{len(members)} members: {listed(names, most=_SHOWN)}")
    if len(members) == 1 and not members[0].is_group:
        yield warn(
            group,
            f"{names[0]} is alone in it: what they start nobody may approve, and nothing while they are away",
            next_step="add a second person: whoever starts a release may not approve it",
        )
    yield from _workflow_itself(scene, group)


def _workflow_itself(scene: Scene, group: str) -> Iterator[CheckLine]:
    for name, who in {scene.run_as: "the job runs as", scene.starter: "starts the releases"}.items():
        if not name:
            continue
        inside = is_member(scene.client, name, group=group)
        if inside:
            step = f"take it out of {group}: approvals are for people, and not for who makes what is approved"
            clause = f"{who} {name}, which is in it" if who.endswith("as") else f"{name} {who} and is in it"
            yield (fail if who.endswith("as") else warn)(group, clause, next_step=step)
        elif inside is None:
            yield skipped(group, f"whether {name} is in it cannot be seen")
