"""How dbt logs in on a job: nobody is there to open a browser, and what a person has made ends with the person.

What dbt-databricks needs is what its credentials.py (1.12, `validate_creds`) refuses to do without.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbx_cd.plan.connection import way_of
from dbx_cd.setup.check.outputs import Output
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped, warn
from dbx_cd.setup.check.scene import Scene

_SERVICE_PRINCIPAL = (
    "log in as a service principal: `auth_type: oauth` with `client_id` and `client_secret` from the environment"
)
_FEDERATED = ("env-oidc", "file-oidc")


def login(scene: Scene, target: str) -> Iterator[CheckLine]:
    """dbt can log in without a person."""
    output, way = scene.output(target), way_of(scene.config)
    if way == "cluster":
        yield ok(target, "dbt's SQL runs on the job's own cluster (`compute: cluster`)")
        return
    if way == "warehouse":
        yield ok(target, f"dbt connects to the job's warehouse {scene.config.warehouse_id}, whatever the output says")
        return
    if not output.has_connection:
        yield fail(
            target,
            "the output says nothing of where to connect, and the job names no warehouse",
            next_step="give the job parameter `warehouse_id` a value, or the output `host` and `http_path`",
        )
        return
    missing = [key for key in ("host", "http_path") if not output.values.get(key)]
    if missing:
        yield fail(
            target,
            f"the output has no {missing[0]}, so dbt does not know where to connect",
            next_step=f"add `{missing[0]}:` to it in profiles.yml",
        )
        return
    yield _way(output)
    unset = [name for name in output.unset if name not in scene.config.secrets]
    if unset:
        yield skipped(
            target,
            f"whether it gets in is not known here, where {', '.join(unset)} is not set",
            next_step="set it on the job's cluster: `new_cluster.spark_env_vars` in the bundle",
        )


def _way(output: Output) -> CheckLine:
    has, way = output.values.get, output.values.get("auth_type", "")
    if has("token"):
        return warn(
            output.name,
            "logs in by a token, which belongs to whoever made it and ends some day",
            next_step=_SERVICE_PRINCIPAL,
        )
    if not way:
        return fail(
            output.name,
            "has neither a token nor an `auth_type`, and dbt refuses to connect",
            next_step=_SERVICE_PRINCIPAL,
        )
    if way in _FEDERATED:
        if has("client_id"):
            return ok(output.name, f"logs in by workload identity ({way})")
        return fail(
            output.name, f"`auth_type: {way}` needs a `client_id`", next_step="give that of a service principal"
        )
    if way != "oauth":
        return fail(output.name, f"`auth_type: {way}` is none that dbt-databricks knows", next_step=_SERVICE_PRINCIPAL)
    for kind in ("", "azure_"):
        given = [bool(has(f"{kind}client_id")), bool(has(f"{kind}client_secret"))]
        if all(given):
            return ok(output.name, "logs in as a service principal, by its secret")
        if given == [False, True]:
            return fail(
                output.name, f"`{kind}client_secret` is given without `{kind}client_id`", next_step=_SERVICE_PRINCIPAL
            )
    return fail(
        output.name,
        "`auth_type: oauth` without a secret opens a browser, and a job has none: it would wait for ever",
        next_step=_SERVICE_PRINCIPAL,
    )
