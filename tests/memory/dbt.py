"""dbt as a function: it lists and builds the models of a project folder into tables in memory."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbx_cd import DbtOutcome
from dbx_cd.relations import RelationName
from memory.hub import MemoryHub
from memory.tables import MemoryTable, MemoryTables

PROJECT = "tiny"
REFUSED = (
    "[DELTA_CLUSTERING_REPLACE_TABLE_WITH_PARTITIONED_TABLE] "
    "Replacing a clustered Delta table with a partitioned table is not allowed."
)
_REF = re.compile(r"ref\('(\w+)'\)")


class MemoryDbt:
    """A `Runner`. Every `models/<name>.sql` is a table `<target>.shop.<name>` with its text as the only row.

    A model whose text holds the word `view` is a view over the model it refers to; a relation of the other kind in its
    place is dropped first. One that holds `fails in <target>` fails there; those after it in alphabetical order are
    built all the same. One that holds `partitioned` fails over a table that ever was `clustered`, in dbt's own words.
    What it lists and says of the project is compared with dbt's own in `tests/processes/dbt/test_memory_dbt.py`.

    Args:
        tables: where it builds.

    Attributes:
        calls: the arguments of every call.
        hub: where `dbt deps` gets packages.
        dbt_version: what it writes into its manifests.
        models: the texts of the models that the last call selected, by name.
        named: where it builds a model, by target and name.
        alter_manifest: called with the nodes and sources of each manifest before it is written.
        before_statement: called with target and relation before each statement.
        killed_after: the relation after whose statement the system kills it, as for memory; None for none. It leaves no
            `run_results.json`, which dbt writes when it ends or is interrupted (dbt-core 1.11, `task/runnable.py`).
        hook_error: what dbt says of a hook at the end that cannot be rendered; None for none. Its results hold the
            successes of the models alone then, and it ends with 2 (dbt-core 1.11, `task/run.py`).
    """

    def __init__(self, tables: MemoryTables) -> None:
        self.tables = tables
        self.calls: list[list[str]] = []
        self.models: dict[str, str] = {}
        self.named: Callable[[str, str], RelationName] = lambda target, name: RelationName(target, "shop", name)
        self.alter_manifest: Callable[[dict[str, Any]], None] = lambda _manifest: None
        self.before_statement: Callable[[str, RelationName], None] = lambda _target, _relation: None
        self.killed_after: RelationName | None = None
        self.hook_error: str | None = None
        self.hub = MemoryHub()
        self.dbt_version = "1.11.0"

    def __call__(self, args: list[str]) -> DbtOutcome:
        self.calls.append(args)
        if args[0] == "deps":
            return self.hub.install(Path(_option(args, "--project-dir")))
        command = args[: next(i for i, a in enumerate(args) if a.startswith("-"))]
        target, folder = _option(args, "--target"), Path(_option(args, "--project-dir")) / "models"
        models = {path.stem: path.read_text() for path in sorted(folder.glob("*.sql"))}
        selected = self._selected(args, models)
        excluded = _words(args, "--exclude")
        self.models = {name: text for name, text in models.items() if name in selected and name not in excluded}
        out = Path(_option(args, "--target-path"))
        out.mkdir(parents=True, exist_ok=True)
        nodes = {_id(name): _node(name, text, self.named(target, name)) for name, text in models.items()}
        manifest = {"metadata": {"project_name": PROJECT, "dbt_version": self.dbt_version}, "nodes": nodes}
        self.alter_manifest(manifest)
        (out / "manifest.json").write_text(json.dumps(manifest))
        if command[0] == "ls":
            return DbtOutcome(True, listed=tuple(map(_id, self.models)))
        results = []
        for name, text in self.models.items():
            results.append(self._build(name, text, target))
            if self.killed_after == self.named(target, name):
                return DbtOutcome(False)
        document = {"metadata": {}, "args": {"which": command[-1]}, "results": results}
        (out / "run_results.json").write_text(json.dumps(document))
        if self.hook_error is not None:
            return DbtOutcome(False, (self.hook_error,), exit_code=2)
        ok = all(r["status"] == "success" for r in results)
        return DbtOutcome(ok, exit_code=0 if ok else 1)

    def _selected(self, args: list[str], models: dict[str, str]) -> set[str]:
        """All models, or those that `state:` selectors mean, and what is downstream of them with `+`.

        Of intersections those count that name one model by `fqn:` and its file; with `resource_type:` they mean tests,
        of which there are none. Other terms, such as tags, mean all: every model has every tag.
        """
        terms = _words(args, "--select")
        if any("," in term for term in terms):
            return {name for term in terms for name in _meant(term, models)}
        if not any(term.startswith("state:") for term in terms):
            return set(models)
        state = json.loads((Path(_option(args, "--state")) / "manifest.json").read_text())
        before = {node["name"]: node["raw_code"] for node in state["nodes"].values()}
        changed = {
            "new": {name for name in models if name not in before},
            "old": {name for name in models if name in before},
            "modified": {name for name, text in models.items() if before.get(name) != text},
        }
        changed |= {"unmodified": set(models) - changed["modified"], "modified.body": changed["modified"]}
        selected: set[str] = set()
        for term in terms:
            if term.startswith("state:"):
                found = set(changed[term.removeprefix("state:").rstrip("+")])
                selected |= _downstream(found, models) if term.endswith("+") else found
            else:
                selected |= set(models)
        return selected

    def _build(self, name: str, text: str, target: str) -> dict[str, Any]:
        relation = self.named(target, name)
        self.before_statement(target, relation)
        refused = "partitioned" in text and self._ever_clustered(relation)
        failed = refused or f"fails in {target}" in text
        is_view = self.tables.entries([relation])[relation.key].kind == "view"
        if not failed and is_view != ("view" in text):
            self.tables.drop(relation, kind="view" if is_view else "table")
        if not failed and "view" in text:
            self.tables.view(relation, self.named(target, _REF.findall(text)[0]))
        elif not failed:
            self.tables.create(relation, text)
        status = "error" if failed else "success"
        message = f"{name} fails in {target}" if failed else None
        if refused:
            message = f"Database Error in model {name} (models/{name}.sql)\n  {REFUSED}"
        named = {"unique_id": _id(name), "relation_name": relation.quoted}
        return named | {"status": status, "execution_time": 0.1, "message": message}

    def _ever_clustered(self, relation: RelationName) -> bool:
        """RESTORE does not take it from the table's protocol, and neither does another CREATE OR REPLACE (measured)."""
        found = self.tables.relations.get(relation.key)
        versions = found.contents if isinstance(found, MemoryTable) else []
        return any("clustered" in str(row) for content in versions for row in content.rows)


def _id(name: str) -> str:
    return f"model.{PROJECT}.{name}"


def _node(name: str, text: str, relation: RelationName) -> dict[str, Any]:
    return {
        "unique_id": _id(name),
        "name": name,
        "resource_type": "model",
        "original_file_path": f"models/{name}.sql",
        "fqn": [PROJECT, name],
        "raw_code": text,
        "language": "python" if text.startswith("def model(") else "sql",
        "database": relation.catalog,
        "schema": relation.schema,
        "alias": relation.identifier,
        "relation_name": relation.quoted,
        "config": {"materialized": "view" if "view" in text else "table"},
        "depends_on": {"nodes": [_id(read) for read in _REF.findall(text)]},
    }


def _meant(term: str, models: dict[str, str]) -> set[str]:
    """What an intersection of terms means."""
    found = set(models)
    for part in term.split(","):
        method, _, value = part.partition(":")
        if method == "resource_type":
            return set()
        wanted = {"fqn": value.rpartition(".")[2], "path": Path(value).stem}.get(method)
        found &= found if wanted is None else {wanted}
    return found


def _downstream(names: set[str], models: dict[str, str]) -> set[str]:
    found = names | {name for name, text in models.items() if names & set(_REF.findall(text))}
    return found if found == names else _downstream(found, models)


def _option(args: list[str], name: str) -> str:
    return args[args.index(name) + 1]


def _words(args: list[str], name: str) -> list[str]:
    """All that is given to an option; nothing where it is not given."""
    after = args[args.index(name) + 1 :] if name in args else []
    return list(itertools.takewhile(lambda word: not word.startswith("--"), after))
