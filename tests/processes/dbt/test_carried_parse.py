"""A parse that is carried to another invocation: where it lies, when it is used, and that it changes no manifest."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import write
from dbt_projects import VARIABLE, manifest, shop

from dbx_cd import run_dbt
from dbx_cd.dbt import carried_parse as module
from dbx_cd.dbt.carried_parse import PARSE_FILE, CarriedParse, cache_folder, carried_parse
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.parse_time import depends_on_the_invocation
from dbx_cd.dbt.project import LocalProject

Edit = Callable[[Path], object]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of parses, empty for each test."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    folder = cache_folder()
    assert folder is not None
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    for name, text in {
        "dbt_project.yml": "name: small\nprofile: small\n",
        "profiles.yml": "small: {}\n",
        "models/orders.sql": "select 1 as id",
        "dbt_packages/other/macros/m.sql": "{% macro m() %}1{% endmacro %}",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def place(
    project: Path, work: Path, *, target: str = "stg", vars: Any = None, words: Any = ("build",),
    environment: DbtEnvironment | None = None,
) -> CarriedParse:  # fmt: skip
    copy = LocalProject.prepare(project, work=work, profiles_dir=None)
    found = carried_parse(copy, target=target, vars=vars, words=words, environment=environment)
    assert found is not None
    return found


def left(folder: Path, payload: bytes = b"parsed") -> Path:
    """A target folder as dbt leaves it after the parse of an empty project."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PARSE_FILE).write_bytes(payload)
    write(folder / "manifest.json", {"macros": {}, "nodes": {}})
    return folder


def test_kept_parse_is_brought_to_another_copy_of_the_project(project: Path, tmp_path: Path) -> None:
    assert place(project, tmp_path / "a").keep(left(tmp_path / "a" / "target"))
    assert place(project, tmp_path / "b").bring(tmp_path / "b" / "target")
    assert (tmp_path / "b" / "target" / PARSE_FILE).read_bytes() == b"parsed"


def test_parse_that_dbt_left_in_the_same_work_folder_stays(project: Path, tmp_path: Path) -> None:
    kept = place(project, tmp_path / "a")
    kept.keep(left(tmp_path / "a" / "target"))
    newer = left(tmp_path / "b" / "target", b"newer")
    assert not kept.bring(newer)
    assert (newer / PARSE_FILE).read_bytes() == b"newer"


CHANGES: dict[str, Edit] = {
    "a model": lambda p: (p / "models" / "orders.sql").write_text("select 2 as id"),
    "a model's name": lambda p: (p / "models" / "orders.sql").rename(p / "models" / "other.sql"),
    "a macro of a package": lambda p: (p / "dbt_packages" / "other" / "macros" / "m.sql").write_text("x"),
    "a new file": lambda p: (p / "models" / "more.yml").write_text(""),
    "the profile": lambda p: (p / "profiles.yml").write_text("small: {target: stg}\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_the_project_has_a_parse_of_its_own(project: Path, tmp_path: Path, change: str) -> None:
    before = place(project, tmp_path / "a").key
    assert place(project, tmp_path / "b").key == before
    CHANGES[change](project)
    assert place(project, tmp_path / "c").key != before


def test_change_of_a_profile_elsewhere_has_a_parse_of_its_own(project: Path, tmp_path: Path) -> None:
    profiles = tmp_path / "profiles" / "profiles.yml"
    profiles.parent.mkdir()
    keys = set()
    for n, text in enumerate(["small: {}", "small: {target: stg}"]):
        profiles.write_text(text)
        copy = LocalProject.prepare(project, work=tmp_path / str(n), profiles_dir=profiles.parent)
        found = carried_parse(copy, target="stg", vars=None, words=["build"])
        assert found is not None
        keys.add(found.key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    "other", [{"target": "prod"}, {"vars": {"day": 1}}, {"words": ("build", "--vars", "{day: 1}")}], ids=str
)
def test_other_parameters_have_a_parse_of_their_own(project: Path, tmp_path: Path, other: dict[str, Any]) -> None:
    assert place(project, tmp_path / "a", **other).key != place(project, tmp_path / "b").key


def test_variables_that_dbt_writes_into_artifacts_have_a_parse_of_their_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place(project, tmp_path / "a").key
    monkeypatch.setenv("DBT_ENV_CUSTOM_ENV_RUN", "1")
    assert place(project, tmp_path / "b").key != before


def test_commands_of_one_release_share_a_parse(project: Path, tmp_path: Path) -> None:
    commands = (["build"], ["ls"], ["source", "freshness"], ["docs", "generate", "--static"])
    keys = {place(project, tmp_path / words[0], words=words).key for words in commands}
    assert len(keys) == 1


def test_other_versions_of_dbt_have_a_parse_of_their_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place(project, tmp_path / "a").key
    monkeypatch.setattr("dbx_cd.dbt.environment.version", lambda name: "0.0.1" if name == "dbt-databricks" else "1")
    after = place(project, tmp_path / "b").key
    monkeypatch.setattr("dbx_cd.dbt.environment.version", lambda name: "0.0.2" if name == "dbt-databricks" else "1")
    assert len({before, after, place(project, tmp_path / "c").key}) == 3


def test_another_environment_has_a_parse_of_its_own(project: Path, tmp_path: Path) -> None:
    own = DbtEnvironment.own()
    other = replace(own, record=replace(own.record, digest="a" * 64))
    keys = [place(project, tmp_path / "a", environment=one).key for one in (own, other, None)]
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize("words", [["deps"], ["clean"], ["debug"]])
def test_command_that_does_not_parse_has_none(project: Path, tmp_path: Path, words: list[str]) -> None:
    copy = LocalProject.prepare(project, work=tmp_path / "work", profiles_dir=None)
    assert carried_parse(copy, target="stg", vars=None, words=words) is None


def test_nothing_is_carried_where_dbt_has_to_find_its_profiles(project: Path, tmp_path: Path) -> None:
    (project / "profiles.yml").unlink()
    copy = LocalProject.prepare(project, work=tmp_path / "work", profiles_dir=None)
    assert carried_parse(copy, target="stg", vars=None, words=["build"]) is None


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"", lambda b: b"x" * len(b)])
def test_damaged_parse_is_ignored_and_removed(project: Path, tmp_path: Path, cache: Path, damage: Any) -> None:
    kept = place(project, tmp_path / "a")
    kept.keep(left(tmp_path / "a" / "target"))
    file = cache / kept.key
    file.write_bytes(damage(file.read_bytes()))
    assert not kept.bring(tmp_path / "b" / "target")
    assert not (tmp_path / "b" / "target" / PARSE_FILE).exists()
    assert not file.exists()


def test_parse_under_the_name_of_another_is_ignored(project: Path, tmp_path: Path, cache: Path) -> None:
    kept, other = place(project, tmp_path / "a"), place(project, tmp_path / "b", target="prod")
    kept.keep(left(tmp_path / "a" / "target"))
    (cache / kept.key).rename(cache / other.key)
    assert not other.bring(tmp_path / "b" / "target")


def test_only_this_user_can_read_a_parse(project: Path, tmp_path: Path, cache: Path) -> None:
    kept = place(project, tmp_path / "a")
    kept.keep(left(tmp_path / "a" / "target"))
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE((cache / kept.key).stat().st_mode) == 0o600
    kept.bring(tmp_path / "b" / "target")
    assert stat.S_IMODE((tmp_path / "b" / "target" / PARSE_FILE).stat().st_mode) == 0o600


def test_folder_that_others_may_enter_is_not_used(cache: Path) -> None:
    cache.chmod(0o755)
    assert cache_folder() is None


def test_link_is_not_used_as_the_folder(cache: Path, tmp_path: Path) -> None:
    cache.rename(tmp_path / "elsewhere")
    cache.symlink_to(tmp_path / "elsewhere")
    assert cache_folder() is None


def test_parses_are_limited_in_number_size_and_age(
    project: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    places = [CarriedParse(cache, f"{n:064}", project) for n in range(5)]
    for n, kept in enumerate(places):
        kept.keep(left(tmp_path / "target", str(n).encode()))
        os.utime(cache / kept.key, (time.time() - 100 + n, time.time() - 100 + n))
    assert {p.name for p in cache.iterdir()} == {kept.key for kept in places[2:]}
    CarriedParse(cache, "f" * 64, project).keep(left(tmp_path / "target", b"x" * 2000))
    assert sum(p.stat().st_size for p in cache.iterdir()) <= 1000
    places[0].keep(left(tmp_path / "target", b"0"))
    long_ago = time.time() - module.MAX_AGE_SECONDS - 1
    os.utime(cache / places[0].key, (long_ago, long_ago))
    places[1].keep(left(tmp_path / "target", b"1"))
    assert places[0].key not in {p.name for p in cache.iterdir()}


# What a parse may depend on without dbt's noticing.

MODEL = {
    "resource_type": "model",
    "raw_code": "select 1",
    "depends_on": {"macros": ["macro.small.outer", "macro.dbt.is_incremental"]},
}
MACROS = {
    "macro.small.outer": {"package_name": "small", "macro_sql": "{{ inner() }}", "name": "outer",
                          "depends_on": {"macros": ["macro.small.inner"]}},
    "macro.small.inner": {"package_name": "small", "macro_sql": "1", "name": "inner", "depends_on": {"macros": []}},
    "macro.small.unused": {"package_name": "small", "macro_sql": "{{ flags.WHICH }}", "name": "unused"},
    "macro.dbt.is_incremental": {"package_name": "dbt", "macro_sql": "{{ flags.FULL_REFRESH }}", "name": "is_it"},
}  # fmt: skip


def depends(project: Path, **parts: Any) -> bool:
    document = {"macros": MACROS, "nodes": {"model.small.orders": MODEL}, **parts}
    write(project.parent / "manifest.json", json.loads(json.dumps(document)))
    return depends_on_the_invocation(project, manifest=project.parent / "manifest.json")


def test_parse_of_plain_models_and_macros_depends_on_files_alone(project: Path) -> None:
    assert not depends(project)


@pytest.mark.parametrize(
    "code",
    [
        "{{ config(enabled=flags.WHICH == 'run') }}",
        "{{ config(alias='x_' ~ run_started_at.strftime('%d')) }}",
        "{{ invocation_id }}",
        "{{ modules.datetime.datetime.now() }}",
        "{{ dbt_metadata_envs }}",
    ],
)
def test_parse_of_a_model_that_reads_the_invocation_depends_on_it(project: Path, code: str) -> None:
    model = {**MODEL, "raw_code": code}
    assert depends(project, nodes={"model.small.orders": model})
    assert depends(project, nodes={}, disabled={"model.small.orders": [model]})
    assert not depends(project, nodes={"operation.small.hook": {**model, "resource_type": "operation"}})


def test_parse_of_a_model_whose_macro_s_macro_reads_the_invocation_depends_on_it(project: Path) -> None:
    inner = {**MACROS["macro.small.inner"], "macro_sql": "{{ flags.WHICH }}"}
    assert depends(project, macros={**MACROS, "macro.small.inner": inner})


def test_parse_with_a_schema_name_of_the_invocation_depends_on_it(project: Path) -> None:
    naming = {"package_name": "small", "macro_sql": "{{ invocation_id }}", "name": "generate_schema_name"}
    assert depends(project, macros={**MACROS, "macro.small.generate_schema_name": naming})


def test_parse_with_properties_that_read_the_invocation_depends_on_it(project: Path) -> None:
    (project / "models" / "orders.yml").write_text("models: [{name: orders, config: {enabled: '{{ flags.X }}'}}]")
    assert depends(project)


def test_parse_whose_manifest_cannot_be_read_is_not_trusted(project: Path, tmp_path: Path) -> None:
    assert depends_on_the_invocation(project, manifest=tmp_path / "nothing.json")


# From here on dbt itself: nothing of this changes a manifest.


@pytest.fixture
def parse(tmp_path: Path, cache: Path, warm_dbt: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Parses the shop in a work folder of its own, with what is kept or with nothing; returns the manifest."""
    numbers = iter(range(100))

    def parse(project: Path, *, carried: bool, target: str = "stg", **vars: Any) -> Any:
        work = tmp_path / f"work{next(numbers)}"
        aside = tmp_path / "aside"
        if not carried:
            cache.rename(aside)
        try:
            done = run_dbt("parse", target=target, vars=vars or None, project_dir=project, work_dir=work)
        finally:
            if not carried:
                for path in cache.iterdir():
                    path.unlink()
                cache.rmdir()
                aside.rename(cache)
        return manifest(done.files_dir / "manifest.json", project=work / "project")

    return parse


def was_used(work: Path) -> bool:
    """Whether dbt read a parse that it found, as it says in its log."""
    log = (work / "logs" / "dbt.log").read_text()
    return "Partial parsing enabled" in log and "saved manifest not found" not in log


def edit(file: str, old: str, new: str) -> Edit:
    return lambda project: (project / file).write_text((project / file).read_text().replace(old, new))


EDITS: dict[str, tuple[Edit, dict[str, Any]]] = {
    "a model": (edit("models/probe.sql", "select 1", "select 2"), {}),
    "a macro": (edit("macros/region.sql", "north", "south"), {}),
    "a variable": (lambda project: None, {"day": "monday"}),
    "the target": (lambda project: None, {"target": "prod"}),
}


def test_carried_parse_is_used_and_leaves_the_same_manifest(
    parse: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shop(tmp_path / "shop")
    first = parse(project, carried=True)
    assert not was_used(tmp_path / "work0")
    assert parse(project, carried=True) == first
    assert was_used(tmp_path / "work1")
    # An environment variable is not part of the key: dbt compares it.
    monkeypatch.setenv(VARIABLE, "west")
    with_variable = parse(project, carried=True)
    assert was_used(tmp_path / "work2")
    assert with_variable != first
    assert with_variable["nodes"]["model.shop.probe"]["config"]["meta"]["variable"] == "west"
    assert with_variable == parse(project, carried=False)
    # All that is part of the key, changed at once; the deep test below changes one at a time.
    options: dict[str, Any] = {}
    for change, more in EDITS.values():
        change(project)
        options |= more
    changed = parse(project, carried=True, **options)
    assert not was_used(tmp_path / "work4")
    assert changed != with_variable
    assert changed == parse(project, carried=False, **options)


@pytest.mark.deep
@pytest.mark.parametrize("name", EDITS)
def test_after_a_change_the_manifest_is_that_of_a_parse_anew(
    parse: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    project = shop(tmp_path / "shop")
    change, options = EDITS[name]
    first = parse(project, carried=True)
    change(project)
    after = parse(project, carried=True, **options)
    assert after != first
    assert after == parse(project, carried=False, **options)
