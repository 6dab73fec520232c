"""A release that changes relations of one schema, without dbt: what the restore tests share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.config import CdConfig
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import CatalogEntry
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.release.log import ReleaseLog
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.point import RestorePoint
from memory.releases import Person
from spark_kind import OPS, PROD, own_session

TESTER = "tester@example.org"


@dataclass(frozen=True)
class Observed:
    """What a user sees of one relation; `operations` are those of DESCRIBE HISTORY, newest first."""

    kind: str
    rows: tuple[Any, ...] = ()
    schema: str = ""
    comment: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    operations: tuple[str, ...] = ()


@dataclass
class Scene:
    """One schema of `prod` and one release log of its own."""

    spark: SparkSession
    schema: str
    log: ReleaseLog

    @classmethod
    def create(cls, spark: SparkSession, schema: str) -> Scene:
        spark.sql(f"CREATE SCHEMA {PROD}.{schema}")
        own = own_session(spark, TESTER)
        return cls(own, schema, ReleaseLog(own, f"{OPS}.{schema}.release_log", actor=TESTER))

    @property
    def cd(self) -> Cd:
        return Cd(self.spark, CdConfig(), ArtifactStore("unused"), self.log, Person(TESTER))  # type: ignore[arg-type]

    def name(self, identifier: str) -> RelationName:
        return RelationName(PROD, self.schema, identifier)

    def full(self, identifier: str) -> str:
        return str(self.name(identifier))

    def sql(self, *statements: str, this: str = "") -> list[Any]:
        """Run statements in which `@name` stands for a table of the scene and `@@` for `this`."""
        rows: list[Any] = []
        for statement in statements:
            text = statement.replace("@@", self.name(this).quoted).replace("@", f"{PROD}.{self.schema}.")
            rows = self.spark.sql(text).collect()
        return rows

    def open(self, label: str = "release") -> Release:
        commit = hashlib.sha1(label.encode()).hexdigest()
        return self.log.open(commit, run_id=label, requester=TESTER)

    def deploy(
        self, names: Sequence[str], build: Callable[[], object], *, label: str = "release"
    ) -> tuple[Release, RestorePoint]:
        """What build_release does around dbt: restore point, build, versions after."""
        release = self.open(label)
        relations = [self.name(n) for n in names]
        point = capture_restore_point(self.cd, release, relations)
        build()
        record_versions_after(self.cd, release, point, built=relations)
        return release, point

    def observe(self, *identifiers: str) -> dict[str, Observed]:
        """What a user sees of each; a view that does not answer has kind "broken view"."""
        names = {i: self.name(i) for i in identifiers}
        entries = SparkTables.of(self.spark).entries(list(names.values()))
        with ThreadPoolExecutor(4) as pool:
            seen = pool.map(lambda name: self._observe(name, entries[name.key]), names.values())
            return dict(zip(identifiers, seen, strict=True))

    def _observe(self, name: RelationName, entry: CatalogEntry) -> Observed:
        if entry.kind == "missing":
            return Observed("missing")
        try:
            frame = self.spark.table(name.quoted)
            rows, schema = tuple(sorted(frame.collect(), key=str)), frame.schema.json()
        except AnalysisException:
            return Observed("broken view")
        operations: tuple[str, ...] = ()
        if entry.kind == "table":
            operations = tuple(c.operation for c in SparkTables.of(self.spark).history(name).commits.values())
        # The protocol is among a table's properties, and RESTORE reverts neither it nor the count of column ids.
        properties = {
            key: value
            for key, value in SparkTables.of(self.spark).properties(name).items()
            if not key.startswith(("delta.feature.", "delta.minReader", "delta.minWriter"))
            and key != "delta.columnMapping.maxColumnId"
        }
        return Observed(entry.kind, rows, schema, entry.comment, tuple(sorted(properties.items())), operations)
