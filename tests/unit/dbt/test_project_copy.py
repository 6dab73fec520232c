"""The copy of a project that dbt writes to holds its files, whatever else lies between them."""

from __future__ import annotations

import os
from pathlib import Path

from git_repositories import fill

from dbx_cd.dbt.project_copy import copy_project


def test_links_that_lead_nowhere_or_round_and_what_is_no_file_are_left_out(tmp_path: Path) -> None:
    project = tmp_path / "project"
    fill(project, {"dbt_project.yml": "name: shop\n", "models/orders.sql": "select 1", "shared/users.sql": "select 2"})
    (project / "models" / "gone").symlink_to(tmp_path / "nowhere")
    (project / "models" / "round").symlink_to("..")
    (project / "models" / "itself").symlink_to("itself")
    (project / "models" / "users.sql").symlink_to("../shared/users.sql")
    (project / "models" / "more").symlink_to("../shared")
    os.mkfifo(project / "models" / "pipe")
    copy = copy_project(project, tmp_path / "copy")
    assert sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()) == [
        "dbt_project.yml", "models/more/users.sql", "models/orders.sql", "models/users.sql", "shared/users.sql",
    ]  # fmt: skip
