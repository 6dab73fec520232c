"""A first smoke suite for what ships, drafted from the manifest: a beginning that its owners correct."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.invocation import run_dbt
from dbx_cd.errors import DbxCdError, what_failed

TAG = "deploy"
"""The tag of what ships."""
_MATERIALIZED = ("table", "incremental")
_AMOUNTS = re.compile(r"(?:^|_)(?:amount|revenue|price|cost|total|sales|fee|tax|gross|net)(?:_|$)")
_NUMBERS = re.compile(r"^(?:decimal|numeric|double|float|real|int|integer|bigint|smallint)\b", re.IGNORECASE)
_HEAD = """\
# Drafted by `python -m dbx_cd init` from what the project says of its models. Correct what is not so, and add what only
# you know of these numbers. Keys, nulls and references need no line: they come from the project's tests and contracts.
"""

Parse = Callable[[Path, str], Manifest]


@dataclass(frozen=True)
class Shipped:
    """What a project has tagged to ship, and the suites that may be drafted for it."""

    models: tuple[str, ...]
    """The names of what has the tag."""
    suites: Mapping[str, str]
    """Each suite's text, by its domain."""
    problem: str = ""
    """Why nothing is known; "" where the project could be parsed."""


def shipped_of(project: Path, target: str, *, parse: Parse | None = None) -> Shipped:
    """Parse a project as one of its targets has it; that it cannot be is no error here.

    Args:
        project: the folder with `dbt_project.yml`.
        target: the output that it is parsed for; nothing connects to it.
        parse: reads the manifest, in place of dbt.
    """
    try:
        manifest = (parse or _parsed)(project, target)
    except (DbxCdError, OSError) as exc:
        return Shipped((), {}, what_failed(exc))
    tagged = sorted(
        (n for n in manifest.nodes.values() if TAG in n.tags and n.resource_type in ("model", "seed", "snapshot")),
        key=lambda node: node.name,
    )
    by_domain: dict[str, list[Node]] = {}
    for node in tagged:
        if node.resource_type == "model" and node.materialized in _MATERIALIZED and node.is_latest:
            by_domain.setdefault(_domain(node), []).append(node)
    suites = {domain: _suite(domain, nodes) for domain, nodes in sorted(by_domain.items())}
    return Shipped(tuple(dict.fromkeys(node.name for node in tagged)), suites)


def _parsed(project: Path, target: str) -> Manifest:
    with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as work:
        ran = run_dbt("parse", target=target, project_dir=project, work_dir=work)
        return Manifest.load(ran.files_dir / "manifest.json")


def _domain(node: Node) -> str:
    """The folder of models that a model is in, the first one that is no layer of the project's."""
    folders = [part for part in Path(node.path).parts[1:-1] if re.fullmatch(r"[A-Za-z][\w-]*", part)]
    layers = ("marts", "mart", "gold", "core", "models", "intermediate", "staging")
    return next((part for part in folders if part.lower() not in layers), folders[-1] if folders else node.package)


def _suite(domain: str, nodes: Sequence[Node]) -> str:
    tables = "".join(_table(node) for node in nodes)
    return f"{_HEAD}domain: {domain}\ntables:\n{tables}"


def _table(node: Node) -> str:
    lines = [f"  - model: {node.name}"]
    amounts = [name for name, column in node.columns.items() if _is_amount(name, str(column.get("data_type") or ""))]
    if amounts:
        lines.append("    expectations:")
    for name in amounts:
        lines += [
            f"      - expect_column_sum_to_be_between: {{column: {name}, min_value: 0}}",
            "        guardrail: true",
        ]
    lines += ["    compare:", "      - row_count: {within_pct: 20, min_baseline: 100}"]
    return "\n".join(lines) + "\n"


def _is_amount(name: str, data_type: str) -> bool:
    """Whether a column holds amounts, by its name, and by its type where the project gives one."""
    return bool(_AMOUNTS.search(name.lower())) and (not data_type or bool(_NUMBERS.match(data_type)))
