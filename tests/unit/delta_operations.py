"""The operations that a Delta jar can write, by its class files.

`python tests/unit/delta_operations.py JAR` writes tests/fixtures/delta_operations.json anew.
"""

from __future__ import annotations

import json
import re
import struct
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "fixtures" / "delta_operations.json"

_OUTER = "org/apache/spark/sql/delta/DeltaOperations"
_BASES = ("Operation", "OperationWithPredicates", "OptimizeOrReorg")
# Of the texts in those classes: capitals, or several words of which each begins with one. The rest names parameters.
_NAME = re.compile(r" ?(?:[A-Z]{4,}|[A-Z][A-Za-z]+(?: [A-Z][A-Za-z]+)+) ?")


@dataclass(frozen=True)
class Operations:
    """What a jar says."""

    classes: tuple[str, ...]
    """The classes of operations: one that is given its name by whoever uses it has no text of its own."""
    texts: tuple[str, ...]
    """Names, and parts that names are put together from."""

    @classmethod
    def of(cls, jar: Path) -> Operations:
        classes, texts = set(), set()
        with zipfile.ZipFile(jar) as files:
            for name in files.namelist():
                if name.startswith(_OUTER) and name.endswith(".class"):
                    strings, this, parent = _class_file(files.read(name))
                    texts |= {text for text in strings if _NAME.fullmatch(text)}
                    if parent in {f"{_OUTER}${base}" for base in _BASES}:
                        classes.add(this.removeprefix(f"{_OUTER}$").rstrip("$"))
        return cls(tuple(sorted(classes)), tuple(sorted(texts)))

    @classmethod
    def recorded(cls) -> Operations:
        read = json.loads(RECORDED.read_text())
        return cls(tuple(read["classes"]), tuple(read["texts"]))


def _class_file(content: bytes) -> tuple[list[str], str, str]:
    """The strings of a class file, its name and its parent's (Java virtual machine specification, chapter 4)."""
    texts: dict[int, str] = {}
    references: dict[int, tuple[int, int]] = {}
    (count,) = struct.unpack_from(">H", content, 8)
    at, index = 10, 1
    while index < count:
        tag = content[at]
        if tag == 1:
            (length,) = struct.unpack_from(">H", content, at + 1)
            texts[index] = content[at + 3 : at + 3 + length].decode(errors="replace")
            at += 3 + length
        elif tag in (7, 8, 16, 19, 20):
            references[index] = (tag, struct.unpack_from(">H", content, at + 1)[0])
            at += 3
        else:
            at += {5: 9, 6: 9, 15: 4}.get(tag, 5)
            index += tag in (5, 6)  # a long number takes two places
        index += 1
    _, this, parent = struct.unpack_from(">HHH", content, at)
    strings = [texts[to] for tag, to in references.values() if tag == 8]
    return strings, texts[references[this][1]], texts[references[parent][1]]


if __name__ == "__main__":
    found = Operations.of(Path(sys.argv[1]))
    RECORDED.write_text(json.dumps({"classes": found.classes, "texts": found.texts}, indent=1) + "\n")
