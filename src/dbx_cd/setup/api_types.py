"""The kinds of values that the Jobs API takes, by the SDK's own types."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import cache
from typing import Any, Literal

from databricks.sdk.service.jobs import JobSettings

from dbx_cd.setup.yaml_places import Place

_NAME = re.compile(r"[\w.]+")
_UNKNOWN = "${"
_SCALARS: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
# What a reference to another resource of the bundle may stand for; whatever else only a deploy knows is left out.
_KEPT = ("job_id",)


@dataclass(frozen=True)
class ApiType:
    """What a field takes."""

    kind: type | None
    """A type of the SDK, an enum, or a scalar; None for anything."""
    many: Literal["one", "list", "dict"] = "one"
    """Whether it is one of these, a list of them, or a mapping to them."""
    is_required: bool = False
    """Whether the API refuses to be without."""

    @property
    def name(self) -> str:
        """In words."""
        if self.many != "one":
            return "a list" if self.many == "list" else "a mapping"
        scalars = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        return scalars.get(self.kind, "a mapping") if self.kind is not None else "anything"


@dataclass(frozen=True)
class Normalized:
    """Settings as the API would get them."""

    value: Any
    """Numbers and the like as text where that is taken, and without what only a deploy knows."""
    wrong: list[tuple[Place, str]] = field(default_factory=list)
    """What is of another kind than the API takes, or missing: the place, and what should be there."""


@cache
def fields_of(kind: type | None) -> Mapping[str, ApiType]:
    """The fields of one of the SDK's types; none of anything else."""
    if kind is None or not dataclasses.is_dataclass(kind):
        return {}
    module = sys.modules[kind.__module__]
    return {f.name: _of_hint(str(f.type), module, f.default is dataclasses.MISSING) for f in dataclasses.fields(kind)}


def _of_hint(hint: str, module: Any, is_required: bool) -> ApiType:
    # By hand: typing.get_type_hints takes a field's name, such as Task's `compute`, for the module of that name.
    name = _NAME.findall(hint)[-1]
    many: Literal["one", "list", "dict"] = "list" if "List[" in hint else "dict" if "Dict[" in hint else "one"
    if name in _SCALARS:
        return ApiType(_SCALARS[name], many, is_required)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return ApiType(found if isinstance(found, type) else None, many, is_required)


def normalized_settings(settings: Mapping[str, Any]) -> Normalized:
    """A job's settings as a deploy would hand them over.

    A bundle takes numbers, dates, true and false for text (databricks/cli, libs/dyn/convert/normalize.go).
    """
    wrong: list[tuple[Place, str]] = []
    return Normalized(_mapping(settings, JobSettings, (), wrong), wrong)


def _value(value: Any, api: ApiType, place: Place, wrong: list[tuple[Place, str]]) -> Any:
    if value is None or api.kind is None:
        return value
    if isinstance(value, str) and _UNKNOWN in value and (api.kind is not str or api.many != "one"):
        return value if place[-1] in _KEPT else None
    if api.many == "list" and isinstance(value, list):
        one = ApiType(api.kind)
        found = [_value(item, one, (*place, number), wrong) for number, item in enumerate(value)]
        wrong += [((*place, n), one.name) for n, item in enumerate(value) if item is None]
        return found
    if api.many == "dict" and isinstance(value, Mapping):
        return {str(key): _value(item, ApiType(api.kind), (*place, str(key)), wrong) for key, item in value.items()}
    if api.many == "one":
        if dataclasses.is_dataclass(api.kind) and isinstance(value, Mapping):
            return _mapping(value, api.kind, place, wrong)
        if api.kind is str and isinstance(value, str | int | float | date):
            return str(value).lower() if isinstance(value, bool) else str(value)
        if issubclass(api.kind, Enum) and isinstance(value, str):
            return value
        if api.kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if api.kind in (int, bool) and type(value) is api.kind:
            return value
    wrong.append((place, api.name))
    return None


def _mapping(value: Mapping[str, Any], kind: type, place: Place, wrong: list[tuple[Place, str]]) -> dict[str, Any]:
    fields = fields_of(kind)
    wrong += [((*place, name), api.name) for name, api in fields.items() if api.is_required and value.get(name) is None]
    found = {
        str(key): _value(item, fields.get(str(key), ApiType(None)), (*place, str(key)), wrong)
        for key, item in value.items()
    }
    return {key: item for key, item in found.items() if item is not None}
