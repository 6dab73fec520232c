"""Dropping what nothing makes any more: after a good build, and only what somebody has agreed to by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dbx_cd.approval.request import Decision
from dbx_cd.plan.loss import Loss
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd

_log = logging.getLogger(__name__)


def agreed_orphans(losses: Sequence[Loss], decision: Decision) -> tuple[RelationName, ...]:
    """The orphans that the plan drops and the decision names."""
    names = [loss.relation for loss in losses if loss.kind == "orphan_dropped" and loss.name in decision.consent]
    return tuple(RelationName(*name.split(".", 2)) for name in names)


def drop_orphans(cd: Cd, orphans: Sequence[RelationName]) -> None:
    """Drop tables and views; one that is gone already, or has become something else, is left alone.

    Args:
        cd: the context.
        orphans: the relations.

    Raises:
        SqlFailed: one cannot be dropped; those before it are.
    """
    for relation in orphans:
        kind = cd.tables.entries([relation])[relation.key].kind
        if kind not in ("table", "view"):
            _log.warning("%s is %s now, and is not dropped", relation, "gone" if kind == "missing" else "no table")
            continue
        cd.tables.drop(relation, kind=kind)
        _log.info("dropped %s, which nothing makes any more", relation)
