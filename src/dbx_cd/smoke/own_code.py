"""Expectations of a project's own: a class in a file beside the suites, or in any package that can be imported."""

from __future__ import annotations

import hashlib
import sys
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


def file_beside(folder: Path, dotted: str) -> str | None:
    """The file in the suites' folder that holds the class of a dotted path; None when there is no such file."""
    module = dotted.rpartition(".")[0]
    file = folder.joinpath(*module.split(".")).with_suffix(".py")
    return str(file) if module and file.is_file() else None


def load_class(dotted: str, file: str | None) -> Any:
    """The object that a dotted path names, from the file if one is given, else by import.

    Raises:
        Exception: whatever the code raises; the class is anybody's.
    """
    module, _, name = dotted.rpartition(".")
    loaded = _load(Path(file)) if file else import_module(module)
    if not hasattr(loaded, name):
        raise ValueError(f"{file or module} has no class `{name}`")
    return getattr(loaded, name)


class _FromSource(SourceFileLoader):
    """Compiles the source each time. Python's cached bytecode is found by path, size and second of the last change, so
    that the file of another commit, checked out there within a second, would be the earlier one.
    """

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """What is in the file now."""
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _load(file: Path) -> ModuleType:
    """The module in a file. Its name tells the content, so that another commit's file is another module."""
    content = file.read_bytes()
    name = f"dbx_cd_own_{hashlib.sha256(str(file).encode() + content).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, file, loader=_FromSource(name, str(file)))
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
