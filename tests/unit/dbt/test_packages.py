"""When packages have to be installed: where not everything that a project names is in their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_repositories import fill

from dbx_cd.dbt.packages import INSTALLED, local_packages, needs_deps

COMMIT, OTHER = "3c6201eaf365ddad6d44c0dd4545565f058642b8", "4037603e96bd567ca03c6f9850ac1f17a70a314c"
NAMED = f"""packages:
  - package: dbt-labs/dbt_utils
    version: 1.1.1
  - git: https://git.example.org/team/macros.git
    revision: {COMMIT}
  - local: ../shared
"""
# As dbt-core 1.11.16 writes it: every package with its folder, also what packages name (`dbt_date`).
LOCK = f"""packages:
  - name: dbt_utils
    package: dbt-labs/dbt_utils
    version: 1.1.1
  - git: https://git.example.org/team/macros.git
    name: team_macros
    revision: {COMMIT}
  - local: ../shared
    name: shared
  - name: dbt_date
    package: godatadriven/dbt_date
    version: 0.11.0
sha1_hash: {OTHER}
"""
ALL = ("dbt_utils", "team_macros", "shared", "dbt_date")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return fill(tmp_path / "shop", {"dbt_project.yml": "name: shop\n", "packages.yml": NAMED})


def installed(project: Path, *packages: str, path: str = "dbt_packages") -> None:
    for package in packages:
        fill(project / path / package, {"dbt_project.yml": f"name: {package}\n"})


@pytest.mark.parametrize("lock", [True, False])
def test_what_is_installed_altogether_is_not_installed_again(project: Path, lock: bool) -> None:
    installed(project, *ALL)
    if lock:
        fill(project, {"package-lock.yml": LOCK})
    assert not needs_deps(project)


@pytest.mark.parametrize("missing", ALL)
def test_each_package_of_the_lock_file_has_to_be_there(project: Path, missing: str) -> None:
    fill(project, {"package-lock.yml": LOCK})
    installed(project, *(name for name in ALL if name != missing))
    assert needs_deps(project)


@pytest.mark.parametrize("kept", [".gitkeep", "README.md", "__pycache__/x.pyc"])
def test_a_folder_that_a_file_keeps_in_git_holds_no_package(project: Path, kept: str) -> None:
    fill(project / "dbt_packages", {kept: ""})
    assert needs_deps(project)


def test_as_many_folders_as_packages_are_asked_for_without_a_lock_file(project: Path) -> None:
    installed(project, "dbt_utils", "team_macros")
    assert needs_deps(project)
    installed(project, "shared")
    assert not needs_deps(project)


def test_a_package_of_which_only_a_part_was_written_is_installed_again(project: Path) -> None:
    installed(project, *ALL)
    (project / "dbt_packages" / "dbt_date" / "dbt_project.yml").unlink()
    assert needs_deps(project)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  - local: ../shared\n", "  - local: ../shared\n  - package: dbt-labs/codegen\n    version: 0.12.1\n"),
        ("version: 1.1.1", "version: 1.3.0"),
        (f"revision: {COMMIT}", f"revision: {OTHER}"),
        ("local: ../shared", "local: ../other"),
    ],
    ids=["a package more", "another version", "another commit", "another path"],
)
def test_a_lock_file_that_is_older_than_what_is_named_does_not_count(project: Path, old: str, new: str) -> None:
    installed(project, *ALL)
    fill(project, {"package-lock.yml": LOCK, "packages.yml": NAMED.replace(old, new)})
    assert needs_deps(project)


@pytest.mark.parametrize(
    ("old", "new", "dbt_s_hash"),
    [
        ("version: 1.1.1", "version: ['>=1.0.0', '<2.0.0']", "8bb623e7050aa486b86340cb5ebfec2deef4d599"),
        (f"revision: {COMMIT}", "revision: main", "0daeed0363c012a8f5ca4a15025e1f8a6388889c"),
        (f"revision: {COMMIT}", "revision: 1.0.0", "6d40cee9b3987a6cd1c007173fd50cb7fea2fe53"),
    ],
    ids=["a range", "a branch", "a tag"],
)
def test_of_a_range_or_a_branch_the_lock_file_counts_while_its_hash_is_dbt_s_of_what_is_named(
    project: Path, old: str, new: str, dbt_s_hash: str
) -> None:
    installed(project, *ALL)
    fill(project, {"package-lock.yml": LOCK, "packages.yml": NAMED.replace(old, new)})
    assert needs_deps(project), "the lock file was written for other packages"
    fill(project, {"package-lock.yml": LOCK.replace(OTHER, dbt_s_hash)})
    assert not needs_deps(project)
    fill(project, {"packages.yml": f"# said in other words\n{NAMED.replace(old, new)}"})
    assert not needs_deps(project)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://git.example.org/", "https://{{ env_var('DBT_ENV_SECRET_GIT') }}@git.example.org/"),
        ("local: ../shared", "local: \"{{ env_var('SHARED', '../shared') }}\""),
    ],
    ids=["a secret", "a path with Jinja"],
)
def test_what_the_lock_file_says_in_other_words_is_no_other_package(project: Path, old: str, new: str) -> None:
    installed(project, *ALL)
    fill(project, {"package-lock.yml": LOCK, "packages.yml": NAMED.replace(old, new)})
    assert not needs_deps(project)


def test_a_committed_package_counts_although_the_lock_file_is_from_before_it(project: Path) -> None:
    more = "  - package: dbt-labs/codegen\n    version: 0.12.1\n"
    fill(project, {"package-lock.yml": LOCK, "packages.yml": NAMED + more})
    installed(project, *ALL, "codegen")
    assert not needs_deps(project)


def test_packages_are_looked_for_where_the_project_puts_them(project: Path) -> None:
    fill(project, {"dbt_project.yml": "name: shop\npackages-install-path: vendor/dbt\n"})
    installed(project, *ALL)
    assert needs_deps(project)
    installed(project, *ALL, path="vendor/dbt")
    assert not needs_deps(project)


@pytest.mark.parametrize("text", ["", "packages: []\n", "projects:\n  - name: finance\n"])
def test_a_project_that_names_no_package_needs_none(project: Path, text: str) -> None:
    (project / "packages.yml").unlink()
    fill(project, {"dependencies.yml": text})
    assert not needs_deps(project)


def test_with_jinja_around_packages_any_package_will_do_but_for_what_is_locked(project: Path) -> None:
    fill(project, {"packages.yml": "packages:\n{% if true %}\n  - local: ../shared\n{% endif %}\n"})
    assert needs_deps(project)
    installed(project, "shared")
    assert not needs_deps(project)
    fill(project, {"package-lock.yml": LOCK})
    assert needs_deps(project)
    installed(project, *ALL)
    assert not needs_deps(project)


@pytest.mark.parametrize("broken", ["when: 2024-13-45\n", f"when: {'[' * 3000}\n"], ids=["a date", "a nesting"])
def test_what_only_dbt_can_say_of_a_broken_file_is_left_to_it(project: Path, broken: str) -> None:
    fill(project, {"packages.yml": f"packages:\n  - local: ../shared\n{broken}"})
    assert list(local_packages(project)) == ["../shared"]
    assert needs_deps(project)


def test_a_path_that_only_dbt_can_render_is_left_to_it(project: Path) -> None:
    fill(project, {"packages.yml": "packages:\n  - local: '{{ 1 / 0 }}'\n  - local: ../shared\n"})
    assert list(local_packages(project)) == ["../shared"]


def test_an_archive_says_that_its_packages_are_installed_whatever_dbt_found(project: Path) -> None:
    fill(project / "dbt_packages", {INSTALLED: ""})
    assert not needs_deps(project)
