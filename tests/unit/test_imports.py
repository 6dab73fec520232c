"""What importing costs, and which way imports point."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dbx_cd

ROOT = Path(dbx_cd.__file__).parent
LONGEST = 330


@cache
def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("package", ["dbt", "great_expectations", "pyspark", "delta", "databricks", "flask", "thrift"])
def test_import_does_not_load(package: str) -> None:
    assert package not in json.loads(fresh("import dbx_cd, sys, json; print(json.dumps(sorted(sys.modules)))"))


def test_using_the_store_loads_neither_pyspark_nor_dbt_nor_great_expectations() -> None:
    loaded = json.loads(fresh("import dbx_cd, sys, json; dbx_cd.ArtifactStore; print(json.dumps(sorted(sys.modules)))"))
    assert not {"pyspark", "dbt", "great_expectations"} & set(loaded)


@pytest.mark.parametrize("name", sorted(dbx_cd.__all__))
def test_public_name_can_be_imported(name: str) -> None:
    assert getattr(dbx_cd, name) is not None


DESIGNED = """
    ArtifactStore CdConfig ReleaseLog SmokeSuite approve baseline_for build_release capture_restore_point
    contracts_from_manifest load_suites open_cd pending_approvals plan_restore publish_docs reject request_approval
    require_approval restore resume run_dbt run_smoke start_task trigger
"""


@pytest.mark.parametrize("name", DESIGNED.split())
def test_public_api_has(name: str) -> None:
    assert name in dbx_cd.__all__


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        inside = path.relative_to(ROOT)
        if inside.parts[0] != "bundle":  # the notebooks, which are data here
            yield ".".join(inside.with_suffix("").parts).removesuffix(".__init__"), path


KNOWN = {f"dbx_cd.{name}" for name, _ in modules()}


def imports(path: Path) -> tuple[set[str], set[str]]:
    """The modules that a module imports, anywhere in it: when it runs, and for type checking only."""
    running: set[str] = set()
    typing: set[str] = set()

    def visit(parent: ast.AST, found: set[str]) -> None:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                # `from package import module` imports the module; any other name comes from what is named first.
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found.update(i if i in KNOWN else node.module for i in inner)
            elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                visit(ast.Module(node.body, []), typing)
                continue
            visit(node, found)

    visit(parsed(path), running)
    return running, typing


IMPORTS = {name: imports(path) for name, path in modules()}
RUNNING = {name: running for name, (running, _) in IMPORTS.items()}
ANY = {name: running | typing for name, (running, typing) in IMPORTS.items()}


def importers(package: str, graph: dict[str, set[str]]) -> set[str]:
    """The modules that import a package or anything in it."""
    return {name for name, found in graph.items() if any(f == package or f.startswith(f"{package}.") for f in found)}


def is_local(module: str) -> bool:
    return module == "local" or module.startswith("local.")


# The rooms from the ground up, as docs/architecture.md draws them: a room imports those before it and itself.
# `dbt` and `delta` stand side by side. Modules at the top of the package are ground, but for the face.
ROOMS = (
    *("ground", "warm", "dbt", "delta", "artifacts", "release"),
    *("rollback", "smoke", "plan", "approval", "deploy", "setup", "face"),
)
SIDE_BY_SIDE = {"dbt": {"delta"}, "delta": {"dbt"}}
FACE = {"cli", "__main__", "notebook"}


def room_of(module: str) -> str:
    top = module.split(".")[0]
    if top in ROOMS:
        return top
    return "face" if top in FACE else "ground"


def may_import(room: str) -> set[str]:
    return set(ROOMS[: ROOMS.index(room) + 1]) - SIDE_BY_SIDE.get(room, set())


APART = {"local", "sql_endpoint"}
IN_ROOMS = sorted(name for name in ANY if name.split(".")[0] not in APART and name != "__init__")


@pytest.mark.parametrize("module", IN_ROOMS)
def test_a_room_imports_only_rooms_below_it(module: str) -> None:
    found = {i.removeprefix("dbx_cd.") for i in ANY[module] & KNOWN if i != "dbx_cd.__init__"}
    upward = {i for i in found if i.split(".")[0] not in APART and room_of(i) not in may_import(room_of(module))}
    assert upward == set()


def test_only_deploy_and_the_face_import_the_sql_endpoint() -> None:
    found = importers("dbx_cd.sql_endpoint", ANY)
    assert {room_of(name) for name in found if name.split(".")[0] not in APART} <= {"deploy", "face"}


def test_every_folder_is_a_room() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders - APART - {"cli", "bundle", "html"} <= set(ROOMS)


def test_imports_are_written_so_that_this_file_sees_them() -> None:
    """Absolute, of modules by name: no relative ones, none of the lazy face, none by a function."""
    by_function = {"warm.server", "dbt.warm", "smoke.own_code", "local.notebooks.warm"}  # what their caller names
    found = set()
    for name, path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                found.add((name, ast.unparse(node)))
            elif isinstance(node, ast.ImportFrom) and node.module == "dbx_cd":
                found |= {(name, a.name) for a in node.names if f"dbx_cd.{a.name}" not in KNOWN and not is_local(name)}
            elif isinstance(node, ast.Import) and not is_local(name):
                found |= {(name, a.name) for a in node.names if a.name.split(".")[0] == "dbx_cd"}
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                found |= {(name, ast.unparse(node))} if name not in by_function else set()
    assert found == set()


def test_only_smoke_s_gx_imports_great_expectations() -> None:
    assert importers("great_expectations", ANY) == {"smoke.gx", "smoke.gx_engine", "smoke.gx_numbers"}


def test_nothing_imports_dbt_but_what_runs_in_its_own_process() -> None:
    assert importers("dbt", ANY) == {"dbt.warm", "dbt.one_parse"}
    assert importers("dbx_cd.dbt.warm", ANY) == set()


def test_nothing_outside_the_embedded_workspace_imports_it() -> None:
    assert {name for name in importers("dbx_cd.local", ANY) if not is_local(name)} == set()


def test_sql_endpoint_imports_little_of_this_project() -> None:
    found = {i for name, names in ANY.items() if name.split(".")[0] == "sql_endpoint" for i in names}
    own = {i for i in found if i.startswith("dbx_cd.")}
    ground = ("errors", "extras", "jinja", "profile_outputs", "yaml_text")
    allowed = ("dbx_cd.sql_endpoint", *(f"dbx_cd.{name}" for name in ground))
    assert {i for i in own if not i.startswith(allowed)} == set()


def test_one_module_calls_the_jobs_api() -> None:
    by_attribute = {
        name
        for name, path in modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr == "jobs"
    }
    assert {name for name in by_attribute if not is_local(name)} == {"release.jobs"}


def test_what_the_jobs_api_answers_stays_in_the_release_room() -> None:
    """What a file defines is read in the SDK's types as well: that asks nobody."""
    found = {name for name in importers("databricks.sdk.service.jobs", ANY) if not is_local(name)}
    definitions = {
        name for name in found if name in ("setup.api_types", "setup.bundled_job") or name.startswith("setup.lint.")
    }
    assert {room_of(name) for name in found - definitions - {"setup.job_lint"}} == {"release"}


def test_errors_of_the_workspace_are_translated_where_it_is_called() -> None:
    """The SDK's own errors are known in the policy, the translation, and where a run is followed."""
    found = {name for name in importers("databricks.sdk.errors", ANY) if not is_local(name)}
    assert found == {"patience", "workspace_calls", "release.jobs"}


def _touches_spark(path: Path) -> set[str]:
    """Expressions that run something on a session: its methods, or anything of a name that holds one."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute):
            holder = ast.unparse(node.value).rsplit(".", 1)[-1].lstrip("_")
            if node.attr in ("createDataFrame", "sparkContext", "newSession") or holder in ("spark", "session"):
                found.add(ast.unparse(node))
        elif isinstance(node, ast.Assign) and ast.unparse(node.value).endswith(".spark"):
            found.add(ast.unparse(node))  # under another name it would not be seen
    return found


def test_only_delta_and_smoke_touch_spark() -> None:
    found = {name: _touches_spark(path) for name, path in modules() if room_of(name) not in ("delta", "smoke")}
    assert {name: what for name, what in found.items() if what and name.split(".")[0] not in APART} == {}
    assert importers("pyspark", RUNNING) <= {
        n for n in ANY if room_of(n) in ("delta", "smoke") or n.split(".")[0] in APART
    }


def test_only_the_port_runs_statements_in_delta() -> None:
    found = {name for name, path in modules() if room_of(name) == "delta" and _touches_spark(path)}
    assert found == {"delta.sql"}


def test_html_knows_no_record() -> None:
    found = {i for name, names in ANY.items() if name.split(".")[0] == "html" for i in names}
    assert not {i for i in found if i.startswith("dbx_cd") and not i.startswith("dbx_cd.html")}


@pytest.mark.parametrize("package", ["pyspark", "delta", "pandas"])
def test_modules_outside_the_embedded_workspace_load_without(package: str) -> None:
    """On import, that is: a function may import what a cluster has."""
    at_the_top = {
        name
        for name, path in modules()
        for node in parsed(path).body
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package)
        or (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == package for alias in node.names))
    }
    assert {name for name in at_the_top if not is_local(name)} == set()


def test_imports_of_modules_make_no_circle_not_even_for_type_checking() -> None:
    graph = {f"dbx_cd.{name}": (found & KNOWN) - {f"dbx_cd.{name}"} for name, found in ANY.items()}
    assert list(TopologicalSorter(graph).static_order())


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
