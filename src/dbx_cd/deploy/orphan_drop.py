"""Dropping what nothing makes any more: after a good build, and only what somebody has agreed to by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dbx_cd.approval.request import Decision
from dbx_cd.plan.loss import Loss
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd
from dbx_cd.rollback.point import RestorePoint

_log = logging.getLogger(__name__)


def agreed_orphans(losses: Sequence[Loss], decision: Decision) -> tuple[RelationName, ...]:
    """The orphans that the plan drops and the decision names."""
    names = [loss.relation for loss in losses if loss.kind == "orphan_dropped" and loss.name in decision.consent]
    return tuple(RelationName(*name.split(".", 2)) for name in names)


def drop_orphans(cd: Cd, orphans: Sequence[RelationName], *, before: RestorePoint) -> None:
    """Drop tables and views; one that is gone already, or that the build has made something else of, is left alone.

    A macro may give the name to something new while dbt builds, as the pointer to the latest version of a model.

    Args:
        cd: the context.
        orphans: the relations.
        before: what they were before the build.

    Raises:
        SqlFailed: one cannot be dropped; those before it are.
    """
    for relation in orphans:
        was, now = before.state(relation), cd.tables.entries([relation])[relation.key]
        if now.kind not in ("table", "view"):
            _log.warning("%s is %s now, and is not dropped", relation, "gone" if now.kind == "missing" else "no table")
        elif was is None or (was.kind, was.view_text) != (now.kind, now.view_text):
            _log.warning("%s was made anew by this build, and is not dropped", relation)
        else:
            cd.tables.drop(relation, kind=now.kind)
            _log.info("dropped %s, which nothing makes any more", relation)
