"""Grants, tags, filters and masks that a build takes off a relation and does not set again.

What stays where a relation is replaced in place:

- CREATE OR REPLACE TABLE keeps history, grants, row filters and column masks (Databricks' documentation of CREATE
  TABLE), and tags (dbt-databricks' pull request 1572). Keys it drops, see `key_losses`.
- CREATE OR REPLACE VIEW keeps all but the grants, which ALTER VIEW keeps (Databricks' documentation of ALTER VIEW).
- What is dropped and created anew has nothing of all this.

And dbt revokes what others granted where a node has a config `grants`, and leaves all grants where it has none. What a
hook of the project grants comes back with every build; a hook that is computed may grant anything, so that its grants
are told as lost and nobody is asked about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from dbx_cd.plan.comparison import Existing
from dbx_cd.plan.loss import Loss, LossKind, loss
from dbx_cd.plan.treatment import Treatment

_THIS = re.compile(r"\{\{\s*this\s*\}\}")
"""The one expression of Jinja in a hook that says nothing of who is granted what."""


def setting_losses(existing: Existing, treatment: Treatment, *, hooks: Sequence[str] = ()) -> Iterator[Loss]:
    """What the catalog keeps of a relation today and will not after the build.

    Args:
        existing: the relation, and the node that makes it.
        treatment: what the build does to it.
        hooks: the texts of what runs at the end of every build.
    """
    grants, by_hooks = _grants(existing, treatment), _granting_hooks(existing, hooks)
    grants = [grant for grant in grants if not any(_grants_to(grant, text) for text in by_hooks)]
    if grants and any("{" in text for text in by_hooks):
        detail = f"{', '.join(grants)}: {_why_no_grants(existing, treatment)}, unless a hook does"
        yield loss(existing.relation, "grants_dropped", "grants", detail, destructive=False)
        grants = []
    taken: tuple[tuple[LossKind, str, list[str], str], ...] = (
        ("grants_dropped", "grants", grants, _why_no_grants(existing, treatment)),
        ("tags_dropped", "tags", _tags(existing, treatment), "gone with what is dropped"),
        ("protection_dropped", "filters and masks", _protection(existing, treatment), "gone with what is dropped"),
    )
    for kind, what, lost, detail in taken:
        if lost:
            yield loss(existing.relation, kind, what, f"{', '.join(lost)}: {detail}")


def _grants(existing: Existing, treatment: Treatment) -> list[str]:
    config = existing.node.config.get("grants") or {}
    if not config and not _takes_grants(existing, treatment):
        return []
    granted = {
        f"{privilege} to {grantee}".lower().replace("_", " ")
        for privilege, grantees in config.items()
        for grantee in ([grantees] if isinstance(grantees, str) else grantees)
    }
    return [grant for grant in sorted(existing.settings.grants or ()) if grant.lower().replace("_", " ") not in granted]


def _granting_hooks(existing: Existing, hooks: Sequence[str]) -> list[str]:
    """What grants something after each build: the node's own hooks, and those at the end."""
    given = existing.node.config.get("post-hook") or ()
    own = [str(hook.get("sql") if isinstance(hook, Mapping) else hook) for hook in given]
    texts = (" ".join(_THIS.sub("", text).lower().split()) for text in (*own, *hooks))
    return [text for text in texts if "grant" in text]


def _grants_to(grant: str, text: str) -> bool:
    """Whether a statement in a hook's text gives a grant; in Jinja that cannot be told."""
    privilege, _, grantee = grant.lower().replace("_", " ").partition(" to ")
    quoted = re.escape(grantee.replace("_", " "))
    plain = text.replace("_", " ")
    return "{" not in text and bool(
        re.search(rf"\bgrant\b[^;]*\b{privilege}\b[^;]* to [`\"]?{quoted}(?![\w@.-])", plain)
    )


def _takes_grants(existing: Existing, treatment: Treatment) -> bool:
    return treatment.how == "dropped" or (treatment.how == "replaced" and existing.entry.kind == "view")


def _why_no_grants(existing: Existing, treatment: Treatment) -> str:
    if _takes_grants(existing, treatment):
        by = "the view is replaced" if treatment.how == "replaced" else "the relation is dropped"
        return f"{by}, and the project does not grant them"
    return "dbt revokes what the project's config `grants` does not name"


def _tags(existing: Existing, treatment: Treatment) -> list[str]:
    if treatment.how != "dropped":
        return []
    own = {name.lower() for name in existing.node.config.get("databricks_tags") or {}}
    of_columns = {
        f"{column}.{tag}".lower()
        for column, documented in existing.node.columns.items()
        for tag in documented.get("databricks_tags") or {}
    }
    return [
        *(
            _assigned(tag, existing.settings.tags)
            for tag in sorted(existing.settings.tags or {})
            if tag.lower() not in own
        ),
        *(
            f"column {_assigned(tag, existing.settings.column_tags)}"
            for tag in sorted(existing.settings.column_tags or {})
            if tag.lower() not in of_columns
        ),
    ]


def _assigned(tag: str, values: Mapping[str, str] | None) -> str:
    value = (values or {}).get(tag)
    return f"{tag} = {value}" if value else tag


def _protection(existing: Existing, treatment: Treatment) -> list[str]:
    if treatment.how != "dropped":
        return []
    node, settings = existing.node, existing.settings
    masked = {name.lower() for name, column in node.columns.items() if column.get("column_mask")}
    masks = [
        f"column mask {mask} on {column}"
        for column, mask in sorted((settings.column_masks or {}).items())
        if column.lower() not in masked
    ]
    is_filtered = bool(settings.row_filter) and not node.config.get("row_filter")
    return [*([f"row filter {settings.row_filter}"] if is_filtered else []), *masks]
