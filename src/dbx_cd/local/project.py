"""A dbt project of this machine, as the embedded workspace takes it: its settings, its places and its job."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from dbx_cd.config import CdConfig
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.profiles import profiles_folder
from dbx_cd.errors import ConfigError
from dbx_cd.jinja import EarlyJinja
from dbx_cd.local.job_bundle import load_bundled_job
from dbx_cd.local.workspace import CI, PRODUCTION_BOT, RELEASE_BOT
from dbx_cd.relations import RelationName
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.standing import require_targets
from dbx_cd.setup.bundle_options import PRODUCTION_JOB_FILE, TargetNames
from dbx_cd.setup.bundled_job import JOB_KEY, PRODUCTION_JOB_KEY, BundledJob
from dbx_cd.setup.grants import Places
from dbx_cd.setup.places import places_of
from dbx_cd.sql_endpoint import profile_targets
from dbx_cd.yaml_text import load_yaml


@dataclass(frozen=True)
class LocalProject:
    """A dbt project in a git repository of this machine."""

    repository: Path
    """The root of the git repository."""
    subfolder: str
    """The project's folder, relative to the repository."""
    profile: str
    """The profile that `dbt_project.yml` names."""
    profiles_dir: Path
    """The folder of the `profiles.yml` that it uses, whether or not there is one."""
    config: CdConfig
    """The project's settings."""

    @classmethod
    def find(cls, project_dir: str | Path, *, profiles_dir: str | Path | None = None) -> LocalProject:
        """Look at a project's folder.

        Args:
            project_dir: the folder.
            profiles_dir: the folder of `profiles.yml`; by default the one that dbt takes in the project's folder or in
                the current one: that of DBT_PROFILES_DIR, the project's folder, the current one, `~/.dbt`.

        Raises:
            ConfigError: no dbt project, not in a git repository, or no `profiles.yml` where one is named.
        """
        project = Path(project_dir).resolve()
        try:
            settings = load_yaml((project / "dbt_project.yml").read_text(encoding="utf-8"), last_counts=True)
        except FileNotFoundError:
            raise ConfigError("no dbt_project.yml", where=project, next_step="give the dbt project's folder") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
            raise ConfigError(
                f"dbt_project.yml cannot be read as YAML: {exc}", where=project, next_step="fix the file"
            ) from exc
        if not isinstance(settings, dict):
            raise ConfigError("dbt_project.yml must be a mapping", where=project, next_step="fix the file")
        root = _git(project, "rev-parse", "--show-toplevel")
        if root is None:
            raise ConfigError(
                "not in a git repository",
                where=project,
                next_step="a release is made of a commit: git init && git commit",
            )
        profiles = profiles_folder(project, given=profiles_dir) or profiles_folder(Path.cwd(), given=None)
        repository = Path(root)
        subfolder = project.relative_to(repository).as_posix()
        profile = EarlyJinja().render(settings.get("profile"), where=f"{project}/dbt_project.yml: profile")
        return cls(repository, subfolder, profile, profiles or Path.home() / ".dbt", CdConfig.load(project))

    @property
    def catalogs(self) -> list[str]:
        """The catalogs that the profile's targets, the release log and the Volume of artifacts need."""
        targets = profile_targets(self.profiles_dir, self.profile, targets=self.config.targets)
        volume = Path(self.config.artifacts_root).parts
        named = [volume[2]] if volume[:2] == ("/", "Volumes") and len(volume) > 2 else []
        return [*(t.catalog for t in targets.values()), RelationName.parse(self.config.release_log).catalog, *named]

    @property
    def places(self) -> Places:
        """Where the project's release log, artifacts and targets are, by name."""
        return self.places_with({})

    def places_with(self, manifests: Mapping[str, Manifest]) -> Places:
        """These, and what dbt's parse for each target says of catalogs and sources."""
        targets = profile_targets(self.profiles_dir, self.profile, targets=self.config.targets)
        catalogs = {name: target.catalog for name, target in targets.items()}
        places = places_of(self.config, catalogs=catalogs, manifests=manifests)
        return replace(places, has_two_identities=self.has_two_identities)

    @property
    def has_two_identities(self) -> bool:
        """Whether what has a gate is a job of its own in the repository's bundle, which runs as another identity."""
        return (self.repository / PRODUCTION_JOB_FILE).is_file()

    def jobs(self, *, artifacts_root: str | None = None) -> list[BundledJob]:
        """The Workflow's definition: the repository's own, else the packaged one for this project's targets.

        The second job, where there is one, is what the last task of the first runs.

        Args:
            artifacts_root: the folder of artifacts; by default as the project's settings have it.

        Raises:
            ConfigError: it is malformed, or builds other targets than the project's settings have.
        """
        variables = {
            "git_url": self.repository.as_uri(),
            "project_dir": self.subfolder,
            "artifacts_root": artifacts_root or self.config.artifacts_root,
            "release_log": self.config.release_log,
            "approvers": self.config.approvers,
            "run_as": RELEASE_BOT,
            "production_run_as": PRODUCTION_BOT,
            "ci": CI,
            "sres": self.config.approvers,  # who rolls back here are the owners, and they approve
        }
        keys = (JOB_KEY, PRODUCTION_JOB_KEY) if self.has_two_identities else (JOB_KEY,)
        names = TargetNames.of(self.config)
        jobs = [load_bundled_job(self.repository, variables=variables, names=names, job=key) for key in keys]
        for job in jobs:
            require_targets(self.config, JobDefinition.of(job.settings).standing)
        return jobs

    def commit(self, revision: str) -> str:
        """The full SHA of a revision.

        Raises:
            ConfigError: there is no such commit.
        """
        sha = _git(self.repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if sha is None:
            raise ConfigError(
                f"no commit {revision!r}", where=self.repository, next_step="commit first, or see git log"
            )
        return sha

    def newest_commit(self) -> str | None:
        """The full SHA of what is checked out; None where nothing is committed yet."""
        return _git(self.repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")


def _git(folder: Path, *arguments: str) -> str | None:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
