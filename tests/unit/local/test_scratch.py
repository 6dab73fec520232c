from __future__ import annotations

import os
from pathlib import Path

from dbx_cd.local.scratch import Scratch, task_folder


def test_what_a_killed_workspace_has_left_is_removed_and_the_folder_stays(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    scratch.clear()
    (scratch.folder / "blockmgr-1" / "0a").mkdir(parents=True)
    (scratch.folder / "blockmgr-1" / "0a" / "block").write_text("x")
    (scratch.folder / "liblz4.so").write_text("x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (scratch.folder / "link").symlink_to(elsewhere)
    scratch.clear()
    assert list(scratch.folder.iterdir()) == []
    assert (elsewhere / "kept").exists()


def test_a_task_s_folder_is_gone_when_the_task_is(tmp_path: Path) -> None:
    state = Path("/tmp") / f"dbx_cd_{os.getpid()}"  # pytest's own folders are too long for sockets
    for place in (state, tmp_path / ("long" * 20)):
        with task_folder(place, "7") as folder:
            (folder / "left").touch()
            assert len(str(folder)) < 108 - len("/pymp-12345678/listener-12345678")
        assert not folder.exists()
    for made in (state / "tmp", state):
        made.rmdir()
