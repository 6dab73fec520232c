"""Which files are a project's: with git and without."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from git_repositories import FILES, commit, fill, git

from dbx_cd import ConfigError
from dbx_cd.artifacts.checkout import Checkout
from dbx_cd.artifacts.project_files import project_files
from dbx_cd.dbt.project_copy import copy_project

WAYS = ("in git", "without git")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed project that is a whole repository."""
    return commit(fill(tmp_path / "repository"))


def names(project: Path) -> set[str]:
    return set(project_files(project).files)


def plain(project: Path) -> Path:
    """A checkout as Databricks makes one."""
    shutil.rmtree(project / ".git")
    return project


# What belongs to the commit


def test_only_committed_files_of_a_git_repository_are_the_project_s(project: Path) -> None:
    fill(project, {".gitignore": "local.csv\n"})
    commit(project)
    fill(project, {"local.csv": "", "notes.txt": "not added"})
    assert names(project) == {*FILES, ".gitignore"}


def test_a_project_in_a_folder_of_a_repository_has_none_of_the_rest(tmp_path: Path) -> None:
    project = fill(tmp_path / "repository" / "dbt")
    fill(tmp_path / "repository", {"README.md": "", "dbt2/models/other.sql": ""})
    commit(tmp_path / "repository")
    fill(tmp_path / "repository", {"dbt2/models/untracked.sql": ""})
    assert names(project) == set(FILES)


@pytest.mark.parametrize("ignored", [True, False])
def test_a_checkout_below_another_repository_is_taken_as_it_is(project: Path, ignored: bool) -> None:
    fill(project, {".gitignore": "state/\n" if ignored else ""})
    checkout = fill(commit(project) / "state" / "checkout")
    assert names(checkout) == set(FILES)


def test_without_git_everything_but_what_is_generated_is_the_project_s(tmp_path: Path) -> None:
    project = fill(tmp_path / "project")
    generated = ("target", "logs", ".venv/bin", "models/__pycache__", "node_modules/x")
    for folder in (*generated, "models/logs", "dbt_packages/x"):
        fill(project, {f"{folder}/file.sql": ""})
    assert names(project) == {*FILES, "models/logs/file.sql", "dbt_packages/x/file.sql"}


def test_packages_that_dbt_has_linked_into_a_checkout_without_git_are_installed_anew(tmp_path: Path) -> None:
    project = fill(tmp_path / "project")
    fill(project, {"dbt_packages/x/file.sql": ""})
    (project / "dbt_packages" / "own").symlink_to(tmp_path / "elsewhere")
    assert names(project) == set(FILES)


READ = {
    "a model": ("models/new.sql", ""),
    "a seed": ("seeds/new.csv", ""),
    "a macro": ("macros/new.sql", ""),
    "a snapshot": ("snapshots/new.yml", ""),
    "an analysis": ("analyses/new.sql", ""),
    "a test": ("tests/new.sql", ""),
    "a function": ("functions/new.sql", ""),
    "a smoke suite": ("smoke/sales.yml", ""),
    "profiles": ("profiles.yml", ""),
    "packages": ("packages.yml", "packages: []"),
    "dependencies": ("dependencies.yml", "projects: []"),
    "selectors": ("selectors.yml", ""),
    "settings": ("dbx_cd.yml", ""),
    "packages of dbt": ("requirements-dbt.txt", ""),
    "what dbt ignores": (".dbtignore", ""),
}


@pytest.mark.parametrize("what", READ)
def test_an_uncommitted_file_that_dbt_or_the_smoke_test_reads_is_refused_by_name(project: Path, what: str) -> None:
    name, text = READ[what]
    fill(project, {name: text})
    with pytest.raises(
        ConfigError, match=rf"not as the commit has it: {name} is not committed.*Next: commit or remove"
    ):
        project_files(project)


@pytest.mark.parametrize("name", ["sql/orders.sql", "texts/orders.md"])
def test_an_uncommitted_file_below_paths_that_the_project_sets_is_refused(project: Path, name: str) -> None:
    fill(project, {"dbt_project.yml": "name: shop\nmodel-paths: [sql]\ndocs-paths: [./texts/]\n"})
    commit(project)
    fill(project, {name: "", "models/no_longer_read.sql": ""})
    with pytest.raises(ConfigError, match=f"not as the commit has it: {name} is not committed \\("):
        project_files(project)


def test_where_a_path_is_jinja_every_uncommitted_file_is_refused(project: Path) -> None:
    fill(project, {"dbt_project.yml": "name: shop\nmodel-paths: [\"{{ env_var('MODELS') }}\"]\n"})
    commit(project)
    fill(project, {"sql/orders.sql": "", "logs/dbt.log": ""})
    with pytest.raises(ConfigError, match=r"sql/orders\.sql is not committed \("):
        project_files(project)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (lambda p: (p / "models/orders.sql").write_text("select 2"), "differs from the commit"),
    "edited and added": (
        lambda p: ((p / "models/orders.sql").write_text("select 2"), git(p, "add", "-A")), "differs from the commit"
    ),
    "deleted": (lambda p: (p / "models/orders.sql").unlink(), "was deleted"),
    "made a link": (
        lambda p: ((p / "models/orders.sql").unlink(), (p / "models/orders.sql").symlink_to("/etc/passwd")),
        "differs from the commit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_differs_from_its_commit_is_refused(project: Path, change: str) -> None:
    act, why = CHANGES[change]
    act(project)
    with pytest.raises(ConfigError, match=rf"models/orders\.sql {why}"):
        project_files(project)


@pytest.mark.parametrize("mark", ["--assume-unchanged", "--skip-worktree"])
def test_a_model_whose_changes_are_hidden_from_git_is_refused(project: Path, mark: str) -> None:
    git(project, "update-index", mark, "models/orders.sql")
    fill(project, {"models/orders.sql": "select 2"})
    with pytest.raises(ConfigError, match=r"models/orders\.sql is marked assume-unchanged or skip-worktree"):
        project_files(project)


def test_of_many_faults_the_first_are_named_and_the_others_counted(project: Path) -> None:
    fill(project, {f"models/m{n}.sql": "" for n in range(8)})
    with pytest.raises(ConfigError, match=r"m4\.sql is not committed; and 3 more"):
        project_files(project)


@pytest.mark.parametrize("paths", ["models", "."])
def test_the_lock_file_that_dbt_deps_has_written_is_no_offence(project: Path, paths: str) -> None:
    fill(project, {"dbt_project.yml": f"name: shop\nmodel-paths: [{paths}]\n"})
    commit(project)
    fill(project, {"package-lock.yml": "packages: []"})
    assert names(project) == set(FILES)


@pytest.mark.parametrize("setting", ["model-paths", "macro-paths"])
def test_a_folder_that_dbt_reads_outside_of_the_project_is_refused_by_name(tmp_path: Path, setting: str) -> None:
    project = fill(
        tmp_path / "repository" / "dbt", {**FILES, "dbt_project.yml": f"name: shop\n{setting}: [../common]\n"}
    )
    fill(tmp_path / "repository", {"common/a.sql": ""})
    with pytest.raises(ConfigError, match=rf"`{setting}` names \.\./common, which is not in the project's folder"):
        project_files(project)


def test_a_smoke_dir_outside_of_the_project_is_refused(project: Path) -> None:
    fill(project, {"dbx_cd.yml": "smoke_dir: ../checks\n"})
    with pytest.raises(ConfigError, match=r"`smoke_dir` is .*checks, which is not in the project's folder"):
        project_files(commit(project))


def test_git_that_does_not_answer_is_not_taken_for_no_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(project, {"models/new.sql": ""})
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"git cannot be run.*Next: install git"):
        project_files(project)


def test_a_repository_that_git_refuses_to_read_is_not_taken_for_no_git(project: Path) -> None:
    (project / ".git" / "config").write_text("[core\n")
    with pytest.raises(ConfigError, match="git does not say which files are the project's: fatal: bad config"):
        project_files(project)


def test_a_variable_that_points_git_elsewhere_does_not_count(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(project, {"notes.txt": "not added"})
    monkeypatch.setenv("GIT_DIR", str(project / "nowhere"))
    assert names(project) == set(FILES)


def test_looking_at_a_repository_changes_nothing_in_it(project: Path) -> None:
    os.utime(project / "models" / "orders.sql", (1, 1))  # the index would be refreshed
    before = (project / ".git" / "index").read_bytes()
    project_files(project)
    assert (project / ".git" / "index").read_bytes() == before


@pytest.mark.parametrize("mark", ["--skip-worktree", "--assume-unchanged"])
def test_a_model_that_a_sparse_checkout_leaves_out_is_refused_and_what_dbt_does_not_read_is_left_out(
    project: Path, mark: str
) -> None:
    commit(fill(project, {"docs/notes.txt": "of no use here"}))

    def leave_out(name: str) -> None:
        git(project, "update-index", mark, name)
        (project / name).unlink()

    leave_out("docs/notes.txt")
    assert names(project) == set(FILES)
    leave_out("models/orders.sql")
    with pytest.raises(ConfigError, match=r"models/orders\.sql was left out by a sparse checkout"):
        project_files(project)


# Submodules


@pytest.fixture
def with_submodule(tmp_path: Path, project: Path) -> Path:
    commit(fill(tmp_path / "other", {"models/shared.sql": "select 3"}))
    git(project, "submodule", "--quiet", "add", str(tmp_path / "other"), "models/other")
    return commit(project)


@pytest.mark.parametrize("way", WAYS)
def test_files_of_a_submodule_are_the_project_s(with_submodule: Path, way: str) -> None:
    if way == "without git":
        plain(with_submodule)
        assert (with_submodule / "models" / "other" / ".git").is_file()
    assert names(with_submodule) == {*FILES, ".gitmodules", "models/other/models/shared.sql"}


@pytest.mark.parametrize("way", [*WAYS, "without git and folder"])
def test_a_submodule_that_is_not_checked_out_is_refused_by_name(with_submodule: Path, tmp_path: Path, way: str) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(with_submodule), str(clone)], check=True)
    if way != "in git":
        plain(clone)
    if way == "without git and folder":
        (clone / "models" / "other").rmdir()
    with pytest.raises(ConfigError, match="models/other is a submodule that is not checked out"):
        project_files(clone)


def test_a_submodule_that_dbt_never_reads_may_be_empty(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commit(fill(tmp_path / "other", {"theme.css": ""}))
    git(project, "submodule", "--quiet", "add", str(tmp_path / "other"), "website/theme")
    commit(project)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(project), str(clone)], check=True)
    assert names(clone) == {*FILES, ".gitmodules"}
    assert "website/theme is a submodule that is not checked out" in caplog.text


@pytest.mark.parametrize("change", ["an uncommitted model", "an edited model", "another commit"])
def test_a_submodule_that_is_not_as_the_commit_has_it_is_refused(with_submodule: Path, change: str) -> None:
    inside = with_submodule / "models" / "other"
    fill(inside, {"models/new.sql" if change == "an uncommitted model" else "models/shared.sql": "select 4"})
    if change == "another commit":
        commit(inside)
    with pytest.raises(ConfigError, match="models/other differs from the commit"):
        project_files(with_submodule)


def test_an_edited_file_of_a_submodule_that_git_is_told_not_to_look_at_is_refused(with_submodule: Path) -> None:
    inside = with_submodule / "models" / "other"
    git(inside, "update-index", "--assume-unchanged", "models/shared.sql")
    fill(inside, {"models/shared.sql": "select 4"})
    with pytest.raises(ConfigError, match=r"models/other/models/shared\.sql is marked assume-unchanged"):
        project_files(with_submodule)


def test_a_submodule_that_dbt_reads_a_folder_of_is_refused_where_it_is_not_as_the_commit_has_it(
    tmp_path: Path, project: Path
) -> None:
    commit(fill(tmp_path / "other", {"models/shared.sql": "select 3"}))
    git(project, "submodule", "--quiet", "add", str(tmp_path / "other"), "other")
    fill(project, {"dbt_project.yml": "name: shop\nmodel-paths: [models, other/models]\n"})
    commit(project)
    fill(project / "other", {"models/new.sql": ""})
    with pytest.raises(ConfigError, match="other differs from the commit"):
        project_files(project)


# Links


def link(project: Path, name: str, to: str | Path) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).symlink_to(to)


@pytest.mark.parametrize("way", WAYS)
def test_files_of_a_linked_folder_are_the_project_s_below_the_link_s_name(project: Path, way: str) -> None:
    fill(project, {"shared/deep/a.sql": "select 5"})
    link(project, "models/shared", "../shared")
    commit(project)
    if way == "without git":
        plain(project)
    found = project_files(project).files
    assert set(found) == {*FILES, "shared/deep/a.sql", "models/shared/deep/a.sql"}
    assert found["models/shared/deep/a.sql"].read_text() == "select 5"


def test_a_link_to_another_folder_of_the_repository_is_followed(tmp_path: Path) -> None:
    project = fill(tmp_path / "repository" / "dbt")
    fill(tmp_path / "repository", {"shared/a.sql": "select 6", "one.sql": "select 7"})
    link(project, "models/shared", "../../shared")
    link(project, "models/one.sql", "../../one.sql")
    commit(tmp_path / "repository")
    assert names(project) == {*FILES, "models/shared/a.sql", "models/one.sql"}


def test_an_uncommitted_model_behind_a_linked_folder_is_refused(tmp_path: Path) -> None:
    project = fill(tmp_path / "repository" / "dbt")
    fill(tmp_path / "repository", {"shared/a.sql": "select 6"})
    link(project, "models/shared", "../../shared")
    commit(tmp_path / "repository")
    fill(tmp_path / "repository", {"shared/new.sql": ""})
    with pytest.raises(ConfigError, match=r"models/shared/new\.sql is not committed"):
        project_files(project)


BAD_LINKS = {
    "to a file elsewhere": ("models/a.sql", "/etc/passwd", "which leaves the {whole}"),
    "to a folder elsewhere": ("models/a", "/etc", "which leaves the {whole}"),
    "out of the checkout": ("models/a", "../../elsewhere", "which leaves the {whole}"),
    "broken": ("models/a.sql", "gone.sql", "which is not there"),
    "to itself": ("models/a.sql", "a.sql", "that leads to itself"),
    "to its own folder": ("models/a", ".", "which holds the link itself"),
    "to the project": ("models/a", "..", "which holds the link itself"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", BAD_LINKS)
def test_a_link_that_no_archive_can_follow_is_refused_by_name(
    project: Path, tmp_path: Path, case: str, way: str
) -> None:
    name, to, why = BAD_LINKS[case]
    fill(tmp_path / "elsewhere", {"a.sql": ""})
    link(project, name, to)
    commit(project)
    whole = "repository"
    if way == "without git":
        plain(project)
        whole = "project"
    with pytest.raises(ConfigError, match=f"{name} is a link.* {why.format(whole=whole)}"):
        project_files(project)


UNREAD = {
    "broken": ("website/theme", "gone", "which is not there"),
    "out of the checkout": ("website/latest", "../../elsewhere", "which leaves the"),
    "to the project": ("website/all", "..", "which holds the link itself"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", UNREAD)
def test_a_link_that_dbt_never_reads_is_left_out_by_name(
    project: Path, tmp_path: Path, case: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    name, to, why = UNREAD[case]
    fill(tmp_path / "elsewhere", {"a.sql": ""})
    link(project, name, to)
    commit(project)
    if way == "without git":
        plain(project)
    with caplog.at_level(logging.WARNING):
        assert names(project) == set(FILES)
    assert f"left out of the archive, as dbt reads none of it: {name} is a link to {to}, {why}" in caplog.text


@pytest.mark.parametrize("name", ["macros", "smoke", "dbt_packages/own", "own/macros/a.sql", "profiles.yml"])
def test_a_bad_link_is_refused_wherever_dbt_or_the_smoke_test_reads(project: Path, name: str) -> None:
    fill(project, {"packages.yml": "packages: [{local: own}]", "own/dbt_project.yml": "name: own\n"})
    link(project, name, "gone")
    with pytest.raises(ConfigError, match=f"{name} is a link to gone, which is not there"):
        project_files(commit(project))


@pytest.mark.parametrize(("way", "package"), [("in git", "a package from git"), ("without git", "a local package")])
def test_a_link_that_leaves_the_checkout_is_refused_with_a_way_out(project: Path, way: str, package: str) -> None:
    link(project, "macros", "../shared")
    fill(project.parent, {"shared/m.sql": ""})
    commit(project)
    if way == "without git":
        plain(project)
    with pytest.raises(ConfigError, match=f"Next: commit the files in the place of macros, or .* {package}"):
        project_files(project)


def test_folders_that_link_to_each_other_are_refused(project: Path) -> None:
    fill(project, {"models/a/x.sql": "", "models/b/y.sql": ""})
    link(project, "models/a/b", "../b")
    link(project, "models/b/a", "../a")
    with pytest.raises(ConfigError, match="which holds the link itself"):
        project_files(commit(project))


UNCOMMITTED: dict[str, dict[str, str]] = {
    "untracked.sql": {"untracked.sql": ""},
    "edited.sql": {"edited.sql": "2"},
    "ignored": {"ignored/a.sql": ""},
    "ignored.csv": {"ignored.csv": ""},
    ".git/config": {},
}


@pytest.mark.parametrize("to", UNCOMMITTED)
def test_a_link_to_what_the_commit_does_not_have_is_refused(project: Path, to: str) -> None:
    fill(project, {"edited.sql": "1", ".gitignore": "ignored/\n*.csv\n"})
    link(project, "models/a.sql", f"../{to}")
    commit(project)
    fill(project, UNCOMMITTED[to])
    with pytest.raises(ConfigError, match=r"models/a\.sql is a link to"):
        project_files(project)


# Secrets

NEVER = (
    ".env", ".env.prod", "config/.env", ".envrc", "tls.pem", "tls.key", "cert.p12", "cert.PFX", "id_rsa", "id_rsa.old",
    "keys/id_ed25519", ".netrc", ".databrickscfg", ".pypirc", ".git-credentials", ".user.yml", ".env/prod.txt",
)  # fmt: skip
SAMPLES = (".env.example", ".env.sample", ".env.template", "models/env.sql", "seeds/keys.csv")


@pytest.mark.parametrize("way", WAYS)
def test_files_with_the_names_of_secrets_are_never_the_project_s_also_where_they_are_tracked(
    tmp_path: Path, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(NEVER):
        project = fill(tmp_path / str(number), {**FILES, name: "TOKEN=x"})
        if way == "in git":
            commit(project)
        with caplog.at_level(logging.WARNING):
            assert names(project) == set(FILES)
        assert f"left out of the archive, by names that secrets have: {name}" in caplog.text


def test_samples_of_such_files_are_the_project_s(project: Path) -> None:
    fill(project, dict.fromkeys(SAMPLES, ""))
    assert names(commit(project)) == {*FILES, *SAMPLES}


def test_a_link_does_not_bring_a_secret_in_under_another_name(project: Path) -> None:
    fill(project, {".env": "TOKEN=x"})
    link(project, "models/harmless.sql", "../.env")
    assert names(commit(project)) == set(FILES)


CLEAR = {
    "token": "shop:\n  outputs:\n    stg:\n      token: dapi0123\n",
    "client_secret": "shop: {outputs: {stg: {client_secret: 'abc'}}}\n",
    "azure_client_secret": "shop:\n  outputs:\n    stg: &a\n      azure_client_secret: abc\n    prod: *a\n",
    "password": "shop:\n  outputs:\n    - password: 12345\n",
    "token, by a default": "shop:\n  token: \"{{ env_var('T', 'dapi0123') }}\"\n",
    "token, by a default with a name": "shop:\n  token: \"{{ env_var(var='T', default='a-long-word') }}\"\n",
    "token, as a literal": "shop:\n  token: \"{{ 'dapi0123' }}\"\n",
    "password, as a number": "shop:\n  password: '{{ 123456 | as_text }}'\n",
    "password, of two": 'shop:\n  password: \'{{ env_var("A") ~ "a-long-word" }}\'\n',
    "token, beside Jinja": "shop:\n  token: \"dapi0123{{ env_var('T') }}\"\n",
    "token, by a default in what is no YAML": "{% if true %}\nshop:\n  token: '{{ env_var(''T'', ''dapi0123'') }}'\n",
    "token, beside Jinja that is no YAML": "{% if true %}\nshop:\n  token: dapi0123\n{% endif %}\n",
}


@pytest.mark.parametrize("case", CLEAR)
def test_profiles_with_a_secret_in_clear_are_refused_with_the_line(project: Path, case: str) -> None:
    key = case.split(",")[0]
    line = next(n for n, text in enumerate(CLEAR[case].splitlines(), start=1) if key in text)
    fill(project, {"ci/profiles.yml": CLEAR[case]})
    with pytest.raises(ConfigError, match=rf"`{key}` holds a secret in clear.*ci/profiles\.yml:{line}\).*env_var\("):
        project_files(commit(project))


def test_profiles_of_a_local_package_are_looked_at_too(tmp_path: Path) -> None:
    project = monorepo(tmp_path)
    fill(tmp_path / "repository" / "shared", {"profiles.yml": CLEAR["token"]})
    with pytest.raises(ConfigError, match=r"`token` holds a secret in clear.*\.\./shared/profiles\.yml:4"):
        project_files(project)


def test_profiles_of_packages_that_a_team_commits_are_others_business(project: Path) -> None:
    fill(project, {"dbt_packages/utils/integration_tests/profiles.yml": CLEAR["password"]})
    assert "dbt_packages/utils/integration_tests/profiles.yml" in names(commit(project))


READ_FROM_ENVIRONMENT = (
    "shop: {token: \"{{ env_var('T') }}\", password: '', client_secret: , auth_type: oauth}\n",
    "shop: {token: \"{{ env_var('DBT_ENV_SECRET_2', '') }}\", password: \"{{ env_var( 'P', 'not-set' ) }}\"}\n",
    "shop: {token: \"{{ env_var(var='A_LONG_NAME_2') | trim }}\", password: \"{{ var('a_long_name') }}\"}\n",
    "{% if true %}\nshop:\n  token: \"{{ env_var('A_LONG_NAME_2', '') }}\"  # of the service principal\n",
)


@pytest.mark.parametrize("text", READ_FROM_ENVIRONMENT)
def test_profiles_that_read_secrets_from_the_environment_are_the_project_s(project: Path, text: str) -> None:
    fill(project, {"profiles.yml": text})
    assert names(commit(project)) == {*FILES, "profiles.yml"}


# Local packages

PACKAGE = {"dbt_project.yml": "name: shared\n", "macros/m.sql": "{% macro m() %}1{% endmacro %}"}


def monorepo(tmp_path: Path, local: str = "../shared") -> Path:
    repository = tmp_path / "repository"
    fill(repository / "shared", PACKAGE)
    return fill(repository / "dbt", {**FILES, "packages.yml": f"packages:\n  - local: {local}\n"})


def beside(project: Path) -> dict[str, set[str]]:
    found = project_files(project)
    return {os.path.relpath(folder, found.project): set(files) for folder, files in found.beside.items()}


@pytest.mark.parametrize("way", WAYS)
def test_a_local_package_beside_the_project_is_found_with_its_own_files(tmp_path: Path, way: str) -> None:
    project = monorepo(tmp_path)
    fill(tmp_path / "repository" / "shared", {".env": "TOKEN=x"})
    if way == "in git":
        commit(tmp_path / "repository")
    assert beside(project) == {"../shared": set(PACKAGE)}


def test_a_local_package_of_a_local_package_is_found_too(tmp_path: Path) -> None:
    project = monorepo(tmp_path)
    fill(tmp_path / "repository" / "shared", {"packages.yml": "packages: [{local: ../more}]"})
    fill(tmp_path / "repository" / "more", PACKAGE)
    commit(tmp_path / "repository")
    assert beside(project) == {"../shared": {*PACKAGE, "packages.yml"}, "../more": set(PACKAGE)}


def test_a_local_package_is_found_beside_jinja(tmp_path: Path) -> None:
    project = monorepo(tmp_path)
    fill(project, {"packages.yml": "packages:\n{% if true %}\n  - local: '../shared' # ours\n{% endif %}\n"})
    assert beside(project) == {"../shared": set(PACKAGE)}


@pytest.mark.parametrize("inside", [True, False])
def test_an_uncommitted_macro_of_a_local_package_is_refused(tmp_path: Path, inside: bool) -> None:
    package = "own/shared" if inside else "../shared"
    project = monorepo(tmp_path, package)
    fill(project / package, PACKAGE)
    commit(tmp_path / "repository")
    fill(project / package, {"macros/new.sql": "", "notes.txt": ""})
    with pytest.raises(ConfigError, match=rf"not as the commit has it: {package}/macros/new\.sql is not committed \("):
        project_files(project)


def test_a_local_package_of_which_nothing_is_committed_is_refused(tmp_path: Path) -> None:
    project = monorepo(tmp_path)
    fill(tmp_path / "repository", {".gitignore": "shared/\n"})
    commit(tmp_path / "repository")
    with pytest.raises(ConfigError, match="nothing of this local package is committed"):
        project_files(project)


def test_a_local_package_outside_of_the_repository_is_refused_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", PACKAGE)
    project = monorepo(tmp_path, "../../elsewhere")
    commit(tmp_path / "repository")
    with pytest.raises(ConfigError, match=r"the local package ../../elsewhere is outside of the repository"):
        project_files(project)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("folder", ["elsewhere", "repository/shared"])
def test_a_local_package_with_an_absolute_path_is_refused_also_in_the_repository(
    tmp_path: Path, folder: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = fill(tmp_path / folder, PACKAGE)
    monkeypatch.setenv("SHARED", str(named))
    for written in (str(named), "\"{{ env_var('SHARED') }}\""):
        project = monorepo(tmp_path, written)
        if way == "in git":
            commit(tmp_path / "repository")
        with pytest.raises(ConfigError, match=f"the local package {named} is named by an absolute path"):
            project_files(project)


def test_a_local_package_is_found_by_a_path_with_jinja(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "repository" / "other", PACKAGE)
    project = monorepo(tmp_path, "\"{{ env_var('SHARED', '../shared') }}\"")
    assert beside(project) == {"../shared": set(PACKAGE)}
    monkeypatch.setenv("SHARED", "../other")
    assert beside(project) == {"../other": set(PACKAGE)}


def test_the_project_may_lie_in_the_package_that_it_names(tmp_path: Path) -> None:
    """As dbt-utils keeps its tests."""
    repository = fill(tmp_path / "repository", PACKAGE)
    project = fill(repository / "integration_tests", {**FILES, "packages.yml": "packages:\n  - local: ../\n"})
    commit(repository)
    own = {*FILES, "packages.yml"}
    assert beside(project) == {"..": {*PACKAGE, *(f"integration_tests/{name}" for name in own)}}
    fill(repository, {"macros/new.sql": ""})
    with pytest.raises(ConfigError, match=r"\.\./macros/new\.sql is not committed"):
        project_files(project)


def test_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no dbt_project\.yml"):
        project_files(tmp_path)


def test_a_folder_of_files_is_not_asked_of_git(project: Path) -> None:
    fill(project, {"new.sql": ""})
    assert "new.sql" in Checkout.of_files(project).names


# What of the asset bundle lies between

BUNDLE = {
    "databricks.yml": "bundle: {name: x}\n", "resources/dbx_cd.job.yml": "", "resources/more/x.yml": "",
    "notebooks/run_dbt.py": "", ".github/workflows/cd.yml": "", "requirements/dbt.txt": "",
}  # fmt: skip
# What the Databricks CLI keeps, which no commit has.
KEPT = {".databricks/bundle/main/terraform.tfstate": "{}"}
BESIDE_DBT = {"requirements-dbt.txt": "dbt-core==1.11.16\n", "dbx_cd.yml": "{}\n", "smoke/sales.yml": "domain: sales\n"}


def at_the_root(folder: Path, way: str, **files: str) -> Path:
    """A project at the root of a repository that has a bundle."""
    fill(folder, {**FILES, **BUNDLE, **BESIDE_DBT, **{name.replace("__", "/"): text for name, text in files.items()}})
    if way == "in git":
        commit(folder)
    return fill(folder, KEPT)


def copied(project: Path, place: Path) -> set[str]:
    copy = copy_project(project, place)
    return {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}


@pytest.mark.parametrize("way", WAYS)
def test_what_the_bundle_has_at_the_root_is_neither_archived_nor_copied(tmp_path: Path, way: str) -> None:
    project = at_the_root(tmp_path / "repository", way)
    assert names(project) == {*FILES, *BESIDE_DBT}
    assert copied(project, tmp_path / "copy") == {*FILES, *BESIDE_DBT}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("written", ["resources", "./resources/", "resources/more"])
@pytest.mark.parametrize("setting", ["model-paths", "macro-paths", "seed-paths", "docs-paths", "asset-paths"])
def test_nothing_below_a_path_of_dbt_s_own_is_left_out(tmp_path: Path, way: str, setting: str, written: str) -> None:
    settings = f"name: shop\n{setting}: [{written}]\n"
    project = at_the_root(tmp_path / "repository", way, **{"dbt_project.yml": settings})
    missing = {*BUNDLE} - names(project)
    assert missing == {name for name in BUNDLE if not name.startswith("resources/")}
    assert missing == {*BUNDLE} - copied(project, tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("packages.yml", "packages:\n  - local: resources/more\n", "resources/more/x.yml"),
        ("dbt_project.yml", "name: shop\npackages-install-path: notebooks/packages\n", "notebooks/run_dbt.py"),
        ("dbt_project.yml", "name: shop\ndocs-paths: [\"{{ var('docs') }}\"]\n", "databricks.yml"),
        ("dbt_project.yml", "name: shop\nmodel-paths: ['.']\n", "databricks.yml"),
        ("resources/profiles.yml", "shop: {}\n", "resources/more/x.yml"),
    ],
)
def test_nothing_that_dbt_may_read_otherwise_is_left_out(tmp_path: Path, name: str, text: str, kept: str) -> None:
    project = at_the_root(tmp_path / "repository", "without git", **{name: text})
    fill(project, {"resources/more/dbt_project.yml": "name: more\n"} if "local" in text else {})
    assert kept in names(project)
    assert kept in copied(project, tmp_path / "copy")


def test_suites_are_archived_wherever_the_settings_have_them(tmp_path: Path) -> None:
    """dbt needs no copy of them."""
    project = at_the_root(tmp_path / "repository", "in git", **{"dbx_cd.yml": "smoke_dir: notebooks/smoke\n"})
    fill(project, {"notebooks/smoke/sales.yml": "domain: sales\n"})
    commit(project)
    assert {"notebooks/smoke/sales.yml", "notebooks/run_dbt.py"} <= names(project)


@pytest.mark.parametrize("way", WAYS)
def test_folders_of_such_names_stay_where_no_bundle_is_at_the_project_s_root(tmp_path: Path, way: str) -> None:
    """As in a subfolder of the repository, and in a project without a bundle."""
    project = fill(tmp_path / "repository" / "dbt", {**FILES, "resources/x.yml": "", "notebooks/a.py": ""})
    fill(tmp_path / "repository", BUNDLE)
    if way == "in git":
        commit(tmp_path / "repository")
    assert names(project) == {*FILES, "resources/x.yml", "notebooks/a.py"} == copied(project, tmp_path / "copy")
