"""What may be in `requirements-dbt.txt`: packages by one version and hashes, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import ConfigError
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.requirements_lock import Pin, RequirementsLock

HASH = f"--hash=sha256:{'0a' * 32}"
DBT = f"dbt-core==1.11.16 {HASH}\n"
PATH = Path("requirements-dbt.txt")


def pins(text: str) -> tuple[Pin, ...]:
    return RequirementsLock.parse(text, path=PATH).pins


def test_lines_of_uv_are_understood() -> None:
    text = (
        "# a header\n\n"
        f"dbt_core==1.11.16 \\\n    {HASH} \\\n    --hash=sha256:{'1b' * 32}\n    # via -r requirements-dbt.in\n"
        f"numpy==2.4.6 ; python_full_version < '3.12' \\\n    {HASH}\n"
        f"requests[socks]==2.34.2 {HASH}  # a remark\n"
    )
    a, b = (f"sha256:{'0a' * 32}", f"sha256:{'1b' * 32}")
    assert pins(text) == (
        Pin("dbt-core", "1.11.16", "", (a, b)),
        Pin("numpy", "2.4.6", "python_full_version < '3.12'", (a,)),
        Pin("requests", "2.34.2", "", (a,)),
    )


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "--extra-index-url=https://example.org/simple",
        "--find-links wheels",
        "-e .",
        "-r other.txt",
        "./wheels/six-1.17.0-py3-none-any.whl",
        f"six @ https://example.org/six-1.17.0-py3-none-any.whl {HASH}",
        "https://example.org/six-1.17.0-py3-none-any.whl",
        "git+https://example.org/six",
        "six",
        "six==1.17.0",
        f"six>=1.17.0 {HASH}",
        f"six==1.* {HASH}",
        f"six==1.17.0,<2 {HASH}",
        "six==1.17.0 --hash=md5:0123456789abcdef0123456789abcdef",
        "six==1.17.0 --hash=sha256:short",
        f"six==1.17.0 {HASH} --global-option=x",
    ],
)
def test_everything_else_is_refused_by_its_line(line: str) -> None:
    with pytest.raises(ConfigError, match=r"line 2 is no package with one version .*Next: .*lock-dbt"):
        pins(f"{DBT}{line}\n")


def test_a_lock_without_dbt_is_refused() -> None:
    with pytest.raises(ConfigError, match="dbt-core is not locked"):
        pins(f"six==1.17.0 {HASH}\n")


def test_a_lock_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / PATH).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        RequirementsLock.find(tmp_path)


def test_line_ends_of_another_system_make_no_other_environment(tmp_path: Path) -> None:
    plain, other = (
        DbtEnvironment.own(RequirementsLock.parse(text, path=PATH)) for text in (DBT, DBT.replace("\n", "\r\n"))
    )
    assert plain.record.digest == other.record.digest != ""


def test_the_python_and_the_machine_are_a_part_of_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = RequirementsLock.parse(DBT, path=PATH)
    here = DbtEnvironment.own(lock).record
    monkeypatch.setattr("dbx_cd.dbt.environment.platform.machine", lambda: "riscv64")
    elsewhere = DbtEnvironment.own(lock).record
    monkeypatch.setattr("dbx_cd.dbt.environment.sys.version_info", (3, 99, 1))
    later = DbtEnvironment.own(lock).record
    assert len({here.digest, elsewhere.digest, later.digest}) == 3
    assert later.python == "3.99"
