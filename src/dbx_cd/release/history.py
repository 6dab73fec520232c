"""Every release with its state: for people, and as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx_cd import html
from dbx_cd.delta.sql import Sql
from dbx_cd.errors import ReleaseError
from dbx_cd.release.events import Release
from dbx_cd.release.state import ReleaseState

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class ReleaseHistory:
    """Every release with its state, newest first."""

    rows: tuple[tuple[Release, ReleaseState], ...]
    """The releases with their states."""
    sql: Sql | None = None
    """The port of the session that read them, for `to_df`."""

    def __iter__(self) -> Iterator[tuple[Release, ReleaseState]]:
        return iter(self.rows)

    def __str__(self) -> str:
        lines = [f"{r.id}  {r.commit[:12]}  {s.phase:<12} {r.requester}{_in_part(s)}" for r, s in self.rows]
        return "\n".join(lines) or "no releases"

    def to_df(self) -> DataFrame:
        """The history as a DataFrame."""
        if self.sql is None:
            raise ReleaseError("this history was made without a Spark session", next_step="use ReleaseLog.history()")
        schema = (
            "release_id string, commit string, phase string, since timestamp, requester string, "
            "decided_by string, reason string"
        )
        rows = [(r.id, r.commit, s.phase, s.since, r.requester, s.actor, s.reason or r.reason) for r, s in self.rows]
        return self.sql.frame(rows, schema)

    def to_html(self) -> str:
        """The history as a table."""
        headers = ("release", "commit", "state", "since", "requested by", "decided by", "reason")
        rows = [
            (
                r.id,
                r.commit[:12],
                html.join([html.badge(s.phase), _in_part(s)]),
                f"{s.since:%Y-%m-%d %H:%M}",
                r.requester,
                s.actor,
                s.reason,
            )
            for r, s in self.rows
        ]
        return str(html.section("Releases", html.table(headers, rows)))

    def _repr_html_(self) -> str:
        return self.to_html()


def _in_part(state: ReleaseState) -> str:
    """What a release's one word does not say."""
    partly = f"rolled back in part: {', '.join(state.partly_rolled_back)}" if state.partly_rolled_back else ""
    return "".join(f"  {text}" for text in (state.where, partly) if text)
