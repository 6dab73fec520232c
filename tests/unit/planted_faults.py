"""Edits of the packaged bundle and what the linter has to find in each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

BUNDLE, JOB, CONFIG = "databricks.yml", "resources/dbx_cd.job.yml", "dbx_cd.yml"


@dataclass(frozen=True)
class Edit:
    """One edit of one file: what first matches `old`, a regular expression, after the text `after`."""

    old: str
    new: str
    after: str = ""
    file: str = JOB

    def applied(self, text: str) -> str:
        start = text.index(self.after) if self.after else 0
        found = re.compile(self.old).search(text, start)
        assert found is not None, f"nothing matches {self.old} after {self.after!r}"
        return text[: found.start()] + self.new + text[found.end() :]


@dataclass(frozen=True)
class Fault:
    """A fault, and the one thing that is to be found."""

    name: str
    rule: str
    message: str
    """A regular expression that the message matches somewhere."""
    at: str
    """The text of the line that is named, once the edits are made; "" where no line is."""
    edits: tuple[Edit, ...]
    task: str = ""
    """The task that is named; its line is looked for from there on."""
    after: str = ""
    """Text from which on the line is looked for."""
    file: str = JOB

    def plant(self, repository: Path) -> str:
        """Make the edits; returns the place that is to be named."""
        for edit in self.edits:
            path = repository / edit.file
            path.parent.mkdir(parents=True, exist_ok=True)
            text = edit.applied(path.read_text()) if path.is_file() else edit.new
            path.write_text(text)
        if not self.at:
            return self.file
        text = (repository / self.file).read_text()
        after = self.after or (key(self.task) if self.task else "")
        at = text.index(self.at, text.index(after) if after else 0)
        line = text.count("\n", 0, at) + 1
        return f"{self.file}:{line}" + (f", task {self.task}" if self.task else "")


def key(task: str) -> str:
    """The line with which a task begins."""
    return f"- task_key: {task}\n"


def of(task: str, old: str, new: str) -> Edit:
    """An edit of one task."""
    return Edit(old, new, after=key(task))


def more(task: str, line: str) -> Edit:
    """A further line of a task, right below its key."""
    return Edit(r"\n", f"\n          {line}\n", after=key(task))


def of_job(line: str) -> Edit:
    """A further line of the job, right below its key."""
    return Edit(r"(?<=jobs:\n    dbx_cd:)\n", f"\n      {line}\n")


def inserted(*lines: str) -> Edit:
    """One more task, of these lines, before that of the docs."""
    text = "        - " + "\n          ".join(lines) + "\n\n"
    return Edit(r" {8}- task_key: docs_refresh\n", f"{text}        - task_key: docs_refresh\n")


NOTEBOOK = "notebooks/{}.py"
OTHER_TASK = """\
        - task_key: {key}
          depends_on: [{{task_key: {after}}}]
          notebook_task:
            notebook_path: notebooks/{notebook}
            source: GIT
            base_parameters:
              run_id: "{{{{job.run_id}}}}"
              target: {target}
          job_cluster_key: release
          libraries: *libraries

"""

MORE = Edit(
    "", "from dbx_cd import start_task\ntask = start_task(dbutils, spark, target='')\n", file=NOTEBOOK.format("more")
)


def before(task: str, *, new: str, after: str, notebook: str, target: str) -> Edit:
    """One more task, before another one in the file."""
    text = OTHER_TASK.format(key=new, after=after, notebook=notebook, target=target)
    return Edit(f" {{8}}- task_key: {task}\n", text + f"        - task_key: {task}\n")


def waits_for(task: str, *others: str) -> Edit:
    """Other dependencies of a task."""
    return of(task, "depends_on: .*", f"depends_on: [{', '.join(f'{{task_key: {other}}}' for other in others)}]")


UAT = (
    before("prod_build", new="uat_gate", after="stg_smoke", notebook="approval_gate", target="uat"),
    of("uat_gate", "(?=run_id)", "select: tag:deploy\n              "),
    before("prod_build", new="uat_build", after="uat_gate", notebook="run_dbt", target="uat"),
    before("prod_build", new="uat_smoke", after="uat_build", notebook="smoke", target="uat"),
    before("prod_build", new="uat_rollback", after="uat_build", notebook="auto_rollback", target="uat"),
    waits_for("uat_rollback", "uat_build", "uat_smoke"),
    more("uat_rollback", "run_if: AT_LEAST_ONE_FAILED"),
    Edit(
        "",
        "targets:\n  stg: {}\n  uat: {gate: approval, defer_to: stg}\n  prod: {gate: approval, defer_to: stg}\n",
        file=CONFIG,
    ),
)
