"""What a notebook task and the Python processes that it starts may do with files on a Volume."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_rest import Workspace, latest, source, task

TRY = """
import errno, json, os, pathlib, shutil, subprocess, sys, tempfile, zipfile
V = pathlib.Path(dbutils.widgets.get('volume'))

def said(step):
    try:
        return str(step())
    except OSError as exc:
        return f'{errno.errorcode[exc.errno]} {exc.strerror}'
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("mount"))
    volume(workspace).mkdir(parents=True)
    yield workspace
    workspace.server.stop()


def volume(workspace: Workspace) -> Path:
    return workspace.state / "Volumes" / "ops" / "dbt_meta" / "artifacts"


def do(workspace: Workspace, cell: str, *, run_as: str | None = None) -> object:
    """What a notebook that works on the volume exits with, as JSON."""
    workspace.repository.commit(work=source(TRY + cell + f"# {run_as}"))
    as_whom = {"service_principal_name" if "@" not in run_as else "user_name": run_as} if run_as else None
    job = workspace.job(
        task("work", base_parameters={"volume": str(volume(workspace))}), **({"run_as": as_whom} if as_whom else {})
    )
    output = workspace.owner.jobs.get_run_output(latest(workspace.run(job))["work"].run_id)
    assert output.error is None, output.error
    return json.loads(output.notebook_output.result)


WAYS = {
    "append": "open(V/'a.txt', 'a').close()",
    "append with os.open": "os.open(V/'a.txt', os.O_WRONLY | os.O_APPEND)",
    "append through pathlib": "(V/'a.txt').open('ab')",
    "write at the beginning of what is there": "open(V/'a.txt', 'r+b', buffering=0).write(b'x')",
    "write after seeking back": "again(V/'b.txt')",
    "write after a gap": "gap(V/'c.txt')",
    "cut a file": "os.truncate(V/'a.txt', 1)",
    "a zip": "zipped(V/'d.zip')",
    "a hard link": "os.link(V/'a.txt', V/'hard')",
    "a symbolic link": "(V/'soft').symlink_to(V/'a.txt')",
    "a folder beside the volumes": "(V.parent/'another').mkdir()",
    "a file in a volume that is not there": "(V.parent/'another'/'x').write_text('x')",
    "removing the volume": "V.rmdir()",
    "moving the volume": "V.rename(V.parent/'another')",
}
REFUSED = {"a hard link": errno.ENOSYS, "a file in a volume that is not there": errno.ENOENT}
SETUP = """
(V/'a.txt').write_text('content')

def again(path):
    with open(path, 'wb', buffering=0) as file:
        file.write(b'12345')
        file.seek(0)
        file.write(b'x')

def gap(path):
    with open(path, 'wb', buffering=0) as file:
        file.seek(10)
        file.write(b'x')

def zipped(path):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('x', 'y')
"""


@pytest.fixture(scope="module")
def refusals(workspace: Workspace) -> dict[str, str]:
    tried = "{" + ", ".join(f"{name!r}: said(lambda: {way})" for name, way in WAYS.items()) + "}"
    said = do(workspace, SETUP + f"dbutils.notebook.exit(json.dumps({tried}))")
    assert isinstance(said, dict)
    return said


@pytest.mark.parametrize("way", WAYS)
def test_what_the_mount_cannot_do_fails_with_its_error(
    workspace: Workspace, refusals: dict[str, str], way: str
) -> None:
    assert refusals[way].split()[0] == errno.errorcode[REFUSED.get(way, errno.ENOTSUP)]
    assert (volume(workspace) / "a.txt").read_text() == "content"
    assert sorted(entry.name for entry in volume(workspace).parent.iterdir()) == ["artifacts"]


def test_whole_files_are_written_copied_moved_and_removed_as_anywhere(workspace: Workspace) -> None:
    done = do(
        workspace,
        """
folder = V/'work'/'deep'
folder.mkdir(parents=True); folder.mkdir(parents=True, exist_ok=True); V.mkdir(parents=True, exist_ok=True)
with open(folder/'text', 'w', encoding='utf-8') as file:
    print('Zoë', file=file); file.write('second')
with open(folder/'large', 'wb') as file:
    for _ in range(1000): file.write(b'x' * 1000)
local = pathlib.Path(tempfile.mkdtemp())/'from'; local.write_text('copied')
shutil.copy(local, folder/'copy'); shutil.copyfile(folder/'copy', local)
with (folder/'both').open('w+') as file:
    file.write('abc'); file.seek(0); read = file.read()
os.replace(folder/'both', folder/'moved')
with tempfile.NamedTemporaryFile('w', dir=folder, delete=False) as file:
    file.write('x')
os.remove(file.name)
names = sorted(os.listdir(folder))
sizes = [(folder/name).stat().st_size for name in names]
overwritten = (folder/'text').write_text('third'), (folder/'text').read_text()
shutil.rmtree(V/'work')
dbutils.notebook.exit(json.dumps([names, sizes, read, overwritten, (V/'work').exists()]))
""",
    )
    assert done == [["copy", "large", "moved", "text"], [6, 1_000_000, 3, 11], "abc", [5, "third"], False]


def test_a_process_that_the_notebook_starts_is_refused_the_same(workspace: Workspace) -> None:
    (volume(workspace) / "old").write_text("x")
    said = do(
        workspace,
        """
code = f"open({str(V/'old')!r}, 'a')"
done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
dbutils.notebook.exit(json.dumps(done.stderr.splitlines()[-1]))
""",
    )
    assert str(said).startswith("OSError: [Errno 95] Operation not supported")


def test_files_outside_of_volumes_are_as_they_are(workspace: Workspace) -> None:
    said = do(
        workspace,
        """
place = pathlib.Path(tempfile.mkdtemp())
(place/'a').write_text('1'); (place/'a').open('a').write('2')
os.link(place/'a', place/'b'); (place/'c').symlink_to('a')
with open(place/'a', 'r+b') as file:
    file.seek(1); file.write(b'x')
dbutils.notebook.exit(json.dumps([(place/name).read_text() for name in 'abc']))
""",
    )
    assert said == ["1x", "1x", "1x"]


def test_the_identity_of_the_task_needs_read_volume_and_write_volume(workspace: Workspace) -> None:
    """The developer may read only, the lent identity may not even do that."""
    (volume(workspace) / "seen").write_text("x")
    cell = """
dbutils.notebook.exit(json.dumps([said(step) for step in (
    lambda: (V/'seen').read_text(), lambda: 'seen' in os.listdir(V), lambda: (V/'seen').write_text('y'),
    lambda: (V/'seen').unlink(), lambda: (V/'folder').mkdir(), lambda: (V/'seen').rename(V/'other'))]))
"""
    write = "EACCES User does not have WRITE VOLUME on Volume 'ops.dbt_meta.artifacts'."
    read = write.replace("WRITE", "READ")
    assert do(workspace, cell, run_as="dev@example.org") == ["x", "True", write, write, write, write]
    assert do(workspace, cell, run_as="lent-identity") == [read, read, write, write, write, write]
    assert (volume(workspace) / "seen").read_text() == "x"


def test_a_folder_that_was_put_there_by_hand_is_no_volume(workspace: Workspace) -> None:
    by_hand = workspace.state / "Volumes" / "ops" / "by_hand" / "x"
    by_hand.mkdir(parents=True)
    said = do(
        workspace,
        f"dbutils.notebook.exit(json.dumps(said(lambda: (pathlib.Path({str(by_hand)!r})/'f').write_text('x'))))",
    )
    assert said == "ENOENT Volume 'ops.by_hand.x' does not exist."


def test_where_the_workspace_does_not_answer_nothing_is_touched(workspace: Workspace) -> None:
    said = do(
        workspace,
        """
os.environ['DBX_CD_TASK_HOST'] = 'http://127.0.0.1:9'
dbutils.notebook.exit(json.dumps(said(lambda: (V/'f').write_text('x'))))
""",
    )
    assert str(said).startswith("EIO the workspace does not say who may use Volume 'ops.dbt_meta.artifacts'")


def test_a_sitecustomize_of_the_user_is_run_all_the_same(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['OF_THE_USER'] = 'yes'")
    said = do(
        workspace,
        f"""
place = os.pathsep.join([*os.environ['PYTHONPATH'].split(os.pathsep), {str(tmp_path)!r}])
done = subprocess.run([sys.executable, '-c', "import os; print(os.environ['OF_THE_USER'])"],
                      env=os.environ | {{'PYTHONPATH': place}}, capture_output=True, text=True)
dbutils.notebook.exit(json.dumps(done.stdout + done.stderr))
""",
    )
    assert said == "yes\n"
