"""The Java side of the embedded workspace: Delta's jars and the compiled catalog plugin, prepared once per user.

`python -m dbx_cd.local.java_catalog` prepares everything ahead; later starts touch neither the network nor javac.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dbx_cd.errors import SetupError
from dbx_cd.extras import missing_extra, require_extra

SOURCES = Path(__file__).with_name("java")
MINIMUM_JAVA = 17  # Spark 4 needs it
INSTALL_JDK = f"install a JDK {MINIMUM_JAVA} or newer and set JAVA_HOME to it"

# Spark's own jars hold everything else that Delta depends on, in the versions that Spark was built with.
IVY_MODULE = """<ivy-module version="2.0">
  <info organisation="dbx-cd" module="delta"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
    <dependency org="io.delta" name="{artifact}" rev="{revision}" conf="default->master,compile,runtime"/>
    <exclude org="^(?!io\\.delta$|io\\.unitycatalog$|org\\.locationtech\\.jts$).*" matcher="regexp"/>
  </dependencies>
</ivy-module>
"""


@dataclass(frozen=True)
class JavaCatalog:
    """What the driver's class path needs besides Spark."""

    java: Path
    """The `java` command."""
    delta_jars: tuple[Path, ...]
    """Delta and what it needs besides Spark's own jars."""
    catalog: Path
    """The compiled catalog plugin: a jar, since a JVM shares no classes of a folder."""

    @property
    def class_path(self) -> str:
        """The entries as Java wants them."""
        return os.pathsep.join(str(entry) for entry in (self.catalog, *self.delta_jars))


def prepare(*, cache_dir: Path | None = None, ivy_settings: Path | None = None) -> JavaCatalog:
    """Return the Java side, fetching and compiling what the cache lacks. Safe to call from several processes at once.

    Args:
        cache_dir: where jars and classes are kept; the user's cache directory by default.
        ivy_settings: an Ivy settings file, for a registry other than Maven Central.

    Raises:
        SetupError: Java is missing or too old, javac is missing, or the registry cannot be reached.
    """
    cache = cache_dir or default_cache_dir()
    java = java_command("java")
    require_java_version(java)
    jars = _delta_jars(cache, java, ivy_settings)
    return JavaCatalog(java=java, delta_jars=jars, catalog=_catalog(cache, jars))


def default_cache_dir() -> Path:
    """The user's cache directory by the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dbx_cd"


def java_command(name: str) -> Path:
    """The path of `java` or `javac`, found where PySpark looks: JAVA_HOME, else PATH.

    Raises:
        SetupError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(name, path=str(Path(home, "bin")) if home else None)
    if found is None:
        where = f"JAVA_HOME={home}" if home else "PATH"
        raise SetupError(f"`{name}` was not found", where=where, next_step=INSTALL_JDK)
    return Path(found)


def require_java_version(java: Path) -> None:
    """Check that this Java can run Spark.

    Raises:
        SetupError: it is too old, or does not say its version.
    """
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if match is None:
        raise SetupError("Java does not tell its version", where=java, next_step=INSTALL_JDK)
    if int(match[1]) < MINIMUM_JAVA:
        raise SetupError(f"Java {match[1]} is too old for Spark", where=java, next_step=INSTALL_JDK)


def _delta_jars(cache: Path, java: Path, ivy_settings: Path | None) -> tuple[Path, ...]:
    artifact, revision = _delta_coordinates()
    folder = cache / f"{artifact}-{revision}"
    if not folder.is_dir():
        with _built_in_place(folder) as building:
            _resolve(artifact, revision, into=building, cache=cache, java=java, ivy_settings=ivy_settings)
    return tuple(sorted(folder.glob("*.jar")))


def _delta_coordinates() -> tuple[str, str]:
    """The Maven artifact that fits the installed PySpark, by the naming rule of `delta.pip_utils`."""
    spark = _installed("pyspark").split(".")
    return f"delta-spark_{spark[0]}.{spark[1]}_2.13", _installed("delta-spark")


def _installed(distribution: str) -> str:
    return require_extra("local", distribution=distribution, purpose="the embedded workspace")


def spark_jars() -> Path:
    """The folder of the jars that come with PySpark."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise missing_extra("local", package="pyspark", purpose="the embedded workspace")
    return Path(spec.origin).with_name("jars")


def _resolve(artifact: str, revision: str, *, into: Path, cache: Path, java: Path, ivy_settings: Path | None) -> None:
    """Fetch the jars with the Ivy that ships inside PySpark, as spark-submit would, but without starting Spark."""
    ivy = next(spark_jars().glob("ivy-*.jar"))
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        module = Path(scratch, "ivy.xml")
        module.write_text(IVY_MODULE.format(artifact=artifact, revision=revision))
        command: list[str | Path] = [
            java,
            "-jar",
            ivy,
            "-ivy",
            module,
            "-cache",
            scratch,
            "-types",
            "jar",
            "-confs",
            "default",
            "-error",
        ]
        if ivy_settings is not None:
            command += ["-settings", ivy_settings]
        command += ["-retrieve", into / "[artifact]-[revision].[ext]"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode or not list(into.glob("delta-spark*.jar")):
        raise SetupError(
            f"Delta's jars (io.delta:{artifact}:{revision}) could not be fetched from Maven Central",
            where=_last_line(answer.stderr + answer.stdout),
            next_step="check the network, or name your registry with --ivy-settings",
        )


def _catalog(cache: Path, jars: tuple[Path, ...]) -> Path:
    sources = sorted(SOURCES.rglob("*.java"))
    digest = hashlib.sha256("\0".join([_installed("pyspark"), *(jar.name for jar in jars)]).encode())
    for source in sources:
        digest.update(source.read_bytes())
    folder = cache / f"catalog-jar-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        with _built_in_place(folder) as building:
            classes = building / "classes"
            _compile(sources, jars, into=classes)
            Path(shutil.make_archive(str(building / "catalog"), "zip", classes)).rename(building / "catalog.jar")
            shutil.rmtree(classes)
    return folder / "catalog.jar"


def _compile(sources: list[Path], jars: tuple[Path, ...], *, into: Path) -> None:
    class_path = os.pathsep.join([str(spark_jars() / "*"), *map(str, jars)])
    options: list[str | Path] = [
        "-proc:none",
        "-nowarn",
        "-encoding",
        "UTF-8",
        "--release",
        str(MINIMUM_JAVA),
        "-cp",
        class_path,
        "-d",
        into,
    ]
    answer = subprocess.run([java_command("javac"), *options, *sources], capture_output=True, text=True, check=False)
    if answer.returncode:
        errors = [line for line in answer.stderr.splitlines() if "error:" in line]
        raise SetupError(
            "the catalog plugin does not compile",
            where=errors[0] if errors else _last_line(answer.stderr),
            next_step="install the versions of pyspark and delta-spark that dbx-cd[local] names",
        )


@contextmanager
def _built_in_place(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` in one step; who comes second keeps what the first one made."""
    _writable(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        building = Path(scratch, "building")
        building.mkdir()
        yield building
        try:
            building.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SetupError(f"the cache directory cannot be written: {exc.strerror}", where=folder) from exc


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def main(arguments: list[str] | None = None, *, report: Callable[[str], None] = print) -> int:
    """Prepare the Java side ahead of the first start; the exit code is 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m dbx_cd.local.java_catalog", description=main.__doc__)
    parser.add_argument("--cache-dir", type=Path, help=f"default: {default_cache_dir()}")
    parser.add_argument("--ivy-settings", type=Path, help="an Ivy settings file, for another registry")
    options = parser.parse_args(arguments)
    try:
        catalog = prepare(cache_dir=options.cache_dir, ivy_settings=options.ivy_settings)
    except SetupError as error:
        report(str(error))
        return 1
    report(f"Java side ready: {len(catalog.delta_jars)} Delta jars, catalog plugin {catalog.catalog}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
