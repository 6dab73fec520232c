"""Text files of a source: what cannot be read whole is refused, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import ConfigError
from dbx_cd.local.sources.lines import check_text, is_json_array, line_of


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.b.csv", "", r"no header \(a\.b\.csv\)"),
        ("a.b.csv", "x,X\n1,2\n", r"the column 'x' twice \(a\.b\.csv:1\)"),
        ("a.b.csv", "x,\n1,2\n", r"a column without a name \(a\.b\.csv:1\)"),
        ("a.b.csv", "x,y\n1,2\n3\n", r"1 values, and the header 2 \(a\.b\.csv:3\)"),
        ("a.b.csv", 'x,y\n"one\ntwo",2\n3,4,5\n', r"3 values, and the header 2 \(a\.b\.csv:4\)"),
        ("a.b.csv", b"x,y\n1,2\n\xe4,2\n", r"not UTF-8 \(a\.b\.csv"),
        ("a.b.csv", 'x,y\n1,"2\n', r"not CSV: unexpected end of data \(a\.b\.csv:\d\)"),
        ("a.b.json", '{"x": 1}\n{"x": \n', r"not JSON: Expecting value \(a\.b\.json:2\)"),
        ("a.b.json", '[{"x": 1},\n {"x" 2}]', r"not JSON: Expecting ':' delimiter \(a\.b\.json:2\)"),
        ("a.b.json", '{"x": 1}\n[2]\n', r"a row is no JSON object but '\[2\]' \(a\.b\.json:2\)"),
        ("a.b.json", b'{"x": 1}\n{"x": "\xe4"}\n', r"not UTF-8 \(a\.b\.json:2\)"),
    ],
)
def test_a_file_that_cannot_be_read_whole_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_text(written(tmp_path, name, content), name.rpartition(".")[2])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.b.csv", "\ufeffx,y\r\n1,2\r\n\r\n"),
        ("a.b.csv", 'größe,y\n"a ""b""\nc",2\n'),
        ("a.b.csv", "x,y\n"),
        ("a.b.json", ""),
        ("a.b.json", '{"x":\n 1}\n'),
        ("a.b.json", '\n{"x": {"y": [1]}}\n\n'),
    ],
)
def test_what_tools_write_is_read(tmp_path: Path, name: str, content: str) -> None:
    check_text(written(tmp_path, name, content), name.rpartition(".")[2])


def test_the_line_of_a_value_counts_lines_inside_of_quotes(tmp_path: Path) -> None:
    path = written(tmp_path, "a.b.csv", 'x,Amount\n"one\ntwo",2\n3,many\n')
    assert line_of(path, "csv", "amount", ["many"]) == 4
    assert line_of(path, "csv", "amount", ["few"]) is None


def test_the_line_of_a_value_in_json_lines_is_found_by_its_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a.b.json", '{"x": 1}\n{"x": [1, 2]}\n')
    assert line_of(path, "json", "X", ["[1,2]"]) == 2


@pytest.mark.parametrize(
    ("content", "expected"), [("[{}]", True), ('  [\n{"x": 1}]', True), ('{"x": 1}\n{}', False), ('{"x":\n1}', True)]
)
def test_json_lines_are_told_from_one_document(tmp_path: Path, content: str, expected: bool) -> None:
    assert is_json_array(written(tmp_path, "a.json", content)) is expected
