"""What an approval is bound to: named parts, each with a digest, and one digest over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbx_cd.artifacts.archive import archive_digest
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.digest import digest
from dbx_cd.plan.agreed_plan import SEALED_AS
from dbx_cd.release.events import Release

SEAL_VERSION = 1
DBT_ENVIRONMENT = "dbt environment"
"""The part that is the digest of the environment that dbt runs in; there is none where no lock says it."""


def sealed_parts(
    release: Release,
    staged: ArtifactVersion,
    *,
    smoke: Mapping[str, object] | None,
    deploy: Mapping[str, object],
    plan: str | None = None,
    ignored: Sequence[str] = (),
) -> dict[str, str]:
    """The parts an approval covers, by name.

    Args:
        release: the release.
        staged: its staging artifacts, verified.
        smoke: its staging smoke report, as it was written: read and written again by a newer wheel it would be another.
        deploy: what will be built: target, selection and flags.
        plan: the digest of the deploy plan; None in requests of wheels that made none.
        ignored: decisions on the same that did not count: without them the question would have the same seal again.
    """
    parts = {"ignored decisions": digest(list(ignored))} if ignored else {}
    parts |= {} if plan is None else {SEALED_AS: plan}
    # Without a lock nothing says which packages dbt has, and nothing that could be sealed.
    sealed = staged.environment.digest if staged.environment is not None else ""
    parts |= {DBT_ENVIRONMENT: sealed} if sealed else {}
    return parts | {
        "release": digest(release.id),
        "commit": digest(release.commit),
        "artifacts": staged.digest,
        "project archive": archive_digest(staged),
        "smoke report": digest(None if smoke is None else dict(smoke)),
        "selection and flags": digest(dict(deploy)),
    }


def seal_of(parts: Mapping[str, str]) -> str:
    """One digest over all parts and the version of their meaning."""
    return digest({"version": SEAL_VERSION, "parts": dict(parts)})


def changed_parts(sealed: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the parts that are not what was sealed; a part only one side has counts as changed."""
    return tuple(name for name in {**sealed, **now} if sealed.get(name) != now.get(name))
