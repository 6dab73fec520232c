"""What a piece of work costs the driver: Spark jobs, and peak memory of Python and of the JVM."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Cost:
    """Of one run: jobs that Spark started, peak resident Python memory and peak heap of the JVM, in MiB."""

    jobs: int
    python_mib: int
    heap_mib: int

    def __str__(self) -> str:
        return f"{self.jobs} Spark jobs, peak driver memory {self.python_mib} MiB Python, {self.heap_mib} MiB JVM heap"


def cost_of(spark: SparkSession, work: Callable[[], object]) -> Cost:
    """Run the work once and return its cost. In local mode the JVM's heap holds driver and executors alike."""
    pools = _heap_pools(spark)
    before = _next_job(spark)
    spark._jvm.java.lang.System.gc()  # type: ignore[union-attr]
    for pool in pools:
        pool.resetPeakUsage()
    # Writing 5 resets the peak resident size that the kernel keeps (Linux, proc(5)).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    work()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    python = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024  # type: ignore[index]
    heap = sum(int(pool.getPeakUsage().getUsed()) for pool in pools) // _MEBIBYTE
    return Cost(_next_job(spark) - before - 1, python, heap)


def _heap_pools(spark: SparkSession) -> list[Any]:
    pools = spark._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans()  # type: ignore[union-attr]
    return [pool for pool in pools if pool.getType().name() == "HEAP"]


def _next_job(spark: SparkSession) -> int:
    """The number that a job started now gets: an application counts its jobs."""
    spark.range(1).count()
    jobs = spark.sparkContext._jsc.sc().statusStore().jobsList(None)
    return int(max(jobs.apply(i).jobId() for i in range(jobs.size())))
