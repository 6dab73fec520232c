from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dbx_cd import CdConfig, ConfigError


@pytest.fixture
def load(tmp_path: Path):
    """Loads a project whose `dbx_cd.yml` has the given text."""

    def load(text: str | None = None, **overrides: object) -> CdConfig:
        if text is not None:
            (tmp_path / "dbx_cd.yml").write_text(text, encoding="utf-8")
        return CdConfig.load(tmp_path, overrides=overrides)

    return load


def test_defaults_are_those_of_the_documentation(load, tmp_path: Path) -> None:
    config = load()
    assert config.artifacts_root == "/Volumes/ops/dbt_meta/artifacts"
    assert config.release_log == "ops.dbt_meta.release_log"
    assert list(config.targets) == ["stg", "prod"]
    assert (config.targets["stg"].gate, config.targets["stg"].defer_to) == (None, None)
    assert (config.targets["prod"].gate, config.targets["prod"].defer_to) == ("approval", "stg")
    assert config.smoke_dir == tmp_path / "smoke"
    assert config.approvers == "dbx_cd_approvers"
    assert config.approval_expires == timedelta(hours=72)
    assert config.policies.untagged_changes == "read_staging"
    assert config.policies.require_rollback_ready == "warn"
    assert config.policies.auto_rollback == "never"
    assert (config.keep.versions, config.keep.days) == (30, 180)
    assert config.project_dir == tmp_path


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}"])
def test_file_without_settings_means_the_defaults(load, text: str) -> None:
    assert load(text) == load()


EVERY_KEY = """
artifacts_root: /Volumes/a/b/c
release_log: a.b.c
targets:
  dev: {}
  live: {gate: approval, defer_to: dev}
smoke_dir: checks/smoke
approvers: owners
approval_expires: 3d
policies: {untagged_changes: read_existing, require_rollback_ready: error, auto_rollback: any}
keep: {versions: 5, days: 7}
wheelhouse: /Volumes/a/b/wheels
"""


def test_every_key_of_the_file_is_read(load, tmp_path: Path) -> None:
    config = load(EVERY_KEY)
    assert (config.artifacts_root, config.release_log, config.approvers) == ("/Volumes/a/b/c", "a.b.c", "owners")
    assert list(config.targets) == ["dev", "live"]
    assert (config.target("live").gate, config.target("live").defer_to) == ("approval", "dev")
    assert config.smoke_dir == tmp_path / "checks" / "smoke"
    assert config.approval_expires == timedelta(days=3)
    assert config.policies.untagged_changes == "read_existing"
    assert config.policies.require_rollback_ready == "error"
    assert config.policies.auto_rollback == "any"
    assert (config.keep.versions, config.keep.days) == (5, 7)
    assert config.wheelhouse == "/Volumes/a/b/wheels"


def test_keys_not_in_the_file_keep_their_defaults(load) -> None:
    config = load("keep: {versions: 5}\npolicies: {auto_rollback: any}\n")
    assert (config.keep.versions, config.keep.days) == (5, 180)
    assert (config.policies.auto_rollback, config.policies.require_rollback_ready) == ("any", "warn")


def test_overrides_win_over_the_file_and_the_file_over_defaults(load) -> None:
    config = load("approvers: from_file\nsmoke_dir: from_file\n", approvers="from_override")
    assert config.approvers == "from_override"
    assert config.smoke_dir.name == "from_file"
    assert config.release_log == "ops.dbt_meta.release_log"


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_override_counts_as_not_given(load, empty: object) -> None:
    assert load("approvers: from_file\n", approvers=empty).approvers == "from_file"


def test_unknown_override_is_refused(load) -> None:
    with pytest.raises(ConfigError, match="did you mean `artifacts_root`"):
        load(artifact_root="/x")


@pytest.mark.parametrize(
    ("text", "unknown", "suggestion"),
    [
        ("aprovers: x", "aprovers", "approvers"),
        ("policies: {auto_rollbacks: any}", "policies.auto_rollbacks", "auto_rollback"),
        ("keep: {version: 3}", "keep.version", "versions"),
        ("targets: {prod: {gates: approval}}", "targets.prod.gates", "gate"),
    ],
)
def test_unknown_key_is_named_with_the_nearest_one(load, text: str, unknown: str, suggestion: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown key `{unknown}`.*did you mean `{suggestion}`"):
        load(text)


def test_unknown_key_like_no_other_lists_the_known_ones(load) -> None:
    with pytest.raises(ConfigError, match="known keys: artifacts_root, release_log"):
        load("zzz: 1")


def test_project_dir_is_no_setting_of_the_file(load) -> None:
    with pytest.raises(ConfigError, match="unknown key `project_dir`"):
        load("project_dir: /x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("approvers: [a, b]", "`approvers` must be text"),
        ("approvers: true", "`approvers` must be text"),
        ("approvers:", "`approvers` must be text"),
        ("targets: [stg, prod]", "`targets` must be a mapping"),
        ("targets: {}", "`targets` must be a mapping"),
        ("targets: {prod: approval}", r"`targets\.prod` must be a mapping"),
        ("targets: {prod: {gate: aproval}}", r"`targets\.prod\.gate` must be one of approval"),
        ("keep: 30", "`keep` must be a mapping"),
        ("keep: {versions: 0}", r"`keep\.versions` must be a whole number"),
        ("keep: {versions: true}", r"`keep\.versions` must be a whole number"),
        ("keep: {days: '7'}", r"`keep\.days` must be a whole number"),
        ("policies: {auto_rollback: always}", r"`policies\.auto_rollback` must be one of never, contracts, any"),
        (
            "policies: {require_rollback_ready: {}}",
            r"`policies\.require_rollback_ready` must be one of ignore, warn, error",
        ),
        ("release_log: just_a_table", "`release_log`: not a three-level relation name"),
    ],
)
def test_value_of_the_wrong_type_is_named(load, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(text)


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\t- x", "- a\n- b", "just text", "a: 2024-13-45", "a: \0", "a: " + "[" * 3000]
)
def test_malformed_file_is_named(load, tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"not valid YAML|must be a mapping") as raised:
        load(text)
    assert raised.value.where == str(tmp_path / "dbx_cd.yml")


def test_a_key_that_stands_twice_is_refused(load) -> None:
    text = "targets:\n  stg: {}\n  prod: {gate: approval, defer_to: stg}\n  prod: {}\n"
    with pytest.raises(ConfigError, match=r"the key 'prod' is there twice"):
        load(text)


def test_the_gates_are_the_gated_targets_in_their_order(load) -> None:
    gated = "{gate: approval, defer_to: stg}"
    assert load(f"targets: {{uat: {gated}, stg: {{}}, prod: {gated}}}").gates == ("uat", "prod")


def test_file_that_is_not_utf8_is_named(load, tmp_path: Path) -> None:
    (tmp_path / "dbx_cd.yml").write_bytes(b"approvers: \xff\xfe")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30m", timedelta(minutes=30)), ("48h", timedelta(hours=48)), ("3d", timedelta(days=3))],
)
def test_durations_are_minutes_hours_or_days(load, text: str, expected: timedelta) -> None:
    assert load(f"approval_expires: {text}").approval_expires == expected


@pytest.mark.parametrize("text", ["72", "3 weeks", "-1h", "1.5h", "[1h]", "h"])
def test_anything_else_is_no_duration(load, text: str) -> None:
    with pytest.raises(ConfigError, match="`approval_expires` must be a duration such as 72h"):
        load(f"approval_expires: {text}")


def test_deferring_to_an_unknown_target_is_refused(load) -> None:
    with pytest.raises(ConfigError, match="target 'prod' defers to 'staging', which is not a target"):
        load("targets: {stg: {}, prod: {defer_to: staging}}")


def test_asking_for_an_unknown_target_lists_the_known_ones(load) -> None:
    with pytest.raises(ConfigError, match=r"unknown target 'production'.*use one of stg, prod"):
        load().target("production")


def test_staging_of_a_target_is_what_it_defers_to(load) -> None:
    assert load().staging_of("prod") == "stg"
    with pytest.raises(ConfigError, match=r"'stg' defers to nothing.*set targets\.stg\.defer_to"):
        load().staging_of("stg")


def test_writers_are_a_list_of_names(tmp_path: Path) -> None:
    (tmp_path / "dbx_cd.yml").write_text("targets: {stg: {}, prod: {gate: approval, defer_to: stg, writers: [dbt-sp]}}")
    assert CdConfig.load(tmp_path).target("prod").writers == ("dbt-sp",)
    (tmp_path / "dbx_cd.yml").write_text("targets: {prod: {writers: dbt-sp}}")
    with pytest.raises(ConfigError, match=r"`targets\.prod\.writers` must be a list of names, not 'dbt-sp'"):
        CdConfig.load(tmp_path)


TWO_GATES = "targets: {stg: {}, uat: {gate: approval, defer_to: stg}, prod: {gate: approval, defer_to: %s}}"


@pytest.mark.parametrize("defer_to", ["stg", "uat"])
def test_gates_are_in_the_order_in_which_the_file_lists_them(load, defer_to: str) -> None:
    config = load(TWO_GATES % defer_to)
    assert config.gates == ("uat", "prod")
    assert config.staging_of("prod") == defer_to
    assert load(
        "targets: {prod: {gate: approval, defer_to: s}, s: {}, uat: {gate: approval, defer_to: prod}}"
    ).gates == (
        "prod",
        "uat",
    )
    assert load("").gates == ("prod",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TWO_GATES % "prod", "gated target 'prod' defers to itself"),
        (
            "targets: {uat: {gate: approval, defer_to: prod}, prod: {gate: approval, defer_to: stg}, stg: {}}",
            "gated target 'uat' defers to 'prod', which is listed after it",
        ),
    ],
    ids=["itself", "a later one"],
)
def test_a_gated_target_that_defers_to_what_is_promoted_to_later_is_refused(load, settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(settings)
