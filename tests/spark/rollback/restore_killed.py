"""A process of its own that restores and kills itself with SIGKILL at one journal step; run by test_restore_kill.py."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.config import CdConfig
from dbx_cd.local.notebooks.spark import attach
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.release.log import ReleaseLog
from dbx_cd.release.state import Event
from dbx_cd.rollback.journal import RestoredRelation
from dbx_cd.rollback.plan import RestorePlan
from dbx_cd.rollback.restore import restore
from memory.releases import Person


@dataclass(frozen=True)
class Order:
    """What the parent asks for; `at` is a relation, `after` says whether its journal entry is still written."""

    port: int
    secret: str
    log_table: str
    plan: str
    at: str
    after: bool


class DeadlyLog(ReleaseLog):
    """A release log whose process dies at one entry."""

    at = ""
    after = False

    def append_all(self, release: Release, records: Sequence[Record]) -> list[Event]:
        deadly = any(isinstance(r, RestoredRelation) and r.name == self.at for r in records)
        if deadly and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        events = super().append_all(release, records)
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return events


def main(order: Order) -> None:
    spark = attach(order.port, order.secret, job_group="killed", user="tester@example.org")
    log = DeadlyLog(spark, order.log_table, actor="tester@example.org")
    log.at, log.after = order.at, order.after
    plan = RestorePlan.from_dict(json.loads(Path(order.plan).read_text()))
    cd = Cd(spark, CdConfig(), ArtifactStore("unused"), log, Person("tester@example.org"))  # type: ignore[arg-type]
    restore(cd, plan, seal=plan.seal, threads=1)


if __name__ == "__main__":
    main(Order(**json.loads(sys.argv[1])))
