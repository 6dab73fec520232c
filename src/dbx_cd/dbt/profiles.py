"""Which `profiles.yml` a project uses: dbt's own order, as if it were started in the project's folder."""

from __future__ import annotations

from pathlib import Path

from dbx_cd.config import profiles_dir_of_environment
from dbx_cd.errors import ConfigError

PROFILES_FILE = "profiles.yml"


def profiles_folder(project: Path, *, given: str | Path | None) -> Path | None:
    """The folder of the `profiles.yml` that counts.

    dbt takes `--profiles-dir`, else DBT_ENGINE_PROFILES_DIR or DBT_PROFILES_DIR, else the current directory where that
    has one, else `~/.dbt` (dbt-core 1.11, cli/params.py and cli/resolvers.py). `run_dbt` starts it in the project's
    folder. A relative path counts from this process's current directory, as it does for a dbt that is started there
    with `--project-dir`.

    Args:
        project: the project's folder.
        given: what `--profiles-dir` would be; None or "" for nothing.

    Returns:
        The folder; None where only `~/.dbt` is left.

    Raises:
        ConfigError: there is no `profiles.yml` where one is named.
    """
    by_environment = profiles_dir_of_environment()
    if given:
        return _with_profiles(Path(given), next_step="check the parameter profiles_dir")
    if by_environment is not None:
        name, value = by_environment
        return _with_profiles(Path(value), next_step=f"unset {name}, or let it name the folder that holds the file")
    return project if (project / PROFILES_FILE).is_file() else None


def _with_profiles(folder: Path, *, next_step: str) -> Path:
    if not (folder / PROFILES_FILE).is_file():
        raise ConfigError(f"no {PROFILES_FILE}", where=folder.resolve(), next_step=next_step)
    return folder.resolve()
