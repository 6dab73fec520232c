"""uv's settings of the index come from pip's where it has none of its own, and its errors are said in words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from dbx_cd import SetupError
from dbx_cd.uv_calls import IndexUnreachable, pip_settings, run_uv

LISTED = """\
:env:.index-url='https://from.the.environment/simple'
global.cert='/etc/ssl/company.pem'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.index-url='https://user:secret@company.example/simple'
global.timeout='60'
install.find-links='/no/such/folder {folder} https://wheels.example/'
wheel.index-url='https://of.another.command/simple'
"""


def test_settings_of_pip_are_given_to_uv(tmp_path: Path) -> None:
    assert pip_settings(LISTED.format(folder=tmp_path)) == {
        "UV_DEFAULT_INDEX": "https://from.the.environment/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": f"{tmp_path},https://wheels.example/",
        "SSL_CERT_FILE": "/etc/ssl/company.pem",
    }


def test_what_is_no_setting_is_passed_over() -> None:
    assert pip_settings("WARNING: something\nglobal.index-url=not quoted\n\n") == {}


@pytest.fixture
def nobody_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> Callable[[], str]:
    """What is said where nobody answers at the address of the index."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "a.in").write_text("no-such-package-of-anybody\n")

    def ask() -> str:
        with caplog.at_level(logging.INFO), pytest.raises(IndexUnreachable, match="index cannot be reached") as raised:
            run_uv(["pip", "compile", "--quiet", "a.in"], doing="locking", cwd=tmp_path, where="here")
        return f"{caplog.text}{raised.value}"

    return ask


def test_an_index_of_uv_s_own_wins(nobody_answers: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:7/simple")
    assert "127.0.0.1:7" in nobody_answers()


def test_pip_s_index_is_asked_where_uv_has_none_and_its_password_is_not_said(
    nobody_answers: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    told = nobody_answers()
    assert "127.0.0.1:9" in told
    assert "secret" not in told


def test_without_uv_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uv", None)
    with pytest.raises(SetupError, match=r"uv, which makes dbt's environment, is not installed\. Next: pip install uv"):
        run_uv(["--version"], doing="it", cwd=tmp_path, where="here")


def test_what_uv_says_otherwise_is_said_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"locking failed: .*no-such-command.*\(here\)\. Next: do what uv says"):
        run_uv(["no-such-command"], doing="locking", cwd=tmp_path, where="here")


def test_its_output_is_returned(tmp_path: Path) -> None:
    assert run_uv(["--version"], doing="it", cwd=tmp_path, where="here", index=False).startswith("uv ")
