"""`dbt deps` as a function: packages from a hub that changes, and local ones as links, as dbt installs them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from dbx_cd import DbtOutcome


class MemoryHub:
    """Installs what `packages.yml` names.

    Attributes:
        packages: the files of each hub package, by its name without the owner; one that is not here is not to be had.
        installs: the project folders it installed in.
    """

    def __init__(self, packages: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.packages = {name: dict(files) for name, files in (packages or {}).items()}
        self.installs: list[Path] = []

    def install(self, project: Path) -> DbtOutcome:
        """What `dbt deps` does in a project."""
        self.installs.append(project)
        settings = yaml.safe_load((project / "dbt_project.yml").read_text())
        folder = project / settings.get("packages-install-path", "dbt_packages")
        shutil.rmtree(folder, ignore_errors=True)
        named = yaml.safe_load((project / "packages.yml").read_text())["packages"]
        for package in named:
            if "local" in package:
                source = (project / package["local"]).resolve()
                if not source.is_dir():
                    return DbtOutcome(False, (f"Runtime Error: no package at {package['local']}",))
                folder.mkdir(parents=True, exist_ok=True)
                name = yaml.safe_load((source / "dbt_project.yml").read_text())["name"]
                (folder / name).symlink_to(source)
            else:
                name = str(package["package"]).split("/")[-1]
                if name not in self.packages:
                    return DbtOutcome(False, (f"Package {package['package']} was not found in the package index",))
                for file, text in self.packages[name].items():
                    (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name / file).write_text(text)
        (project / "package-lock.yml").write_text(yaml.safe_dump({"packages": named, "sha1_hash": "0" * 40}))
        return DbtOutcome(True)
