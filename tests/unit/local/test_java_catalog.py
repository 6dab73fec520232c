"""What a user reads when Java or the registry is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dbx_cd.errors import SetupError
from dbx_cd.local import java_catalog


def fake_java(folder: Path, answer: str) -> Path:
    java = folder / "java"
    java.write_text(f"#!{sys.executable}\nimport sys\nprint({answer!r}, file=sys.stderr)\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize("version", ['openjdk version "17.0.15" 2025-04-15', 'java version "21" 2023-09-19'])
def test_java_17_and_newer_is_accepted(tmp_path: Path, version: str) -> None:
    java_catalog.require_java_version(fake_java(tmp_path, version))


@pytest.mark.parametrize(
    ("version", "found"), [('java version "1.8.0_392"', "Java 8"), ('openjdk version "11.0.2"', "Java 11")]
)
def test_older_java_is_refused_in_one_sentence(tmp_path: Path, version: str, found: str) -> None:
    with pytest.raises(SetupError, match=f"{found} is too old for Spark .*install a JDK 17"):
        java_catalog.require_java_version(fake_java(tmp_path, version))


def test_missing_java_names_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SetupError, match=r"`java` was not found \(JAVA_HOME=.*Next: install a JDK 17"):
        java_catalog.java_command("java")


def test_unreachable_registry_is_one_sentence(tmp_path: Path) -> None:
    settings = tmp_path / "ivysettings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="none"/><resolvers>'
        '<ibiblio name="none" m2compatible="true" root="http://127.0.0.1:9/"/></resolvers></ivysettings>'
    )
    messages: list[str] = []
    arguments = ["--cache-dir", str(tmp_path / "cache"), "--ivy-settings", str(settings)]
    assert java_catalog.main(arguments, report=messages.append) == 1
    assert "could not be fetched from Maven Central" in messages[0]
    assert "\n" not in messages[0]
    assert not list((tmp_path / "cache").glob("delta-spark*"))


def test_sources_are_part_of_the_package() -> None:
    names = {source.name for source in java_catalog.SOURCES.rglob("*.java")}
    assert {"LocalCatalog.java", "SystemCatalog.java", "ParameterParser.java", "Statements.java"} <= names
