"""A dbt project on local disk, where dbt may write."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from dbx_cd.dbt.hidden import Hidden
from dbx_cd.dbt.profiles import profiles_folder
from dbx_cd.dbt.project_copy import copy_project
from dbx_cd.errors import ConfigError

MANIFEST_NAME = "manifest.json"
ARTIFACT_NAMES = (
    MANIFEST_NAME, "run_results.json", "sources.json", "catalog.json", "index.html", "static_index.html",
)  # fmt: skip
LOG_NAME = "dbt.log"
LOG_PATH = Path("logs") / LOG_NAME
"""dbt's own log, below the work folder."""
"""dbt's own log, collected with the artifacts."""
COPY = "project"
"""The folder of the copy, below the work folder; where packages lie beside the project, the copy is further down."""


@dataclass(frozen=True)
class LocalProject:
    """A copy of a project below one work folder, with folders for dbt's target, logs and collected artifacts."""

    dir: Path
    work: Path
    profiles_dir: Path | None
    hidden: Hidden = field(default_factory=Hidden)
    """What must not be in the artifacts."""

    @classmethod
    def prepare(cls, project_dir: str | Path, *, work: Path, profiles_dir: str | Path | None) -> LocalProject:
        """Copy a project below `work`; a copy that an earlier invocation left there is used again.

        Raises:
            ConfigError: no dbt project there, or no `profiles.yml` where one is named.
        """
        source = Path(project_dir).resolve()
        _require_project(source)
        profiles_folder(source, given=profiles_dir)  # before anything is copied
        top = work.resolve() / COPY
        copy = top if source == top else copy_project(source, top)
        return cls.at(copy, work=work, profiles_dir=profiles_dir)

    @classmethod
    def at(cls, folder: Path, *, work: Path, profiles_dir: str | Path | None) -> LocalProject:
        """A project where it is, for a folder that dbt may write to.

        Raises:
            ConfigError: no dbt project there, or no `profiles.yml` where one is named.
        """
        _require_project(folder)
        return cls(folder, work.resolve(), profiles_folder(folder, given=profiles_dir))

    @property
    def files(self) -> Path:
        """Where the artifacts of the last invocation are collected."""
        return self.work / "artifacts"

    @property
    def target_path(self) -> Path:
        """dbt's `--target-path`."""
        return self.work / "target"

    def flags(self, target: str, *, paths: bool = True) -> list[str]:
        """The flags that every dbt command takes; `dbt deps` has no target folder, so none is given without `paths`."""
        profiles = ["--profiles-dir", str(self.profiles_dir)] if self.profiles_dir else []
        target_path = ["--target-path", str(self.target_path)] if paths else []
        log_path = ["--log-path", str((self.work / LOG_PATH).parent)]
        return ["--project-dir", str(self.dir), *profiles, "--target", target, *target_path, *log_path]

    def clear_artifacts(self) -> None:
        """Remove what an earlier invocation left, so that it cannot pass for this one's."""
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir(parents=True)
        for name in ARTIFACT_NAMES:
            (self.target_path / name).unlink(missing_ok=True)

    def leave_only_artifacts(self) -> None:
        """Remove the copy and what dbt needed; the artifacts, with the log, stay."""
        for entry in self.work.iterdir():
            if entry.is_dir() and not entry.is_symlink() and entry != self.files:
                shutil.rmtree(entry, ignore_errors=True)
            elif entry != self.files:
                entry.unlink(missing_ok=True)

    def collect_artifacts(self) -> None:
        """Copy the artifacts, and only them, out of dbt's target folder; the log goes with them.

        Raises:
            ConfigError: a secret is in the manifest. Masked, it would be of other relations than dbt builds.
        """
        sources = [*(self.target_path / name for name in ARTIFACT_NAMES), self.work / LOG_PATH]
        masked = [source.name for source in sources if source.is_file() and self._collect(source)]
        if MANIFEST_NAME in masked:
            raise ConfigError(
                "a secret that dbt is told is in its manifest, where names, code and configs are for all to read",
                where=self.dir,
                next_step="use variables of `secrets` for logging in alone, and another one for the name of a schema",
            )

    def _collect(self, source: Path) -> bool:
        return self.hidden.copy(source, self.files / source.name)


def _require_project(folder: Path) -> None:
    if not (folder / "dbt_project.yml").is_file():
        raise ConfigError(
            "no dbt_project.yml", where=folder, next_step="give the folder of the dbt project as project_dir"
        )
