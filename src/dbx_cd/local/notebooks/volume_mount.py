"""What a Volume's path refuses in a task, as the mount on a cluster does, over a plain folder of this machine.

On a cluster `/Volumes` is a FUSE mount over cloud storage. It has no append, no random writes and no sparse files
(Databricks documentation on working with files on Volumes), no links, it makes no volume by being written to, and it lets
in whom Unity Catalog lets in. Here it is a folder, and each Python process of a task refuses the same: by an audit hook,
which sees every opening, making, moving and removing, and by files that can only be written from their beginning to
their end.

Not seen: what is not Python (a shell command, native code such as Arrow's own writer or SQLite), `os.lseek` with
`os.write`, looking at a file's size or time (`stat`), and Python started with `-I`, `-E` or `-S`, or without this
`PYTHONPATH`, as a dbt in an environment of its own.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

READ, WRITE = "READ VOLUME", "WRITE VOLUME"
ROOT_VARIABLE, HOST_VARIABLE, TOKEN_VARIABLE = "DBX_CD_VOLUMES", "DBX_CD_TASK_HOST", "DBX_CD_TASK_TOKEN"

_ANSWER_SECONDS = 30.0
_REMEMBERED_SECONDS = 5.0
"""How long a right that was asked for is taken for granted."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

Refusal = tuple[int, str] | None
"""The number and the text of the error that a use of a volume ends with; None where it is allowed."""


class VolumeMount:
    """One folder that stands for `/Volumes`.

    Args:
        root: the folder; below it catalog, schema and volume.
        ask: whether this process has a privilege on a volume, by its name of three parts.
    """

    def __init__(self, root: str, *, ask: Callable[[str, str], Refusal]) -> None:
        self._root = os.path.abspath(root)
        self._inside = self._root + os.sep
        self._ask = ask
        self._known: dict[tuple[str, str], tuple[float, Refusal]] = {}

    def inside(self, path: Any, dir_fd: int = -1) -> str | None:
        """The absolute path of what lies in the mount; None for everything else."""
        if isinstance(path, int):
            return self.inside(_path_of(path)) if path > 2 else None
        try:
            text = os.fsdecode(path)
        except TypeError:
            return None
        if dir_fd >= 0 and not os.path.isabs(text):
            text = os.path.join(_path_of(dir_fd), text)
        full = os.path.abspath(text)
        return full if full == self._root or full.startswith(self._inside) else None

    def require(self, path: str, privilege: str) -> None:
        """Refuse to touch what lies in a volume without the right to.

        Raises:
            FileNotFoundError: there is no such volume.
            PermissionError: naming the privilege and the volume.
            OSError: something would be made, moved or removed that is not in a volume.
        """
        parts = path[len(self._inside) :].split(os.sep) if path != self._root else []
        if len(parts) < 3:
            if privilege == WRITE:
                raise _refused(errno.ENOTSUP, path)
            return
        refusal = self._refusal(".".join(parts[:3]), privilege)
        if refusal is not None:
            raise OSError(*refusal, path)

    def is_volume(self, path: str) -> bool:
        """Whether it is a volume itself, or above one."""
        return path[len(self._inside) :].count(os.sep) < 3

    def _refusal(self, name: str, privilege: str) -> Refusal:
        until, refusal = self._known.get((name, privilege), (0.0, None))
        if time.monotonic() >= until:
            refusal = self._ask(name, privilege)
            self._known[name, privilege] = (time.monotonic() + _REMEMBERED_SECONDS, refusal)
        return refusal


class SequentialFile(io.FileIO):
    """A file that is written from its beginning to its end; reading goes anywhere."""

    def __init__(self, path: str, mode: str) -> None:
        super().__init__(path, mode)
        self._whole = self._size() == 0  # otherwise it was opened to change what is there

    def write(self, data: Any) -> int:
        """Write at the end of what was written.

        Raises:
            OSError: anywhere else.
        """
        if not self._whole or self.tell() != self._size():
            raise _refused(errno.ENOTSUP, str(self.name))
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        """Leave it as long as it is.

        Raises:
            OSError: it would get longer or shorter.
        """
        wanted = self.tell() if size is None else size
        if wanted != self._size():
            raise _refused(errno.ENOTSUP, str(self.name))
        return wanted

    def _size(self) -> int:
        return os.fstat(self.fileno()).st_size


def install(mount: VolumeMount) -> None:
    """Make this process, and those that are forked from it, see a folder as the mount; that cannot be undone."""
    checks = _Checks(mount)
    plain = io.open

    def opened(  # noqa: PLR0913, PLR0917  (the parameters of `open`)
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        writes = any(letter in mode for letter in "wx+") and "a" not in mode
        if not writes or opener is not None or isinstance(file, int) or mount.inside(file) is None:
            return plain(file, mode, buffering, encoding, errors, newline, closefd, opener)
        return _sequential(os.fsdecode(file), mode, buffering, encoding, errors, newline)

    opened.__doc__ = plain.__doc__
    io.open = builtins.open = opened
    sys.addaudithook(checks)


def install_from_environment() -> None:
    """Install the mount that the task's variables name, if they do."""
    root = os.environ.get(ROOT_VARIABLE)
    if root:
        install(VolumeMount(root, ask=ask_the_workspace))


def ask_the_workspace(name: str, privilege: str) -> Refusal:
    """Whether the identity of this task has a privilege on a volume, as the workspace's Files API lets it in.

    Listing the volume takes READ VOLUME; making its own folder, which is there, takes WRITE VOLUME and changes nothing.
    """
    import json  # what is imported when Python starts is imported by every process
    from http.client import HTTPConnection, HTTPException

    host = urlsplit(os.environ.get(HOST_VARIABLE, ""))
    connection = HTTPConnection(host.hostname or "127.0.0.1", host.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request(
            "PUT" if privilege == WRITE else "GET",
            f"/api/2.0/fs/directories/Volumes/{quote(name.replace('.', '/'))}?page_size=1",
            headers={"Authorization": f"Bearer {os.environ.get(TOKEN_VARIABLE, '')}"},
        )
        answer = connection.getresponse()
        content = answer.read()
        message = json.loads(content).get("message", "") if answer.status >= 300 else ""
    except (OSError, HTTPException, ValueError) as exc:
        return errno.EIO, f"the workspace does not say who may use Volume '{name}': {exc}"
    finally:
        connection.close()
    if answer.status < 300:
        return None
    return (errno.ENOENT if answer.status == 404 else errno.EACCES), message


class _Checks:
    """The audit hook: what each event needs, and what it may not be."""

    def __init__(self, mount: VolumeMount) -> None:
        self._mount = mount
        self._busy = threading.local()
        self._checks: dict[str, Callable[..., None]] = {
            "open": self._open,
            "os.link": self._link,
            "os.symlink": self._symlink,
            "os.truncate": self._truncate,
            "os.mkdir": self._mkdir,
            "os.rename": self._rename,
            "os.remove": self._remove,
            "os.rmdir": self._remove,
            "os.listdir": self._look,
            "os.scandir": self._look,
        }

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        check = self._checks.get(event)
        if check is None or getattr(self._busy, "now", False):
            return
        self._busy.now = True  # asking opens files and connections itself
        try:
            check(*arguments)
        finally:
            self._busy.now = False

    def _open(self, path: Any, _mode: Any, flags: int) -> None:
        full = self._mount.inside(path)
        if full is None:
            return
        if flags & os.O_APPEND:
            raise _refused(errno.ENOTSUP, full)
        self._mount.require(full, WRITE if flags & _WRITING else READ)

    def _link(self, source: Any, target: Any, source_dir: int = -1, target_dir: int = -1) -> None:
        for full in (self._mount.inside(source, source_dir), self._mount.inside(target, target_dir)):
            if full is not None:
                raise _refused(errno.ENOSYS, full)

    def _symlink(self, _source: Any, target: Any, target_dir: int = -1) -> None:
        full = self._mount.inside(target, target_dir)
        if full is not None:
            raise _refused(errno.ENOTSUP, full)

    def _truncate(self, path: Any, _length: int) -> None:
        full = self._mount.inside(path)
        if full is not None:
            raise _refused(errno.ENOTSUP, full)

    def _mkdir(self, path: Any, _mode: int, dir_fd: int = -1) -> None:
        full = self._mount.inside(path, dir_fd)
        if full is None or os.path.isdir(full):  # then the system says that it is there
            return
        if self._mount.is_volume(full):
            raise _refused(errno.ENOTSUP, full)
        self._mount.require(full, WRITE)

    def _rename(self, source: Any, target: Any, source_dir: int = -1, target_dir: int = -1) -> None:
        for full in (self._mount.inside(source, source_dir), self._mount.inside(target, target_dir)):
            if full is not None:
                self._change(full)

    def _remove(self, path: Any, dir_fd: int = -1) -> None:
        full = self._mount.inside(path, dir_fd)
        if full is not None:
            self._change(full)

    def _change(self, full: str) -> None:
        if self._mount.is_volume(full):
            raise _refused(errno.ENOTSUP, full)
        self._mount.require(full, WRITE)

    def _look(self, path: Any = ".") -> None:
        full = self._mount.inside("." if path is None else path)
        if full is not None:
            self._mount.require(full, READ)


def _sequential(
    path: str, mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None
) -> Any:
    """What `open` makes of these parameters, over a file that is written once."""
    binary = "b" in mode
    if binary and (encoding is not None or errors is not None or newline is not None):
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    raw = SequentialFile(path, mode.replace("b", "").replace("t", ""))
    try:
        if buffering == 0:
            if binary:
                return raw
            raise ValueError("can't have unbuffered text I/O")
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        buffered = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
        if binary:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode  # type: ignore[misc]
    except BaseException:
        raw.close()
        raise
    return text


def _refused(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


def _path_of(descriptor: int) -> str:
    try:
        return os.readlink(Path("/proc/self/fd", str(descriptor)))
    except OSError:
        return ""
