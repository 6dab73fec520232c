"""Values that must be in nothing that dbt leaves: secrets are for its process alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

MASK = "*****"
"""What stands in the place of a secret, as in dbt's own log."""
# A short one, such as the name of a schema, may be part of any word, and a manifest without that word is another one.
# dbt itself masks secrets of any length in what it says (dbt-common 1.37, `scrub_secrets`).
_LEAST = 8


class Hidden:
    """Masks secrets in text and in files, as they are and as JSON has them.

    Args:
        values: the secrets; those of fewer than 8 characters are left to dbt.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        found = {value for value in values if len(value) >= _LEAST}
        found |= {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for value in found for ascii_only in (True, False)}
        self._values = sorted(found, key=len, reverse=True)  # one may be part of another

    def __repr__(self) -> str:
        return f"<{len(self._values)} hidden values>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self._values == other._values

    def __hash__(self) -> int:
        return hash(tuple(self._values))

    def text(self, text: str) -> str:
        """The text without secrets."""
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def copy(self, source: Path, destination: Path) -> bool:
        """Copy a file without secrets; returns whether it had one."""
        if not self._values:
            shutil.copyfile(source, destination)
            return False
        content = found = source.read_bytes()
        for value in self._values:
            content = content.replace(value.encode(), MASK.encode())
        destination.write_bytes(content)
        return content != found
