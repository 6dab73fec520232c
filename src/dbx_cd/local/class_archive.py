"""Classes of Spark and Delta as the JVM has parsed and checked them once, so that each start maps them into memory.

A JVM that starts Spark and runs its first statements loads some 25,000 classes. From an archive (JDK 17's dynamic class
data sharing) that takes 18 s of processor time less (measured: 65 s instead of 83 s for a start and 84 statements).
`record_classes` makes the archive; without one, everything works and takes longer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from dbx_cd.local.java_catalog import JavaCatalog, spark_jars


def archive_of(java: JavaCatalog, *, jvm_options: str) -> Path:
    """Where the archive is that a JVM can use, whether there is one or not.

    A JVM that meets an archive of other jars, of another Java or of another garbage collector does without; so the name
    has all of that in it.

    Args:
        java: the `java` command and the class path.
        jvm_options: options of the JVM.
    """
    command = java.java.resolve()
    files = [command, *sorted(spark_jars().glob("*.jar")), java.catalog, *java.delta_jars]
    known = [(str(file), (found := file.stat()).st_size, found.st_mtime_ns) for file in files]
    digest = hashlib.sha256(repr((known, jvm_options)).encode()).hexdigest()[:16]
    cache = java.catalog.parent.parent
    return cache / f"classes-{_installation(command)}-{digest}.jsa"


def replaced_by(archive: Path) -> list[Path]:
    """The archives that nobody asks for any more: those of the same PySpark and Java as they were before."""
    installation = archive.name.rsplit("-", 1)[0]
    return [file for file in archive.parent.glob(f"{installation}-*.jsa") if file != archive]


def sharing_option(archive: Path) -> str:
    """The option that uses an archive; "" where there is none."""
    return f'-XX:SharedArchiveFile="{archive}"' if archive.is_file() else ""


def _installation(java: Path) -> str:
    return hashlib.sha256(f"{spark_jars()}\0{java}".encode()).hexdigest()[:8]
