"""What becomes of `PYTHONPATH` for the processes that are started here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dbx_cd.import_path import without_current_directory


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/opt/lib", "/opt/lib"),
        (":/opt/lib", "/opt/lib"),
        ("/opt/lib:", "/opt/lib"),
        ("/a::/b", "/a:/b"),
        (".:/opt/lib", "/opt/lib"),
        ("./:/opt/lib", "/opt/lib"),
        ("src:/opt/lib", "<here>/src:/opt/lib"),
        ("./src", "<here>/src"),
        ("../src", "<here>/../src"),
    ],
)
def test_current_directory_goes_and_other_folders_stay(given: str, kept: str) -> None:
    found = without_current_directory({"PYTHONPATH": given, "HOME": "/root"})
    assert found == {"PYTHONPATH": kept.replace("<here>", str(Path.cwd())), "HOME": "/root"}


@pytest.mark.parametrize("given", ["", ".", ":", ".:"])
def test_path_that_is_only_the_current_directory_is_none(given: str) -> None:
    assert without_current_directory({"PYTHONPATH": given}) == {}


def test_without_a_path_there_is_none() -> None:
    assert without_current_directory({"HOME": "/root"}) == {"HOME": "/root"}


def test_python_takes_an_empty_entry_for_the_current_directory_even_when_told_to_be_safe(tmp_path: Path) -> None:
    """Why all this is done; when it is no longer so, it can go."""
    code = [sys.executable, "-P", "-c", "import sys; print(sys.path[0])"]
    found = subprocess.run(code, cwd=tmp_path, env={"PYTHONPATH": ":/opt/lib"}, capture_output=True, text=True)
    assert found.stdout.strip() == str(tmp_path)
