"""An asset bundle as its files have it: all that it includes, for one of its targets, with variables filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle_variables import Filler
from dbx_cd.setup.yaml_places import Place, read_places

BUNDLE_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
"""What the bundle's own file may be called (asset bundle reference)."""
# Lists of a job whose items are the same item where this key is the same, in the files and in a target; items of any
# other list are added (asset bundle documentation, "Override with target settings").
_BY_KEY = {"tasks": "task_key", "job_clusters": "job_cluster_key", "environments": "environment_key"}
_BY_KEY |= {"parameters": "name"}
_VAR = "var."
# Keys of a target that stand in place of those of the bundle.
_OF_A_TARGET = ("artifacts", "bundle", "permissions", "presets", "resources", "run_as", "sync", "workspace")


@dataclass(frozen=True)
class Bundle:
    """A bundle for one of its targets."""

    root: Path
    """The folder of the bundle's own file."""
    file: Path
    """That file."""
    target: str | None
    """The target; None where it has none."""
    content: Mapping[str, Any]
    """All files together, with what is known of variables filled in."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """The value of each variable that has one in the files, by its name."""
    origins: Mapping[Place, tuple[Path, int]] = field(repr=False, default_factory=dict)
    """File and line of each key and item."""
    undeclared: tuple[tuple[Place, str], ...] = ()
    """Where a variable stands that there is not."""
    valueless: tuple[tuple[Place, str], ...] = ()
    """Where a variable stands that has no value in the files."""
    unmatched: tuple[tuple[Place, str], ...] = ()
    """What is included and matches no file."""

    @property
    def defined_jobs(self) -> dict[str, dict[str, Any]]:
        """The jobs by their key."""
        jobs = _get(_get(self.content, "resources"), "jobs")
        return {str(key): dict(job) for key, job in jobs.items() if isinstance(job, Mapping)}

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of all of its targets."""
        return tuple(str(name) for name in _get(self.content, "targets"))

    def origin(self, place: Place) -> tuple[Path, int | None]:
        """File and line of a place; of what it is in, where it has none of its own."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.origins:
                return self.origins[place[:end]]
        return self.file, None

    def where(self, place: Place) -> str:
        """File, as the repository has it, and line of a place."""
        path, line = self.origin(place)
        name = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)
        return name if line is None else f"{name}:{line}"


def bundle_file(root: Path) -> Path | None:
    """The bundle's own file in a folder; None where there is none."""
    return next((root / name for name in BUNDLE_FILES if (root / name).is_file()), None)


def read_bundle(
    root: Path,
    *,
    target: str | None = None,
    variables: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
    also: Sequence[str] = (),
) -> Bundle:
    """Read a bundle.

    Args:
        root: the folder of its own file.
        target: one of its targets; by default the one that says so, else the only one, else none.
        variables: values that count before all that the files say.
        texts: what files have, by name, in place of what is on disk.
        also: files that belong to it whether or not they are included.

    Raises:
        ConfigError: there is no such bundle or target, or a file of it cannot be read.
    """
    texts = texts or {}
    own = next((root / name for name in BUNDLE_FILES if name in texts), None) or bundle_file(root)
    if own is None:
        raise ConfigError(f"no {BUNDLE_FILES[0]}", where=root, next_step="write the bundle: python -m dbx_cd init")
    origins: dict[Place, tuple[Path, int]] = {}
    content = _file(own, root, texts, origins)
    included, unmatched = _included(content, own, root)
    for path in dict.fromkeys([*included, *(root / name for name in also)]):
        content = merged(content, _file(path, root, texts, origins))
    chosen = _chosen(content, target, where=own)
    settings = _get(_get(content, "targets"), chosen) if chosen is not None else {}
    if chosen is not None:
        for key in _OF_A_TARGET:
            if settings.get(key) is not None:
                _overriding(content, settings, key, chosen, origins)
    filler = _filler(content, settings, chosen, variables or {})
    filled = filler.fill({key: value for key, value in content.items() if key not in ("targets", "variables")})
    rest = {key: content[key] for key in ("targets", "variables") if key in content}
    return Bundle(
        root,
        own,
        chosen,
        {**filled, **rest},
        {name.removeprefix(_VAR): filler.fill(value) for name, value in filler.values.items() if name.startswith(_VAR)},
        origins,
        tuple(filler.undeclared),
        tuple(filler.valueless),
        tuple(unmatched),
    )


def merged(first: Any, second: Any) -> Any:
    """Two values of one place: mappings are put together, lists added, and of two other values the second counts.

    Args:
        first: the one.
        second: what is said later.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        both = {key: merged(first[key], value) for key, value in second.items() if key in first}
        return {**first, **second, **both}
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *second]
    return first if second is None else second


def _overriding(
    content: dict[str, Any], settings: Mapping[str, Any], key: str, target: str, origins: dict[Place, tuple[Path, int]]
) -> None:
    """Let what a target says stand in place of what the bundle says, with its lines."""
    content[key] = _with(content.get(key), settings[key], (key,), ("targets", target, key), origins)


def _with(base: Any, over: Any, place: Place, source: Place, origins: dict[Place, tuple[Path, int]]) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        result = dict(base)
        for key, value in over.items():
            result[key] = _with(base.get(key), value, (*place, key), (*source, key), origins)
        return result
    if isinstance(base, list) and isinstance(over, list):
        result_list = list(base)
        same = _BY_KEY.get(str(place[-1]))
        for number, item in enumerate(over):
            keys = [b.get(same) if isinstance(b, dict) else None for b in base] if same else []
            name = item.get(same) if same and isinstance(item, dict) else None
            at = keys.index(name) if name is not None and name in keys else len(result_list)
            before = result_list[at] if at < len(result_list) else None
            result_list[at : at + 1] = [_with(before, item, (*place, at), (*source, number), origins)]
        return result_list
    if over is None:
        return base
    for found in [known for known in origins if known[: len(source)] == source]:
        origins[(*place, *found[len(source) :])] = origins[found]
    return over


def _file(path: Path, root: Path, texts: Mapping[str, str], origins: dict[Place, tuple[Path, int]]) -> dict[str, Any]:
    try:
        name = path.relative_to(root).as_posix()
        text = texts[name] if name in texts else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot be read: {exc}", where=path, next_step="correct it") from exc
    content, lines = read_places(text, file=path)
    for place, line in lines.items():
        origins.setdefault(place, (path, line))
    return content


def _included(content: Mapping[str, Any], own: Path, root: Path) -> tuple[list[Path], list[tuple[Place, str]]]:
    patterns = content.get("include") or []
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ConfigError("`include` must be a list of paths", where=own, next_step="correct it")
    found: list[Path] = []
    unmatched: list[tuple[Place, str]] = []
    for number, pattern in enumerate(patterns):
        try:
            paths = sorted(path for path in root.glob(pattern) if path.is_file())
        except (ValueError, NotImplementedError) as exc:
            raise ConfigError(f"`include`: {pattern!r}: {exc}", where=own, next_step="correct it") from exc
        if not paths:
            unmatched.append((("include", number), pattern))
        found += paths
    return found, unmatched


def _chosen(content: Mapping[str, Any], target: str | None, *, where: Path) -> str | None:
    targets = {str(name): value or {} for name, value in _get(content, "targets").items()}
    if target is not None:
        if target not in targets:
            raise ConfigError(
                f"the bundle has no target {target!r}", where=where, next_step=f"give one of {', '.join(targets)}"
            )
        return target
    default = [name for name, value in targets.items() if isinstance(value, Mapping) and value.get("default") is True]
    return default[0] if default else next(iter(targets)) if len(targets) == 1 else None


def _filler(
    content: Mapping[str, Any], settings: Mapping[str, Any], target: str | None, given: Mapping[str, Any]
) -> Filler:
    declared = _get(content, "variables")
    values = {f"{_VAR}{name}": value for name, value in _defaults(declared)}
    values |= {f"{_VAR}{name}": value for name, value in _defaults(_get(settings, "variables"))}
    values |= {f"{_VAR}{name}": value for name, value in given.items()}
    values |= {"bundle.target": target} if target is not None else {}
    name = _get(content, "bundle").get("name")
    values |= {"bundle.name": name} if isinstance(name, str) else {}
    return Filler(values, frozenset(str(name) for name in declared))


def _defaults(variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The value of each variable that has one; in a target it may be written without `default`."""
    for name, variable in variables.items():
        if not isinstance(variable, Mapping):
            if variable is not None:
                yield str(name), variable
        elif "default" in variable:
            yield str(name), variable["default"]


def _get(content: Any, key: str) -> Mapping[str, Any]:
    """A mapping in a mapping; an empty one for anything else."""
    value = content.get(key) if isinstance(content, Mapping) else None
    return value if isinstance(value, Mapping) else {}
