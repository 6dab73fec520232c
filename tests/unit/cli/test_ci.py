"""What CI does: install what two calls of the Jobs API need, and start the project's job."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from failing_api import serving
from workflow_api import SHA, Workflow

from dbx_cd.cli.main import main
from dbx_cd.setup.bundle import ci_text
from dbx_cd.setup.bundle_options import BundleOptions

REQUIREMENTS = Path(__file__).parents[3] / "requirements"
LOCK = REQUIREMENTS / "dbx_cd-trigger.txt"

# Lets a process import, of all that is installed, nothing but dbx_cd and the distributions that are named.
ALONE = """
import sys
from importlib.metadata import packages_distributions

allowed, arguments = {"dbx-cd", *sys.argv[1].split()}, sys.argv[2:]
brought = {name: {d.lower().replace("_", "-") for d in found} for name, found in packages_distributions().items()}

class Refused:
    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.partition(".")[0]
        if top in brought and not brought[top] & allowed:
            raise ModuleNotFoundError(f"not installed: {name}", name=name)

sys.meta_path.insert(0, Refused)
from dbx_cd.cli.main import main
sys.exit(main(arguments))
"""


def locked() -> dict[str, str]:
    """Each distribution's version."""
    return dict(re.findall(r"^([\w.-]+)==([^ ;\\]+)", LOCK.read_text(), re.MULTILINE))


def trigger_alone(allowed: set[str], host: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    variables = {k: v for k, v in os.environ.items() if not k.startswith("DATABRICKS_")}
    variables |= {"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": "t", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", ALONE, " ".join(allowed), "trigger", "--job", "dbx_cd_shop", "--commit", SHA]
    return subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_trigger_runs_with_the_locked_packages_alone(tmp_path: Path) -> None:
    with serving(Workflow()) as client:
        done = trigger_alone(set(locked()), client.config.host, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"at commit {SHA[:12]}" in done.stdout


@pytest.mark.parametrize("package", ["pyyaml", "mashumaro", "markupsafe", "lazy-loader"])
def test_trigger_needs_each_package_that_the_sdk_does_not_bring(package: str, tmp_path: Path) -> None:
    done = trigger_alone(set(locked()) - {package}, "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


def test_every_locked_package_has_hashes_and_none_is_found_elsewhere_than_in_a_registry() -> None:
    text = LOCK.read_text()
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked())
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in text


def test_what_is_locked_is_what_is_asked_for_and_no_more_than_the_wheel_requires() -> None:
    asked = [
        line for line in (REQUIREMENTS / "dbx_cd-trigger.in").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    required = (REQUIREMENTS.parent / "setup.cfg").read_text().partition("install_requires =")[2].partition("\n\n")[0]
    assert set(asked) <= {line.strip() for line in required.splitlines()}
    assert {re.split(r"[><=]", line)[0].lower() for line in asked} <= set(locked())


def test_no_pending_trigger_is_cancelled_and_each_project_starts_its_own_job() -> None:
    """`queue: max` is not allowed beside `cancel-in-progress: true` (GitHub documentation on concurrency)."""
    workflow = yaml.safe_load(ci_text(BundleOptions(project="shop")))
    assert workflow["concurrency"] == {"group": "dbx-cd-shop", "queue": "max"}
    *_, install, wheel, start = workflow["jobs"]["release"]["steps"]
    assert install["run"].endswith(f"install --require-hashes -r requirements/{LOCK.name}")
    assert "install --no-deps " in wheel["run"]
    assert "trigger --job dbx_cd_shop --commit" in start["run"]


def triggered_job(folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    """The name that is looked for, by a workspace that has no job."""
    asked: list[str] = []
    monkeypatch.chdir(folder)
    monkeypatch.setattr("dbx_cd.cli.trigger.current_workspace", lambda: None)
    monkeypatch.setattr("dbx_cd.cli.trigger.trigger", lambda workspace, job, **_: asked.append(job) or sys.exit(0))
    with pytest.raises(SystemExit):
        main(["trigger", "--commit", SHA, *options])
    return asked[0]


def test_the_job_is_the_one_of_the_repository_around_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert triggered_job(tmp_path, monkeypatch) == "dbx_cd"
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "dbx_cd.job.yml").write_text("resources: {jobs: {dbx_cd: {name: dbx_cd_shop}}}\n")
    (tmp_path / "models").mkdir()
    assert triggered_job(tmp_path / "models", monkeypatch) == "dbx_cd_shop"
    assert triggered_job(tmp_path, monkeypatch, "--job", "17") == "17"
