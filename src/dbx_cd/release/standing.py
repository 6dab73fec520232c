"""What does not follow the commit: where log, artifacts and dbt's SQL are, which targets are gated, who approves.

The project archive brings models, suites and policies. A commit that could also say where the log is, or that
production needs no approval, would take the gate away by itself. So these are the words of the job's definition, of the
Volume and of the log, in this order; what none of them says yet is taken from the project's `dbx_cd.yml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dbx_cd.config import FILE_NAME, CdConfig, Compute, TargetConfig, refuse_disorder
from dbx_cd.errors import ConfigError

if TYPE_CHECKING:
    from dbx_cd.release.reading import LogReading

_NAMES = ("artifacts_root", "release_log", "approvers", "compute", "warehouse_id")
_REQUESTED, _DEPLOYING = "approval_requested", "deploying"


@dataclass(frozen=True)
class Standing:
    """What one source says; what it does not say is None or empty."""

    source: str
    """Who says so, in words."""
    artifacts_root: str | None = None
    """The folder of all artifacts."""
    release_log: str | None = None
    """The table of the release log."""
    approvers: str | None = None
    """The group whose members may decide."""
    compute: Compute | None = None
    """Where dbt's SQL runs."""
    warehouse_id: str | None = None
    """In which SQL warehouse, where that is said."""
    gates: tuple[str, ...] = ()
    """Targets that are gated."""
    open_targets: tuple[str, ...] = ()
    """Targets that it says are not gated."""
    is_in_order: bool = False
    """Whether it says in which order a release is promoted, too: as it lists the gates."""
    staging: str | None = None
    """The open target that is built before the gated ones, for a commit that does not say it of one of them."""


def settle(config: CdConfig, *sources: Standing) -> CdConfig:
    """The settings that count, whatever the commit says.

    Args:
        config: the settings as the project's file has them.
        sources: who says otherwise; the first one that says something of a setting counts.

    Returns:
        The settings; `overruled` says what the file has and does not count.

    Raises:
        ConfigError: a target is gated, and nobody says what is built and tested before it, or that is what comes later.
    """
    overruled = list(config.overruled)
    for name in _NAMES:
        source = next((s for s in sources if getattr(s, name) is not None), None)
        if source is None:
            continue
        value, written = getattr(source, name), getattr(config, name)
        if name in config.written and written != value:
            overruled.append(f"{name} is {written} in {FILE_NAME}; {value} counts, by {source.source}")
        config = replace(config, **{name: value})
    order = next((source.gates for source in sources if source.is_in_order), ())
    targets = dict(config.targets)
    # A job that builds a target past no gate is right about it, whatever the log remembers.
    opened = {name for source in sources for name in source.open_targets}
    for source in sources:
        for gate in (name for name in source.gates if name not in opened or name in order):
            written_target = targets.get(gate, TargetConfig())
            if written_target.gate is None:
                # A gate of earlier days that no commit speaks of any more is no difference.
                if "targets" in config.written and (gate in config.targets or source.is_in_order):
                    overruled.append(f"{gate} has no gate in {FILE_NAME}; it is gated, by {source.source}")
                targets[gate] = replace(
                    written_target, gate="approval", defer_to=_before(gate, written_target, sources, config)
                )
    gates = [name for name, target in targets.items() if target.gate is not None]
    in_turn = iter(order)
    promoted = [next(in_turn) if name in order else name for name in gates]
    known = [name for name in config.gates if name in order]
    if known != [name for name in order if name in known]:
        overruled.append(f"the gates come in the order {', '.join(known)} in {FILE_NAME}; {', '.join(order)} counts")
    in_order = {name: target for name, target in targets.items() if target.gate is None}
    in_order |= {name: targets[name] for name in promoted}
    refuse_disorder(in_order, where=config.project_dir / FILE_NAME)
    return replace(config, targets=in_order, overruled=tuple(overruled))


def require_targets(config: CdConfig, definition: Standing) -> None:
    """Make sure that a project's settings speak of the targets that its job builds.

    A target that the commit has and the job does not build, or whose gate the commit does not know, is no mistake by
    itself; one that stands in the place of another is.

    Args:
        config: the settings as the project's file has them.
        definition: what the job says.

    Raises:
        ConfigError: the job builds a target that they do not know; the message has both, and what to write.
    """
    unknown = [name for name in definition.open_targets if name not in config.targets]
    if any(name not in definition.gates for name in config.gates):
        unknown += [name for name in definition.gates if name not in config.targets]
    if unknown:
        staging = definition.staging or next(iter(definition.open_targets), "...")
        targets = [f"{name}: {{}}" for name in definition.open_targets]
        targets += [f"{name}: {{gate: approval, defer_to: {staging}}}" for name in definition.gates]
        path = config.project_dir / FILE_NAME
        without = "" if "targets" in config.written else f" (by default: no {FILE_NAME} with `targets` is committed)"
        raise ConfigError(
            f"the job builds {', '.join((*definition.open_targets, *definition.gates))}, "
            f"and the project's targets are {', '.join(config.targets)}{without}",
            where=path if path.is_file() else config.project_dir,
            next_step=f"have `targets: {{{', '.join(targets)}}}` in {FILE_NAME} beside dbt_project.yml, and commit it; "
            "or, where the project's names are right, "
            "give them to the job, by its variables staging and production in databricks.yml",
        )


def log_standing(log: LogReading) -> Standing:
    """What the log knows from the releases in it: a target that anybody was ever asked about stays gated.

    Who may approve is what the newest request says.

    Args:
        log: a reading in which the Workflow's own events count alone.
    """
    events = [event for event in log.events if event.kind in (_REQUESTED, _DEPLOYING)]
    newest = next((event for event in reversed(events) if event.kind == _REQUESTED), None)
    request: Mapping[str, Any] = newest.payload if newest is not None else {}
    return Standing(
        source="the release log",
        approvers=request.get("approvers"),
        gates=tuple(dict.fromkeys(str(event.payload["target"]) for event in events if event.payload.get("target"))),
        staging=request.get("state_target"),
    )


def _before(gate: str, written: TargetConfig, sources: tuple[Standing, ...], config: CdConfig) -> str:
    """What is built and tested before a gated target whose gate the commit does not know."""
    named = written.defer_to or next((s.staging for s in sources if s.staging is not None), None)
    if named is None:
        raise ConfigError(
            f"{gate} is gated, and nothing says which target is built and tested before it",
            where=config.project_dir / FILE_NAME,
            next_step=f"set targets.{gate}.gate to approval, and targets.{gate}.defer_to",
        )
    return named
