"""What must never be on the Volume: files that hold secrets by their name, and profiles that hold one in clear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import yaml

from dbx_cd.errors import ConfigError

_NEVER = (
    ".env", ".env.*", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".databrickscfg", ".pypirc",
    ".git-credentials", ".user.yml",
)  # fmt: skip
_SAMPLES = (".env.example", ".env.sample", ".env.template")
_KEYS = re.compile(r"(?i)(?:\w*_)?(?:token|secret|password|passphrase|private_key)")
_JINJA = re.compile(r"\{[{%].*?[}%]\}", re.DOTALL)
_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_NAMED = re.compile(rf"\b(?:env_var|var)\s*\(\s*(?:\w+\s*=\s*)?(?:{_TEXT})")
_LITERAL = re.compile(rf"{_TEXT}|\d{{4,}}")
_PLACEHOLDER = re.compile(r"\D{0,8}")  # as `not-set`: what is longer or has a digit cannot be told from a secret
_LINE = re.compile(r"""^[\s{,-]*["']?(\w+)["']?\s*:\s*(\S.*)$""")


def is_secret(name: str, path: Path) -> bool:
    """Whether a file is never archived: it, or a folder it is in, has a name that tools give to secrets.

    Args:
        name: where it is, relative to the project.
        path: the file, which has another name where a link leads to it.
    """
    parts = [part.lower() for part in (*PurePosixPath(name).parts, path.name)]
    return any(fnmatchcase(part, never) for part in parts if part not in _SAMPLES for never in _NEVER)


def refuse_clear_secrets(path: Path, *, name: str) -> None:
    """Refuse a `profiles.yml` of the project that holds a secret in clear.

    Args:
        path: the file.
        name: its path relative to the project.

    Raises:
        ConfigError: a token, secret or password in it is not read from the environment; the message has the line.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
        found = list(_clear(document, set())) if document is not None else []
    except yaml.YAMLError:  # dbt reports it; until then lines are as good
        found = [
            (number, match[1])
            for number, line in enumerate(text.splitlines(), start=1)
            if (match := _LINE.match(line)) and _KEYS.fullmatch(match[1]) and _is_clear(_scalar(match[2]))
        ]
    if found:
        line, key = found[0]
        raise ConfigError(
            f"`{key}` holds a secret in clear, and the project is archived on the Volume",
            where=f"{name}:{line}",
            next_step=f"read it from the environment, without a default: "
            f"{{{{ env_var('DBT_ENV_SECRET_{key.upper()}') }}}}",
        )


def _is_clear(value: str) -> bool:
    """Whether a value holds a secret itself: beside Jinja, or as a literal in it that does not name a variable."""
    if "{{" not in value:
        return bool(value.strip())
    literals = [text.strip("'\"") for code in _JINJA.findall(value) for text in _LITERAL.findall(_NAMED.sub("", code))]
    return not all(map(_PLACEHOLDER.fullmatch, (*literals, *_JINJA.split(value))))


def _scalar(text: str) -> str:
    """What a value is without YAML's quotes and comments; as it is written, where that cannot be said."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    return str(node.value) if isinstance(node, yaml.ScalarNode) else text


def _clear(node: yaml.Node, seen: set[int]) -> Iterator[tuple[int, str]]:
    """Line and key of every value in clear; `seen` holds the nodes that were looked at, as anchors may make circles."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _clear(value, seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(value, yaml.ScalarNode) and _KEYS.fullmatch(str(key.value)):
                if not value.tag.endswith(":null") and _is_clear(value.value):
                    yield value.start_mark.line + 1, str(key.value)
            else:
                yield from _clear(value, seen)
