"""The Files API over ``/Volumes``: files and directories below one folder of the state directory.

A volume has to be created by SQL before anything can be written to it, and READ VOLUME or WRITE VOLUME on it is needed.
As in cloud storage, an upload creates missing folders inside it.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, g, request, send_file

from dbx_cd.local.rest.api_error import ApiError, already_exists, invalid_parameter, not_found, not_implemented
from dbx_cd.local.rest.volume_access import READ, WRITE, VolumeAccess, VolumeName, require_volume
from dbx_cd.local.volume_path import VOLUMES, volume_path

_PAGE = 1000
_PARTIAL = ".upload-"


def files_api(state_dir: Path, volumes: VolumeAccess) -> Blueprint:
    """The endpoints below ``/api/2.0/fs``, for the volumes that there are; their files lie in the state folder."""
    api = Blueprint("files", __name__, url_prefix="/api/2.0/fs")

    def place(path: str, privilege: str) -> Path:
        file = _local(state_dir, path)
        require_volume(volumes, g.user, privilege, VolumeName.of(path.strip("/").split("/")[1:4]))
        return file

    @api.get("/files/<path:path>")  # answers HEAD as well
    def download(path: str) -> Response:
        file = _existing_file(place(path, READ), path)
        response = send_file(file, mimetype="application/octet-stream", conditional=True, etag=False)
        response.headers["Content-Type"] = "application/octet-stream"
        return response

    @api.put("/files/<path:path>")
    def upload(path: str) -> tuple[str, int]:
        _store(place(path, WRITE), overwrite=_overwrite())
        return "", 204

    @api.delete("/files/<path:path>")
    def delete_file(path: str) -> tuple[str, int]:
        _existing_file(place(path, WRITE), path).unlink()
        return "", 204

    @api.post("/files/<path:path>")
    def initiate_upload(path: str) -> dict[str, Any]:
        """Large uploads of the SDK begin here; refusing the part URLs makes it send one plain upload instead."""
        if request.args.get("action") != "initiate-upload":
            raise not_implemented("this action on a file")
        if place(path, WRITE).exists() and not _overwrite():
            raise already_exists(f"The file {_shown(path)} already exists.")
        return {"multipart_upload": {"session_token": uuid.uuid4().hex}}

    @api.post("/create-upload-part-urls")
    @api.post("/create-download-url")
    def refuse_presigned_urls() -> Response:
        raise not_implemented("presigned URLs; the SDK falls back to plain transfers")

    @api.post("/create-abort-upload-url")
    def abort_url() -> dict[str, Any]:
        return {"abort_upload_url": {"url": f"{request.host_url}api/2.0/fs/aborted-upload", "headers": []}}

    @api.get("/directories/<path:path>")
    def list_directory(path: str) -> dict[str, Any]:
        entries = sorted(_entries(_existing_directory(place(path, READ), path)), key=lambda entry: entry.name)
        start = request.args.get("page_token", 0, int)
        size = request.args.get("page_size", _PAGE, int) or _PAGE
        view: dict[str, Any] = {"contents": [_entry(path, entry) for entry in entries[start : start + size]]}
        if start + size < len(entries):
            view["next_page_token"] = str(start + size)
        return view

    @api.put("/directories/<path:path>")
    def create_directory(path: str) -> tuple[str, int]:
        try:
            place(path, WRITE).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise already_exists(f"{_shown(path)}, or a parent of it, is a file.") from None
        return "", 204

    @api.delete("/directories/<path:path>")
    def delete_directory(path: str) -> tuple[str, int]:
        folder = _existing_directory(place(path, WRITE), path)
        if len(path.strip("/").split("/")) == 4:
            raise invalid_parameter(f"{_shown(path)} is a volume; DROP VOLUME removes it")
        try:
            folder.rmdir()
        except OSError:
            raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"The directory {_shown(path)} is not empty.") from None
        return "", 204

    return api


ABORTED_UPLOAD = "/api/2.0/fs/aborted-upload"
"""Where the SDK says that it gives up a multipart upload. Like a presigned URL it carries no token."""


def _shown(path: str) -> str:
    return "/" + path.strip("/")


def _local(state_dir: Path, path: str) -> Path:
    """The file behind a ``/Volumes`` path; refuses whatever would lead out of a volume."""
    parts = path.strip("/").split("/")
    if parts[0] != "Volumes" or len(parts) < 4:
        raise invalid_parameter(f"{_shown(path)}: paths must start with /Volumes/<catalog>/<schema>/<volume>")
    if any(part in ("", ".", "..") or "\x00" in part or "\\" in part for part in parts):
        raise invalid_parameter(f"{_shown(path)}: a path must not contain empty, '.' or '..' segments")
    file = volume_path(state_dir, path)
    if not file.resolve().is_relative_to((state_dir / VOLUMES).resolve()):  # a symbolic link inside the volume
        raise invalid_parameter(f"{_shown(path)}: leads out of the volume")
    return file


def _existing_file(file: Path, path: str) -> Path:
    if not file.is_file():
        raise not_found(f"The file {_shown(path)} does not exist.")
    return file.absolute()


def _existing_directory(folder: Path, path: str) -> Path:
    if not folder.is_dir():
        raise not_found(f"The directory {_shown(path)} does not exist.")
    return folder


def _overwrite() -> bool:
    return request.args.get("overwrite", "true").lower() != "false"  # unspecified means true (documented)


def _store(file: Path, *, overwrite: bool) -> None:
    """Receive the request's body; readers see the old file or the whole new one."""
    if file.is_dir():
        raise already_exists(f"{file.name} is a directory.")
    if not overwrite and file.exists():
        raise already_exists("The file being created already exists.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise invalid_parameter(f"a parent of {file.name} is a file") from None
    partial = file.parent / f"{_PARTIAL}{uuid.uuid4().hex}"
    try:
        with partial.open("wb") as writer:
            shutil.copyfileobj(request.stream, writer, 1024 * 1024)
        if overwrite:
            partial.replace(file)
        else:
            os.link(partial, file)  # unlike a rename, fails if another upload was faster
    except FileExistsError:
        raise already_exists("The file being created already exists.") from None
    finally:
        partial.unlink(missing_ok=True)


def _entries(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith(_PARTIAL))


def _entry(path: str, entry: Path) -> dict[str, Any]:
    about = entry.stat()
    view: dict[str, Any] = {
        "path": f"{_shown(path)}/{entry.name}",
        "name": entry.name,
        "is_directory": entry.is_dir(),
        "last_modified": about.st_mtime_ns // 1_000_000,
    }
    return view if entry.is_dir() else {**view, "file_size": about.st_size}
