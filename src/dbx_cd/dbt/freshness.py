"""How fresh the sources are: what `dbt source freshness` found, and every source of which it says nothing.

dbt-core 1.11 leaves a source whose query failed out of `sources.json` (`FreshnessExecutionResultArtifact.from_result`),
and all of them when it fails before. Whoever asks how fresh the sources are must not take that silence for freshness.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.json_files import read_json, reading
from dbx_cd.dbt.runner import DbtOutcome
from dbx_cd.errors import ArtifactError

BROKEN = "runtime error"
"""dbt's word for a source whose freshness could not be found out."""

# What dbt-adapters 1.x writes for a table without any time: "interpret missing value as infinitely long ago".
_NEVER = "0001-01-01"

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")

T = TypeVar("T")


@dataclass(frozen=True)
class SourceFreshness:
    """How fresh one source table is, as `dbt source freshness` judged it."""

    unique_id: str
    """dbt's own id of the source table."""
    status: str
    """dbt's verdict: `pass`, `warn`, `error` or `runtime error`."""
    age_seconds: float | None = None
    """Time since the newest row was loaded, below zero when it is dated in the future; None when that is not known."""
    max_loaded_at: str | None = None
    """When the newest row was loaded, as dbt writes it; None when that is not known."""
    criteria: str = ""
    """The limits, in words: `warn after 12 hours`."""
    error: str | None = None
    """Why it could not be found out."""
    from_metadata: bool = False
    """Whether the time is when the catalog says that the table was altered, since the source names no column."""

    @property
    def name(self) -> str:
        """`source.table`, as a user writes it."""
        return ".".join(self.unique_id.split(".")[2:])

    @property
    def is_empty(self) -> bool:
        """Whether dbt found no time at all, for which it writes the year 1."""
        return (self.max_loaded_at or "").startswith(_NEVER)

    @property
    def observed(self) -> str | None:
        """How old it is, in words; None when that could not be found out."""
        if self.age_seconds is None:
            return None
        if self.is_empty:
            return "no time found"
        hours = f"{abs(self.age_seconds) / 3600:.1f} hours"
        return f"dated {hours} in the future" if self.age_seconds < 0 else f"{hours} old"

    @property
    def remark(self) -> str | None:
        """What to know of how it was judged, of an error its first sentence.

        None where a column says when an ordinary row was loaded.
        """
        # dbt's log has the rest: hints, the search path, the plan that could not be resolved.
        remarks = [_SENTENCE.split(self.error, maxsplit=1)[0]] if self.error else []
        if self.age_seconds is not None and self.is_empty:
            remarks.append("the table is empty, or no row has a time in the column")
        elif self.age_seconds is not None and self.age_seconds < 0:
            remarks.append("its newest time is later than now, so nothing older can be noticed")
        if self.from_metadata:
            remarks.append("by the catalog's time of the table's last change of any kind: the source names no column")
        return "; ".join(remarks) or None


def freshness_of(files: Path, outcome: DbtOutcome) -> tuple[SourceFreshness, ...]:
    """One result for every source that dbt was to judge, also where `sources.json` has none.

    Args:
        files: the folder with what `dbt source freshness` left.
        outcome: how it ended.

    Returns:
        dbt's own results, then a `runtime error` for each source that it began with and has no result of. Where it
        ended before it had begun with all that it had selected, or has left no readable `sources.json`, every source
        with a freshness rule counts: which ones were selected it does not say. Without a manifest one result stands
        for all.
    """
    errors = list(outcome.errors)
    manifest = _present(files / "manifest.json", Manifest.load, errors)
    sources = {} if manifest is None else {i: n for i, n in manifest.nodes.items() if n.resource_type == "source"}
    written = _present(files / "sources.json", lambda path: load_freshness(path, sources), errors)
    judged = written or ()
    expected = {i: None for i in outcome.nodes.begun if i.startswith("source.")}
    # A dbt that succeeds writes the file even when it has selected nothing (`GraphRunnableTask.run` in dbt-core 1.11).
    ended_early = written is None or not outcome.success
    if ended_early and len(expected) < max(outcome.nodes.total, 1):
        expected |= {i: None for i, node in sources.items() if has_rule(node)}
        if manifest is None and not judged:
            expected = {"source..all sources": None}
    silence = "dbt has left no sources.json" if written is None and outcome.success else "dbt gave no reason"
    why = "; ".join(errors) or silence
    known = {found.unique_id for found in judged}
    missing = (_unknown(i, sources.get(i), outcome.nodes.errors.get(i, why)) for i in expected if i not in known)
    return (*judged, *missing)


def load_freshness(path: str | Path, sources: Mapping[str, Node] | None = None) -> tuple[SourceFreshness, ...]:
    """Read `sources.json`.

    Args:
        path: the file.
        sources: the source tables of the manifest, by unique id; they say what the times are taken from.

    Raises:
        ArtifactError: the file is missing or is not the result of `dbt source freshness`.
    """
    document = read_json(path)
    if "results" not in document:
        raise ArtifactError("not a dbt sources file: `results` is missing", where=path)
    with reading("a dbt sources file", path):
        return tuple(
            SourceFreshness(
                unique_id=r["unique_id"],
                status=str(r["status"]),
                age_seconds=_age(r.get("max_loaded_at_time_ago_in_s")),
                max_loaded_at=_text(r.get("max_loaded_at")),
                criteria=_criteria(r.get("criteria") or {}),
                error=None if r.get("error") is None else str(r["error"]),
                from_metadata=_from_metadata((sources or {}).get(r["unique_id"])),
            )
            for r in document["results"]
        )


def has_rule(source: Node) -> bool:
    """Whether a source table has a freshness rule, as dbt decides it: some limit with a count and a period.

    A table that is not enabled is not in the manifest.
    """
    return bool(_criteria(source.raw.get("freshness") or {}))


def _unknown(unique_id: str, source: Node | None, why: str) -> SourceFreshness:
    """The result of a source of which dbt has written none."""
    error = " ".join(why.split())
    if _from_metadata(source) and error.startswith("<"):
        # dbt-adapters 1.x ends with a bare KeyError of the relation.
        error = f"the catalog's metadata lists no such table: {error}"
    criteria = _criteria(source.raw.get("freshness") or {}) if source is not None else ""
    return SourceFreshness(unique_id, BROKEN, criteria=criteria, error=error, from_metadata=_from_metadata(source))


def _from_metadata(source: Node | None) -> bool:
    return source is not None and not (source.raw.get("loaded_at_field") or source.raw.get("loaded_at_query"))


def _age(seconds: Any) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ValueError(f"{seconds!r} is no age in seconds")
    return float(seconds)


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _criteria(raw: Mapping[str, Any]) -> str:
    limits = ((word, raw.get(f"{word}_after") or {}) for word in ("warn", "error"))
    return ", ".join(f"{word} after {_limit(v)}" for word, v in limits if v.get("count") is not None)


def _limit(limit: Mapping[str, Any]) -> str:
    return f"{limit['count']} {limit['period']}{'' if limit['count'] == 1 else 's'}"


def _present(path: Path, load: Callable[[Path], T], errors: list[str]) -> T | None:
    """What a file holds; None where it is not there, or a dbt that was killed has left half of it."""
    if not path.is_file():
        return None
    try:
        return load(path)
    except ArtifactError as exc:
        errors.append(str(exc))
        return None
