"""uv, the installer of packages: its program, the index that it is to use, and its errors in words."""

from __future__ import annotations

import ast
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dbx_cd.errors import SetupError

# uv does not read pip's settings (its documentation, "Compatibility with pip"), and those are what a workspace's
# default package repositories or a company's image set. What each is called for uv: its documentation of variables.
_OF_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
_OWN_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
# In the order in which pip prefers them, the last most (pip's documentation, "Configuration").
_SECTIONS = ("global", "install", "download", ":env:")
_SETTING = re.compile(r"^(?P<section>[^.]+)\.(?P<name>[\w-]+)=(?P<value>.*)$")
# The name and the password in an address: nobody shall read them in a log.
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")

_log = logging.getLogger(__name__)


class IndexUnreachable(SetupError):
    """The package index cannot be reached."""


def run_uv(arguments: Sequence[str], *, doing: str, cwd: Path, where: object, index: bool = True) -> str:
    """Run uv.

    Args:
        arguments: its command line.
        doing: what it does, as the beginning of a sentence, such as "installing dbt".
        cwd: a folder of nobody: the settings of a project there would count.
        where: what an error is about.
        index: whether it may ask an index.

    Returns:
        What it has printed.

    Raises:
        SetupError: it failed, with the reason and the next step.
    """
    try:
        done = subprocess.run(
            [_program(), *arguments], cwd=cwd, env={**os.environ, **(_index_of_pip() if index else {})},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    except OSError as exc:
        raise SetupError(
            f"{doing} failed: uv cannot be started: {exc.strerror or exc}",
            where=where,
            next_step="install uv anew: pip install --force-reinstall uv",
        ) from exc
    if done.returncode != 0:
        _log.info("uv %s ended with %d: %s", arguments[0], done.returncode, _plain(done.stderr))
        raise _failed(_plain(done.stderr), doing=doing, where=where)
    return done.stdout


def _program() -> str:
    try:
        import uv

        return os.fsdecode(uv.find_uv_bin())
    except (ImportError, FileNotFoundError) as exc:
        raise SetupError(
            "uv, which makes dbt's environment, is not installed", next_step="pip install uv, beside dbx_cd"
        ) from exc


def _index_of_pip() -> dict[str, str]:
    """pip's settings of the index, as variables of uv; none where uv has its own."""
    if any(os.environ.get(name) for name in _OWN_INDEX):
        return {}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "config", "list"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = pip_settings(done.stdout) if done.returncode == 0 else {}
    return {name: value for name, value in found.items() if not os.environ.get(name)}


def pip_settings(listed: str) -> dict[str, str]:
    """The variables of uv that the output of `pip config list` means."""
    return dict(_settings(listed))


def _settings(listed: str) -> Iterator[tuple[str, str]]:
    matches = [found for line in listed.splitlines() if (found := _SETTING.match(line))]
    known = [m for m in matches if m["section"] in _SECTIONS and m["name"] in _OF_PIP]
    for found in sorted(known, key=lambda m: _SECTIONS.index(m["section"])):
        try:
            words = str(ast.literal_eval(found["value"])).split()
        except (ValueError, SyntaxError):
            continue
        if found["name"] == "find-links":  # pip passes over a folder that is not there, and uv does not
            words = [word for word in words if "://" in word or Path(word).is_dir()]
        if words:
            separator = "," if found["name"] == "find-links" else " "
            yield _OF_PIP[found["name"]], separator.join(words)


def _plain(errors: str) -> str:
    return _CREDENTIALS.sub("", errors).strip()


_NOT_LOCKED = (
    "{what} is needed and not locked",
    "lock again, so that all of it is named: python -m dbx_cd lock-dbt",
)
_UNREACHABLE = r"Failed to fetch|error sending request|dns error|Could not connect|Request failed after|timed out"
# What of uv's words tells why it failed (uv 0.8 to 0.13, tried), what that is, and what to do.
_REASONS: Mapping[str, tuple[str, str]] = {
    r"Hash mismatch for `(?P<what>[^`]+)`": (
        "what the index or the wheelhouse has of {what} is not what was locked",
        "find out who changed that file; where the change is meant, `python -m dbx_cd lock-dbt` locks it anew",
    ),
    r"no trusted hash was provided for: `(?P<what>[^`]+)`": _NOT_LOCKED,
    # Of a wheelhouse only what is locked is offered.
    r"Because (?P<what>\S+) was not found in the provided package locations and (?!you require)": _NOT_LOCKED,
    r"No space left on device|Disk quota exceeded": (
        "the disk is full",
        "free the disk, or name a folder on another one by TMPDIR",
    ),
    r"(?P<what>[\w.-]+==\S+) has no (?:usable )?wheels?": (
        "there is no wheel of {what} for this Python and platform",
        "lock a version that has one, by `requirements-dbt.in` and `python -m dbx_cd lock-dbt`",
    ),
    r"Because (?P<what>\S+) was not found in the provided package locations": (
        "{what} is not in the wheelhouse, or not for this Python and platform",
        "fill it: python -m dbx_cd lock-dbt --wheelhouse DIR",
    ),
    r"there is no version of (?P<what>[^\s,]+)": (
        "there is no {what}",
        "look at the name and the version, and at what the package index offers; then python -m dbx_cd lock-dbt",
    ),
    r"status code 401|401 Unauthorized|status code 403|403 Forbidden": (
        "the package index refuses who asks",
        "give pip's or uv's settings of the index a valid login",
    ),
    _UNREACHABLE: (
        "the package index cannot be reached",
        "let this machine reach it, or fill a wheelhouse where there is a network (python -m dbx_cd lock-dbt "
        "--wheelhouse DIR) and name it in dbx_cd.yml",
    ),
}  # fmt: skip


def _failed(errors: str, *, doing: str, where: object) -> SetupError:
    joined = " ".join(errors.split())
    for pattern, (why, step) in _REASONS.items():
        found = re.search(pattern, joined)
        if found:
            what = found.groupdict().get("what") or ""
            kind = IndexUnreachable if pattern == _UNREACHABLE else SetupError
            return kind(f"{doing} failed: {why.format(what=what)}", where=where, next_step=step)
    return SetupError(
        f"{doing} failed: {joined.removeprefix('error: ') or 'uv gave no reason'}",
        where=where,
        next_step="do what uv says",
    )
