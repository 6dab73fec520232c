"""What `${...}` in a bundle stands for, as far as the files say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dbx_cd.setup.yaml_places import Place

# "${var.<name>}" and paths into the bundle itself (asset bundle documentation, "Substitutions and variables").
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.\-\[\]]*)\}")
# A variable may be made of others; one that is made of itself ends here.
_DEEPEST = 10


@dataclass
class Filler:
    """Puts the values of variables in; whatever only a deploy knows stays as it is written."""

    values: Mapping[str, Any]
    """By full name, such as `var.git_url` and `bundle.target`."""
    declared: frozenset[str]
    """The names of all variables that the bundle has."""
    undeclared: list[tuple[Place, str]] = field(default_factory=list)
    """Where a variable stands that there is not."""
    valueless: list[tuple[Place, str]] = field(default_factory=list)
    """Where a variable stands that is declared, and has no value in the files."""

    def fill(self, value: Any, place: Place = ()) -> Any:
        """A value with everything in it that is known."""
        return self._fill(value, place, _DEEPEST)

    def _fill(self, value: Any, place: Place, depth: int) -> Any:
        if isinstance(value, dict):
            return {key: self._fill(inner, (*place, key), depth) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._fill(inner, (*place, number), depth) for number, inner in enumerate(value)]
        if not isinstance(value, str) or not depth:
            return value
        whole = _REFERENCE.fullmatch(value)
        if whole is not None:
            # A variable may be a number, a list or a mapping (asset bundle documentation, "Complex variables").
            found = self._value(whole, place)
            return found if found == value else self._fill(found, place, depth - 1)
        filled = _REFERENCE.sub(lambda match: str(self._value(match, place)), value)
        return filled if filled == value else self._fill(filled, place, depth - 1)

    def _value(self, match: re.Match[str], place: Place) -> Any:
        name = match[1].replace("variables.", "var.", 1).removesuffix(".value")
        if name in self.values:
            return self.values[name]
        kind, _, variable = name.partition(".")
        variable = variable.partition(".")[0].partition("[")[0]
        if kind == "var":
            missing = self.valueless if variable in self.declared else self.undeclared
            if (place, variable) not in missing:
                missing.append((place, variable))
        return match[0]
