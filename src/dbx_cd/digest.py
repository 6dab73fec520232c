"""One digest of any value: what seals and definitions are compared by."""

from __future__ import annotations

import hashlib
import json


def digest(value: object) -> str:
    """The sha256 of a value's canonical JSON, in hexadecimal; what JSON does not know is taken by its `str`."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
