"""What of a generated project's relations is compared, and how they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.generated_project import UNSTABLE, Project

Row = tuple[str | None, ...]
_COLUMNS = ("string(id)", "string(v)")
_KEPT = (*_COLUMNS, "string(changed_at)", "string(dbt_valid_from)", "string(dbt_valid_to)")


class Different(AssertionError):
    """What only changed is built of is not what a full build leaves."""


def expressions(project: Project, *, only_deployed: bool) -> Mapping[str, Sequence[str]]:
    """The relations of a project that are compared, by name, with what is looked at of each row.

    Args:
        project: the project.
        only_deployed: leave out what does not ship.
    """
    models = [
        m.name
        for m in project.models.values()
        if m.materialized != "ephemeral" and m.name not in UNSTABLE and (m.tags or not only_deployed)
    ]
    return {**dict.fromkeys((*models, *project.seeds), _COLUMNS), **dict.fromkeys(project.snapshots, _KEPT)}


def differences(changed: Mapping[str, Sequence[Row] | None], full: Mapping[str, Sequence[Row] | None]) -> Iterator[str]:
    """How relations of which only changes were built differ from those of a full build; in any order of rows."""
    for name, rows in changed.items():
        one, other = (None if r is None else sorted(r, key=repr) for r in (rows, full[name]))
        if one != other:
            yield f"{name}: {_in_words(one, other)}"


def _in_words(changed: Sequence[Row] | None, full: Sequence[Row] | None) -> str:
    if changed is None or full is None:
        return "is not there" if changed is None else "is there, and a full build has none"
    missing = [row for row in full if row not in changed]
    more = [row for row in changed if row not in full]
    return f"{len(missing)} rows missing, such as {missing[:2]}, and {len(more)} too many, such as {more[:2]}"
