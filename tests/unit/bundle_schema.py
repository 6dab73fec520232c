"""A JSON schema of asset bundles, made by hand.

The part of a job is made of the SDK's own types (databricks.sdk.service.jobs: its fields, enums and which have no
default). The rest is written from the public documentation: "Asset bundle configuration reference" (keys of a bundle,
of `workspace`, `variables`, `targets`, `presets`), "Asset bundle resources" (`permissions` and `lifecycle` of a job,
the kinds of resources) and "Substitutions" (`${...}` may stand for any value).
"""

from __future__ import annotations

import dataclasses
import re
import sys
from enum import Enum
from functools import cache
from typing import Any

from databricks.sdk.service.jobs import JobSettings

Schema = dict[str, Any]

SUBSTITUTION: Schema = {"type": "string", "pattern": r"\$\{[^}]+\}"}
TEXT: Schema = {"type": "string"}
_SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_LEVELS = ["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"]
_KINDS = (
    "alerts", "apps", "catalogs", "clusters", "dashboards", "database_catalogs", "database_instances", "experiments",
    "external_locations", "jobs", "model_serving_endpoints", "models", "pipelines", "quality_monitors",
    "registered_models", "schemas", "secret_scopes", "sql_warehouses", "synced_database_tables", "volumes",
)  # fmt: skip


def bundle_schema() -> Schema:
    """The schema of `databricks.yml`, and of each file that it includes."""
    definitions: dict[str, Schema] = {}
    job = of_type(JobSettings, definitions)
    own = definitions[job["$ref"].rpartition("/")[2]]["anyOf"][1]["properties"]
    definitions["job"] = closed({**own, "permissions": listed(permission(_LEVELS)), "lifecycle": closed(
        {"prevent_destroy": one_of("boolean"), "started": one_of("boolean")})})  # fmt: skip
    shared = _shared()
    target = {
        **shared,
        "cluster_id": TEXT,
        "compute_id": TEXT,
        "default": one_of("boolean"),
        "git": _git(),
        "mode": {"enum": ["development", "production"]},
        "variables": {"type": ["object", "null"], "additionalProperties": True},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": definitions,
        **closed(
            {
                **shared,
                "experimental": {"type": "object"},
                "include": listed(TEXT),
                "python": {"type": "object"},
                "scripts": {"type": "object"},
                "targets": {"type": "object", "additionalProperties": {"anyOf": [{"type": "null"}, closed(target)]}},
                "variables": {"type": "object", "additionalProperties": {"anyOf": [{"type": "null"}, _variable()]}},
            }
        ),
    }


def _shared() -> dict[str, Schema]:
    """The keys of a bundle that each of its targets may have as well."""
    resources: dict[str, Schema] = {kind: {"type": "object"} for kind in _KINDS}
    resources["jobs"] = {"type": "object", "additionalProperties": {"$ref": "#/$defs/job"}}
    bundle = {
        "cluster_id": TEXT,
        "compute_id": TEXT,
        "databricks_cli_version": TEXT,
        "deployment": {"type": "object"},
        "engine": TEXT,
        "git": _git(),
        "name": TEXT,
        "uuid": TEXT,
    }
    paths = ("artifact_path", "file_path", "resource_path", "root_path", "state_path")
    logins = ("auth_type", "client_id", "host", "profile", "google_service_account", "account_id", "workspace_id")
    azure = ("client_id", "environment", "login_app_id", "tenant_id", "use_msi", "workspace_resource_id")
    workspace = dict.fromkeys((*paths, *logins, *(f"azure_{name}" for name in azure)), TEXT)
    presets: dict[str, Schema] = {
        "artifacts_dynamic_version": one_of("boolean"),
        "jobs_max_concurrent_runs": one_of("integer"),
        "name_prefix": TEXT,
        "pipelines_development": one_of("boolean"),
        "source_linked_deployment": one_of("boolean"),
        "tags": {"type": "object", "additionalProperties": TEXT},
        "trigger_pause_status": {"enum": ["PAUSED", "UNPAUSED"]},
    }
    sync = {name: listed(TEXT) for name in ("exclude", "include", "paths")}
    return {
        "artifacts": {"type": "object"},
        "bundle": closed(bundle),
        "permissions": listed(permission(["CAN_VIEW", "CAN_RUN", "CAN_MANAGE"])),
        "presets": closed(presets),
        "resources": closed(resources),
        "run_as": closed({"service_principal_name": TEXT, "user_name": TEXT}),
        "sync": closed(sync),
        "workspace": closed(workspace),
    }


def _git() -> Schema:
    return closed({"branch": TEXT, "origin_url": TEXT})


def _variable() -> Schema:
    return closed({"default": {}, "description": TEXT, "lookup": {"type": "object"}, "type": {"const": "complex"}})


def permission(levels: list[str]) -> Schema:
    principals = ("group_name", "service_principal_name", "user_name")
    keys = {"level": {"enum": levels}, **dict.fromkeys(principals, TEXT)}
    return {**closed(keys), "required": ["level"], "minProperties": 2, "maxProperties": 2}


def closed(properties: dict[str, Any]) -> Schema:
    """A mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def listed(item: Schema) -> Schema:
    return {"anyOf": [SUBSTITUTION, {"type": "array", "items": {"anyOf": [SUBSTITUTION, item]}}]}


def one_of(kind: str) -> Schema:
    return {"anyOf": [SUBSTITUTION, {"type": kind}]}


def of_type(kind: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of one of the SDK's types."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"anyOf": [SUBSTITUTION, {"enum": [member.value for member in kind]}]}
    name = f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
    if name not in definitions:
        definitions[name] = {}  # a task may have a task in it
        fields = dataclasses.fields(kind)
        properties = {f.name: of_hint(str(f.type), sys.modules[kind.__module__], definitions) for f in fields}
        required = [f.name for f in fields if f.default is dataclasses.MISSING]
        definitions[name] = {"anyOf": [SUBSTITUTION, {**closed(properties), "required": required}]}
    return {"$ref": f"#/$defs/{name}"}


def of_hint(hint: str, module: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of a field of one of the SDK's types, from what is written as its type."""
    kind, _, inner = hint.partition("[")
    inner = inner.removesuffix("]")
    if kind == "Optional":
        return {"anyOf": [{"type": "null"}, of_hint(inner, module, definitions)]}
    if kind == "List":
        return listed(of_hint(inner, module, definitions))
    if kind == "Dict":
        value = of_hint(re.sub(r"^\s*str\s*,\s*", "", inner), module, definitions)
        return {"anyOf": [SUBSTITUTION, {"type": "object", "additionalProperties": value}]}
    if kind in _SIMPLE:
        return TEXT if kind == "str" else one_of(_SIMPLE[kind])
    if kind in ("Any", "any"):
        return {}
    found = module
    for part in kind.split("."):
        found = getattr(found, part)
    return of_type(found, definitions)


@cache
def validator() -> Any:
    from jsonschema import Draft202012Validator

    schema = bundle_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def refused(content: Any) -> list[str]:
    """Where a file of a bundle is not as the schema has it."""
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(content)]
