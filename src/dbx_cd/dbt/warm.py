"""What a warm parent for dbt imports, and how its forks run dbt. With `one_parse` the only module that imports dbt.

Measured on dbt-core 1.11.16: of a first parse in a new process about half is import, and a third of the rest is the
building of (de)serializers and JSON schemas for dbt's own record classes, the same for every project. `preload` does
both; it runs no invocation and sees no project.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from dbx_cd.dbt import one_parse

# The records whose JSON schema dbt asks for in nearly every parse (measured), most of them for every model.
_VALIDATED = {
    "dbt.contracts.project": ("Project", "Configuration", "ProjectFlags", "PackageConfig", "ProfileConfig"),
    "dbt.contracts.selection": ("SelectorFile",),
    "dbt.contracts.graph.nodes": (
        "ModelNode", "SeedNode", "SnapshotNode", "HookNode", "SingularTestNode", "GenericTestNode",
    ),
    "dbt.contracts.graph.unparsed": ("UnparsedSourceDefinition", "UnparsedModelUpdate", "UnparsedNodeUpdate"),
    "dbt.artifacts.resources": (
        "SnapshotConfig", "SeedConfig", "ModelConfig", "NodeConfig", "TestConfig", "SourceConfig",
    ),
    "dbt.adapters.databricks.credentials": ("DatabricksCredentials",),
}  # fmt: skip
_SERIALIZED = (
    "dbt.contracts.graph.nodes",
    "dbt.contracts.graph.manifest",
    "dbt.contracts.project",
    "dbt.artifacts.resources",
    "dbt.adapters.databricks.credentials",
)
_IMPORTED = (
    "dbt.adapters.databricks",
    "dbt.parser.schema_yaml_readers",
    "dbt.task.build",
    "dbt.task.docs.generate",
    "dbt.task.freshness",
    "dbt.task.list",
)


def preload() -> None:
    """Import dbt and its adapter, as an invocation would.

    Raises:
        ImportError: dbt is not installed here.
    """
    import_dbt()
    _compile()


def import_dbt() -> None:
    """Import what most invocations import.

    Raises:
        ImportError: dbt is not installed here.
    """
    importlib.import_module("dbt.cli.main")
    for name in _IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def run(argv: Sequence[str]) -> None:
    """Run one invocation; `sys.argv` has the arguments too, and dbt takes them from there. Or make several lists."""
    from dbt.cli.main import cli

    signal.signal(signal.SIGINT, _interrupted)
    if argv[:1] == [one_parse.ONE_PARSE]:
        sys.exit(one_parse.main(argv[1:]))
    cli()


def _interrupted(*_: object) -> NoReturn:
    """Let dbt cancel its queries; a second interrupt would end it before it has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _compile() -> None:
    """Let dbt's record classes build what they otherwise build when first used, and keep as long as they live.

    It is code made from the classes alone. A version of dbt that has no such class, or builds in another way, loses
    time here and nothing else; hence every error is passed over.
    """
    for module, names in _VALIDATED.items():
        for name in names:
            with contextlib.suppress(Exception):
                getattr(importlib.import_module(module), name).json_schema()
    for module in _SERIALIZED:
        with contextlib.suppress(ImportError):
            for record in list(vars(importlib.import_module(module)).values()):
                # Called with nothing, a class builds its (de)serializer and then refuses (mashumaro, lazy compilation).
                with contextlib.suppress(Exception):
                    record.from_dict({})
                with contextlib.suppress(Exception):
                    record.to_dict(object.__new__(record))


if __name__ == "__main__":
    # Of an environment that was just made: whether dbt can be imported there, with its modules compiled meanwhile.
    import_dbt()
