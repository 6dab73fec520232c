from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from databricks.sdk.errors import AlreadyExists, BadRequest, DatabricksError, NotFound, PermissionDenied
from local_rest import Workspace

ROOT = "/Volumes/ops/dbt_meta/artifacts"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("files"))
    yield workspace
    workspace.server.stop()


def read(workspace: Workspace, path: str) -> bytes:
    return workspace.owner.files.download(path).contents.read()


def test_upload_download_and_metadata(workspace: Workspace) -> None:
    path = f"{ROOT}/stg/Zoë's file.json"
    workspace.owner.files.upload(path, io.BytesIO(b"content"))
    assert read(workspace, path) == b"content"
    about = workspace.owner.files.get_metadata(path)
    assert (about.content_length, about.content_type) == (7, "application/octet-stream")
    assert about.last_modified
    assert (workspace.state / "Volumes/ops/dbt_meta/artifacts/stg/Zoë's file.json").read_bytes() == b"content"


def test_upload_without_overwrite_never_replaces(workspace: Workspace) -> None:
    path = f"{ROOT}/claim"
    workspace.owner.files.upload(path, io.BytesIO(b"first"), overwrite=False)
    with pytest.raises(AlreadyExists):
        workspace.owner.files.upload(path, io.BytesIO(b"second"), overwrite=False)
    assert read(workspace, path) == b"first"
    workspace.owner.files.upload(path, io.BytesIO(b"third"), overwrite=True)
    assert read(workspace, path) == b"third"


def test_of_many_creators_exactly_one_wins(workspace: Workspace) -> None:
    client = workspace.owner

    def create(number: int) -> bool:
        try:
            client.files.upload(f"{ROOT}/race", io.BytesIO(str(number).encode()), overwrite=False)
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [number for number, created in enumerate(pool.map(create, range(16))) if created]
    assert len(won) == 1
    assert read(workspace, f"{ROOT}/race") == str(won[0]).encode()


def test_large_upload_falls_back_to_a_plain_one_quietly(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    client = workspace.owner
    client.config.files_ext_multipart_upload_min_stream_size = 1000
    content = os.urandom(100_000)
    client.files.upload(f"{ROOT}/large", io.BytesIO(content))
    assert read(workspace, f"{ROOT}/large") == content
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []
    with pytest.raises(AlreadyExists):
        client.files.upload(f"{ROOT}/large", io.BytesIO(content), overwrite=False)


def test_directories_are_created_listed_and_removed(workspace: Workspace) -> None:
    files = workspace.owner.files
    files.create_directory(f"{ROOT}/a/b/c")
    files.create_directory(f"{ROOT}/a/b/c")
    files.upload(f"{ROOT}/a/b/file", io.BytesIO(b"12"))
    listed = [
        (entry.name, entry.path, entry.is_directory, entry.file_size)
        for entry in files.list_directory_contents(f"{ROOT}/a/b")
    ]
    assert listed == [("c", f"{ROOT}/a/b/c", True, None), ("file", f"{ROOT}/a/b/file", False, 2)]
    assert len(list(files.list_directory_contents(f"{ROOT}/a/b", page_size=1))) == 2
    files.get_directory_metadata(f"{ROOT}/a/b/c")
    with pytest.raises(BadRequest, match="not empty"):
        files.delete_directory(f"{ROOT}/a/b")
    files.delete_directory(f"{ROOT}/a/b/c")
    with pytest.raises(NotFound):
        files.get_directory_metadata(f"{ROOT}/a/b/c")


def test_what_does_not_exist_is_not_found(workspace: Workspace) -> None:
    files = workspace.owner.files
    for call in (files.download, files.delete, files.get_metadata):
        with pytest.raises(NotFound):
            call(f"{ROOT}/nothing")
    with pytest.raises(NotFound):
        list(files.list_directory_contents(f"{ROOT}/nothing"))


def test_delete_removes_a_file(workspace: Workspace) -> None:
    workspace.owner.files.upload(f"{ROOT}/gone", io.BytesIO(b"x"))
    workspace.owner.files.delete(f"{ROOT}/gone")
    with pytest.raises(NotFound):
        workspace.owner.files.get_metadata(f"{ROOT}/gone")


@pytest.mark.parametrize(
    "path", ["/Volumes/a/b/c/%2e%2e/%2e%2e/x", "/Volumes/a/b/c/..%2f..%2fx", "/etc/passwd", "/Volumes/a"]
)
def test_paths_out_of_a_volume_are_refused(workspace: Workspace, path: str) -> None:
    headers = {"Authorization": "Bearer token-owner"}
    answer = requests.put(f"{workspace.server.host}/api/2.0/fs/files{path}", data=b"x", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_symbolic_link_out_of_a_volume_is_refused(workspace: Workspace) -> None:
    volume = workspace.state / "Volumes/ops/dbt_meta/links"
    volume.mkdir(parents=True)
    (volume / "out").symlink_to("/etc")
    with pytest.raises(DatabricksError, match="leads out"):
        workspace.owner.files.download("/Volumes/ops/dbt_meta/links/out/passwd")


@pytest.mark.parametrize("act", ["upload", "create_directory", "download", "delete", "get_directory_metadata"])
def test_a_volume_that_nobody_created_does_not_appear_by_being_used(workspace: Workspace, act: str) -> None:
    path = "/Volumes/ops/dbt_meta/elsewhere/x"
    arguments = [io.BytesIO(b"x")] if act == "upload" else []
    with pytest.raises(NotFound) as refused:
        getattr(workspace.owner.files, act)(path, *arguments)
    if act != "get_directory_metadata":  # a HEAD request, whose answer has no text
        assert "Volume 'ops.dbt_meta.elsewhere' does not exist." in str(refused.value)
    assert not (workspace.state / "Volumes/ops/dbt_meta/elsewhere").exists()


def test_reading_and_writing_files_take_a_right_each(workspace: Workspace) -> None:
    """The developer may read, the lent identity may not even do that."""
    path = f"{ROOT}/rights/file"
    workspace.owner.files.upload(path, io.BytesIO(b"x"))
    dev, lent = workspace.dev.files, workspace.server.client("lent-identity").files
    assert dev.download(path).contents.read() == b"x"
    assert [entry.name for entry in dev.list_directory_contents(f"{ROOT}/rights")] == ["file"]
    for change in (
        lambda: dev.upload(path, io.BytesIO(b"y")),
        lambda: dev.upload(f"{ROOT}/rights/new", io.BytesIO(b"y"), overwrite=False),
        lambda: dev.delete(path),
        lambda: dev.create_directory(f"{ROOT}/rights/folder"),
        lambda: dev.delete_directory(f"{ROOT}/rights"),
    ):
        with pytest.raises(PermissionDenied, match=r"does not have WRITE VOLUME on Volume 'ops\.dbt_meta\.artifacts'"):
            change()
    for look in (lambda: lent.download(path), lambda: list(lent.list_directory_contents(f"{ROOT}/rights"))):
        with pytest.raises(PermissionDenied, match=r"does not have READ VOLUME on Volume 'ops\.dbt_meta\.artifacts'"):
            look()
    assert read(workspace, path) == b"x"


def test_large_uploads_need_the_right_as_well(workspace: Workspace) -> None:
    client = workspace.dev
    client.config.files_ext_multipart_upload_min_stream_size = 1000
    with pytest.raises(PermissionDenied, match="WRITE VOLUME"):
        client.files.upload(f"{ROOT}/large-by-dev", io.BytesIO(os.urandom(100_000)))


def test_the_name_of_a_volume_is_found_whatever_its_case(workspace: Workspace) -> None:
    workspace.owner.files.upload("/Volumes/OPS/dbt_Meta/Artifacts/Case", io.BytesIO(b"x"))
    assert read(workspace, f"{ROOT}/Case") == b"x"


def test_a_volume_itself_is_not_removed_as_a_folder(workspace: Workspace) -> None:
    with pytest.raises(BadRequest, match="DROP VOLUME"):
        workspace.owner.files.delete_directory(ROOT)
