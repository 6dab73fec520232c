"""Whether one state can be compared with another: of the same project, by the same kind of adapter."""

from __future__ import annotations

from dbx_cd.dbt.project_state import ProjectState
from dbx_cd.errors import ArtifactError


def state_mismatch(old: ProjectState, new: ProjectState) -> tuple[str, ...]:
    """What about two states makes more differ than their project, in lines.

    Args:
        old, new: the states. What one of them does not say is not compared.

    Returns:
        A line for another minor version of dbt, and one for another version of the adapter; none where all is alike.

    Raises:
        ArtifactError: they are of different projects or kinds of adapter, so that nothing of one means anything in the
            other.
    """
    for what, name in (("project", "project_name"), ("adapter", "adapter_type")):
        a, b = (str(state.manifest.metadata.get(name) or "") for state in (old, new))
        if a and b and a != b:
            raise ArtifactError(
                f"the state is of the {what} {a!r}, and this one of {b!r}: they cannot be compared",
                where="manifest.json",
                next_step="give each project a root of artifacts of its own" if what == "project" else
                "build the target once with the adapter that it has now",
            )  # fmt: skip
    a, b = (str(state.manifest.metadata.get("dbt_version") or "") for state in (old, new))
    lines = [f"dbt {a} -> {b}: what only the upgrade changes is told apart"] if _other_minor(a, b) else []
    a, b = (state.adapter_version or "" for state in (old, new))
    if a and b and a != b:
        kind = new.manifest.metadata.get("adapter_type") or "databricks"
        lines.append(f"dbt-{kind} {a} -> {b}: what only the upgrade changes is told apart")
    return tuple(lines)


def _other_minor(a: str, b: str) -> bool:
    return bool(a and b) and a.split(".")[:2] != b.split(".")[:2]
