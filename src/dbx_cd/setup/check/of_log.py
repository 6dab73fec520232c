"""Checks of what a release leaves: the folder of artifacts can be written, the log is the one and unaltered."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dbx_cd import volume
from dbx_cd.approval.approver import is_member
from dbx_cd.delta.information_schema import is_not_found
from dbx_cd.enumeration import listed
from dbx_cd.errors import SqlFailed
from dbx_cd.patience import Patience, passing_answer
from dbx_cd.relations import RelationName, quote
from dbx_cd.release.anchor import ANCHOR_NAME
from dbx_cd.release.authorship import Identities
from dbx_cd.setup.check.report import CheckLine, fail, ok, warn
from dbx_cd.setup.check.scene import Scene
from dbx_cd.setup.places import volume_of
from dbx_cd.workspace_calls import calling

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_CONTENT = b"written by `check` of dbx_cd, to be removed by it\n"
_SHOWN = 3


def artifacts(scene: Scene) -> Iterator[CheckLine]:
    """One small file is written to the artifacts' folder, read back and removed."""
    root = scene.config.artifacts_root
    if volume_of(root) is None:
        yield warn(
            root,
            "is no folder on a Unity Catalog Volume: nobody's rights on it are asked, and it may go with a cluster",
            next_step="set artifacts_root to /Volumes/<catalog>/<schema>/<volume>[/folder]",
        )
    path = f"{root.rstrip('/')}/dbx_cd-check-{uuid.uuid4().hex}.txt"
    found = _by_path(Path(path)) if scene.spark is not None else _by_api(scene.client, path)
    if found == _CONTENT:
        yield ok(root, f"a file can be written, read and removed, as {scene.me}")
    else:
        yield fail(
            root,
            f"a file reads otherwise than it was written: {len(found)} bytes of {len(_CONTENT)}",
            next_step="look at the Volume and its storage before anything is released",
        )


def _by_path(path: Path) -> bytes:
    volume.make_folder(path.parent)
    try:
        volume.write(path, _CONTENT)
        return volume.read(path)
    finally:
        volume.remove_file(path)


def _by_api(workspace: WorkspaceClient, path: str) -> bytes:
    with calling("the file cannot be written", right="WRITE VOLUME and READ VOLUME on the Volume", where=path):
        workspace.files.upload(path, io.BytesIO(_CONTENT), overwrite=True)
    try:
        with calling("the file cannot be read", right="READ VOLUME on the Volume", where=path):
            answer = Patience().repeat(lambda: workspace.files.download(path), passing=passing_answer)
            return answer.contents.read() if answer.contents is not None else b""
    finally:
        with calling("the file cannot be removed", right="WRITE VOLUME on the Volume", where=path):
            workspace.files.delete(path)


def log(scene: Scene) -> Iterator[CheckLine]:
    """The release log is there, or is made by the first run; it is the one that belongs to the artifacts."""
    config, anchor = scene.config, scene.anchor
    if anchor is not None:
        anchor.require_log(config.release_log, root=config.artifacts_root)
    name = scene.log.table
    if scene.log.table_id is None and anchor is None:
        yield from _to_be_made(scene, name)
    elif scene.log.table_id is None:
        yield fail(
            name,
            f"is not there, and {ANCHOR_NAME} beside the artifacts remembers it",
            next_step="bring the table back (UNDROP TABLE); whoever dropped it has taken all approvals with it",
        )
    else:
        yield from _of_history(scene, name)


def _of_history(scene: Scene, name: RelationName) -> Iterator[CheckLine]:
    group = scene.config.approvers
    reading, altered = scene.log.examined(
        workflow=_identities(scene),
        may_acknowledge=lambda person: is_member(scene.client, person, group=group) is not False,
    )
    for commit in list(altered)[:_SHOWN]:
        yield fail(
            name,
            f"was altered: {commit}",
            next_step="look at it with cd.log.tampering(); an approver may acknowledge it (docs/runbook.md), else the"
            " gate stays shut",
        )
    if not altered:
        kept = "as the Volume remembers it" if scene.anchor is not None else "and the next release notes its id"
        yield ok(name, f"{len(reading.history)} releases, {len(reading.events)} events, unaltered, {kept}")
    if reading.not_counted:
        kinds = sorted({event.kind for event in reading.not_counted})
        yield warn(
            name,
            f"{len(reading.not_counted)} events do not count ({listed(kinds, most=_SHOWN)}): of another writer",
            next_step="find out who has MODIFY on the log besides the job and the approvers",
        )


def _identities(scene: Scene) -> Identities | None:
    """As whom the Workflow works; None where nobody says so."""
    return Identities(scene.run_as, scene.second_identity or scene.run_as, scene.config.gates) if scene.run_as else None


def _to_be_made(scene: Scene, name: RelationName) -> Iterator[CheckLine]:
    schema = f"{quote(name.catalog)}.{quote(name.schema)}"
    try:
        scene.sql.query(f"SHOW TABLES IN {schema}")
    except SqlFailed as exc:
        yield fail(
            name,
            f"its schema is not there, or may not be used: {exc.what}" if is_not_found(exc) else exc.what,
            next_step=f"CREATE SCHEMA IF NOT EXISTS {schema}, with the grants of docs/deploy.md: "
            "python -m dbx_cd setup prints them",
        )
    else:
        yield ok(name, "is not there yet: the first run makes it")
