"""Safe dbt releases on Databricks: staging, smoke tests, approval, production, rollback.

The public API is `dbx_cd.__all__`. Names are imported when first used, so that `import dbx_cd` costs little and pulls
in neither pyspark nor dbt nor Great Expectations.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_MODULES = {
    "dbx_cd.errors": ("DbxCdError",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["DbxCdError"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dbx_cd' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from dbx_cd.errors import DbxCdError
