"""Which manifests are read: the schema by which dbt 1.8 to 1.12 write them, with what later ones of these add."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dbx_cd.errors import ArtifactError

READ = 12
"""The version of the schema. dbt 1.10, 1.11 and 1.12 write it; each adds fields that may be missing."""
_VERSION = re.compile(r"/manifest/v(\d+)\.json$")


def refuse_other_schemas(metadata: Mapping[str, Any], *, where: object = None) -> None:
    """Make sure that a manifest is of the schema that is read; one that names none is read leniently.

    Args:
        metadata: the manifest's own.
        where: the file, for the message.

    Raises:
        ArtifactError: it is newer, as that of dbt 2, or older, or not of dbt.
    """
    schema = metadata.get("dbt_schema_version")
    if schema is None:
        return
    found = _VERSION.search(str(schema))
    written = f"dbt {metadata.get('dbt_version') or 'of an unknown version'}"
    if found is None:
        raise ArtifactError(
            f"not a dbt manifest: its schema is {schema!r}",
            where=where,
            next_step="give a manifest.json that dbt wrote",
        )
    version = int(found[1])
    if version > READ:
        raise ArtifactError(
            f"a manifest of schema v{version}, by {written}, cannot be read: this version of dbx_cd reads v{READ}",
            where=where,
            next_step="build with dbt 1.10, 1.11 or 1.12, or install a dbx_cd that reads it",
        )
    if version < READ:
        raise ArtifactError(
            f"a manifest of schema v{version}, by {written}, is too old: this version of dbx_cd reads v{READ}",
            where=where,
            next_step="build the target once with dbt 1.10 or later",
        )
