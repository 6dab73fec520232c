"""Large results as files that the client downloads; through the real connector, whose way of reading this is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from databricks import sql
from databricks.sql import exc as sql_errors
from databricks.sql.thrift_api.TCLIService import ttypes
from fake_spark import FakeSpark

from dbx_cd.sql_endpoint import SqlEndpoint
from dbx_cd.sql_endpoint.result_files import FILES_OF_A_PAGE, LINKED_BYTES, RESULTS_PATH, ResultFiles
from dbx_cd.sql_endpoint.results import ResultPages
from dbx_cd.sql_endpoint.rows import Result, ResultRows

ROWS = 1_500_000
TOKEN = "of a client"


def answer(_spark: Any, statement: str) -> pa.Table:
    """So many rows as the statement says, in batches of ten thousand."""
    numbers = pa.array(range(int(statement)), pa.int64())
    table = pa.table({"n": numbers, "half": pa.compute.divide(numbers, 2)})
    return pa.Table.from_batches(table.to_batches(max_chunksize=10_000), table.schema)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[SqlEndpoint]:
    with SqlEndpoint(FakeSpark(), rewrite=answer, tokens=[TOKEN]) as running:  # type: ignore[arg-type]
        yield running


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The links that clients were given."""
    given: list[str] = []

    class Link(ttypes.TSparkArrowResultLink):  # type: ignore[misc]
        def __init__(self, **values: Any) -> None:
            super().__init__(**values)
            if values:  # else it is the client, which is about to read one
                given.append(self.fileLink)

    monkeypatch.setattr("dbx_cd.sql_endpoint.result_files.T.TSparkArrowResultLink", Link)
    return given


def connect(endpoint: SqlEndpoint, **options: Any) -> Any:
    options = {"_connection_uri": f"{endpoint.host}{endpoint.http_path}", **options}
    return sql.connect(
        "127.0.0.1", endpoint.http_path, access_token=TOKEN, enable_telemetry=False,
        _retry_stop_after_attempts_count=1, **options,
    )  # fmt: skip


def test_every_row_of_a_large_result_arrives_once_and_in_its_order(endpoint: SqlEndpoint, links: list[str]) -> None:
    with connect(endpoint) as connection:
        table = connection.cursor().execute(str(ROWS)).fetchall_arrow()
        assert len(links) > 1
    assert table.equals(answer(None, str(ROWS)).combine_chunks())


def test_a_client_that_speaks_tls_downloads_too(endpoint: SqlEndpoint, links: list[str]) -> None:
    trusted = endpoint.client_environment()["REQUESTS_CA_BUNDLE"]
    uri = f"https://127.0.0.1:{endpoint.port}{endpoint.http_path}"
    with connect(endpoint, _connection_uri=uri, _tls_trusted_ca_file=trusted) as connection:
        table = connection.cursor().execute(str(ROWS)).fetchall_arrow()
        assert links
    assert table["n"].to_pylist() == list(range(ROWS))


def test_a_part_of_it_at_a_time(endpoint: SqlEndpoint, links: list[str]) -> None:
    with connect(endpoint) as connection:
        cursor = connection.cursor().execute(str(ROWS))
        parts = []
        while (part := cursor.fetchmany_arrow(333_333)).num_rows:
            parts.append(part)
        assert links
    assert [part.num_rows for part in parts] == [333_333] * 4 + [ROWS % 333_333]
    assert pa.concat_tables(parts)["n"].to_pylist() == list(range(ROWS))


@pytest.mark.parametrize(("rows", "options"), [(1000, {}), (ROWS, {"use_cloud_fetch": False})])
def test_rows_are_in_the_answer(endpoint: SqlEndpoint, links: list[str], rows: int, options: dict[str, Any]) -> None:
    with connect(endpoint, **options) as connection:
        assert connection.cursor().execute(str(rows)).fetchall_arrow()["n"].to_pylist() == list(range(rows))
    assert links == []


def close_cursor(cursor: Any, _endpoint: SqlEndpoint) -> None:
    cursor.close()


def run_another(cursor: Any, _endpoint: SqlEndpoint) -> None:
    cursor.execute("1")


def close_connection(cursor: Any, _endpoint: SqlEndpoint) -> None:
    cursor.connection.close()


def revoke(_cursor: Any, endpoint: SqlEndpoint) -> None:
    endpoint.revoke(TOKEN)
    endpoint.accept(TOKEN)


@pytest.mark.parametrize("end", [close_cursor, run_another, close_connection, revoke])
def test_a_link_ends_with_the_result(
    endpoint: SqlEndpoint, links: list[str], end: Callable[[Any, SqlEndpoint], None]
) -> None:
    cursor = connect(endpoint).cursor().execute(str(ROWS))
    assert requests.get(links[0], timeout=5).status_code == 200, "whoever knows the link needs no token"
    end(cursor, endpoint)
    refused = requests.get(links[0], timeout=5)
    with contextlib.suppress(sql_errors.Error):  # of what is revoked, there is nothing to close
        cursor.connection.close()
    assert (refused.status_code, refused.json()["message"]) == (410, "the result has been closed")


def test_a_link_that_was_never_given_is_refused(endpoint: SqlEndpoint) -> None:
    assert requests.get(f"{endpoint.host}{RESULTS_PATH}1", timeout=5).status_code == 410


def stored(folder: Path, batches: int) -> tuple[Result, int]:
    """A result that lies in a file, and how many rows it has."""
    batch = answer(None, "100000").combine_chunks().to_batches()[0]
    data = batch.serialize().to_pybytes()
    path, rows = folder / "result", ResultRows()
    path.write_bytes(data * batches)
    rows.put_file(path.open("rb"), [len(data)] * batches)
    return Result(batch.schema, rows), batch.num_rows * batches


def content(files: ResultFiles, link: Any) -> pa.Table:
    file = files.file(RESULTS_PATH + link.fileLink.rpartition("/")[2])
    assert file is not None
    data = b"".join(file.content())
    assert len(data) == link.bytesNum
    return pa.ipc.open_stream(data).read_all()


def test_a_file_is_read_as_often_as_it_is_asked_for_until_the_result_is_let_go(tmp_path: Path) -> None:
    files = ResultFiles("http://127.0.0.1:1")
    result, count = stored(tmp_path, 70)
    assert result.rows.size > LINKED_BYTES
    pages, start, seen = ResultPages(result, files), 0, 0
    while pages.has_more:
        page = pages.next_page(max_rows=1)
        seen += 1
        links = page.row_set().resultLinks
        assert len(links) <= FILES_OF_A_PAGE
        for link in links:
            assert link.startRowOffset == start
            assert content(files, link).num_rows == content(files, link).num_rows == link.rowCount
            start += link.rowCount
    assert (start, seen) == (count, 2)
    kept = [file for link in links if (file := files.file(RESULTS_PATH + link.fileLink.rpartition("/")[2]))]
    pages.free()
    assert len(files) == 0
    with pytest.raises(ValueError, match="closed file"):
        list(kept[0].content())


def test_several_read_one_result_at_once(tmp_path: Path) -> None:
    files = ResultFiles("http://127.0.0.1:1")
    page = ResultPages(stored(tmp_path, 30)[0], files).next_page()
    links = page.row_set().resultLinks
    expected = [content(files, link) for link in links]
    found: dict[int, bool] = {}

    def read(number: int) -> None:
        found[number] = all(content(files, links[number]).equals(expected[number]) for _ in range(5))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(links))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(len(links)), True)
    assert len(links) > 3


def test_a_link_does_not_expire_before_the_client_reads_it() -> None:
    files = ResultFiles("http://127.0.0.1:1")
    links = ResultPages(Result.of(answer(None, str(ROWS))), files).next_page().row_set().resultLinks
    assert all(link.expiryTime > time.time() + 8 * 3600 for link in links)
