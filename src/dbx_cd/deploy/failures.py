"""What stays of a step that failed before it had artifacts to publish: a line in the log, and dbt's own log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbx_cd.dbt.outcome import OUTCOME_NAME
from dbx_cd.dbt.project import LOG_NAME, LOG_PATH
from dbx_cd.dbt.run import DbtRun
from dbx_cd.errors import DbtFailed, DbxCdError, what_failed
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Release

_log = logging.getLogger(__name__)


@contextmanager
def keeping_log(cd: Cd, release: Release, *, work: Path) -> Iterator[None]:
    """Attach the log of a dbt that failed, or was cancelled, to the release: the work folder goes with the task.

    Args:
        cd: the context.
        release: the release that dbt ran for.
        work: the folder that it works in.

    Raises:
        DbtFailed: dbt failed; the message names where its log is on the Volume.
    """
    try:
        yield
    except DbtFailed as exc:
        run = exc.result
        if not isinstance(run, DbtRun):
            raise
        try:
            kept = keep_log(cd, release, run)
        except (DbxCdError, OSError) as cannot:
            exc.note(f"and its log cannot be kept: {what_failed(cannot)}")
            raise exc from cannot
        if kept is None:
            raise
        rights = run.step_to_rights
        step = f"fix what dbt says; its log is {kept}"
        raise DbtFailed(
            exc.what, result=run, where=exc.where, next_step=f"{rights}; {step}" if rights else step
        ) from exc
    except DbxCdError:
        raise
    except BaseException as exc:  # a task that is cancelled, or a fault that dbt's log may explain
        log = work / LOG_PATH
        try:
            if log.is_file():
                exc.add_note(f"dbt's log is {cd.store.attach(release.id, f'cancelled-{LOG_NAME}', log.read_bytes())}")
        except (DbxCdError, OSError) as cannot:
            exc.add_note(f"dbt's log cannot be kept: {what_failed(cannot)}")
        raise


def keep_log(cd: Cd, release: Release, run: DbtRun) -> Path | None:
    """Attach the log of one dbt to a release, and how it ended.

    Returns:
        The page that has the log; None where dbt left none, or it is on the Volume already.

    Raises:
        ArtifactError: the page cannot be stored.
    """
    if run.files_dir.is_relative_to(cd.store.root):
        return None
    words = run.command.split()
    prefix = f"{'-'.join(words[:2] if words[0] == 'source' else words[:1])}-{run.target}"
    kept = [
        cd.store.attach(release.id, f"{prefix}-{name}", (run.files_dir / name).read_bytes())
        for name in (OUTCOME_NAME, LOG_NAME)
        if (run.files_dir / name).is_file()
    ]
    return kept[-1] if kept else None


@contextmanager
def noting_refusal(cd: Cd, release: Release, *, target: str) -> Iterator[None]:
    """Write to the log why the first build of a release into an open target came to nothing: it would stay `opened`.

    A later build that is refused changes nothing of what an earlier one has built, so nothing is written then.

    Args:
        cd: the context.
        release: the release.
        target: the dbt target.
    """
    try:
        yield
    except BaseException as exc:  # also of a task that is cancelled
        if target in cd.config.targets and target not in cd.config.gates:
            _note(cd, release, target=target, why=what_failed(exc))
        raise


def _note(cd: Cd, release: Release, *, target: str, why: str) -> None:
    try:
        state = cd.log.state(release)
        if not state.ended and state.of(target).phase == "opened":
            refused = Built(target, gated=False, ok=False, outcome=why, timestamp="", project_digest="")
            cd.log.append(release, refused)
    except DbxCdError as exc:
        _log.warning("%s: why its build came to nothing is not in the log: %s", release, what_failed(exc))
