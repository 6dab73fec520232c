"""Why the code of a node, run again on the same inputs, need not give the same rows.

What is found is found by its name, in the node's code, in the macros of projects that it calls and in the SQL that dbt
compiled of it. What no name shows is not found: a LIMIT without an order, `first()`, ties of a window function.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.code_read import CodeRead
from dbx_cd.dbt.given_macros import is_of_dbt

# What looks like a comment within a string is none: a string is found first, and stays.
_COMMENTS = re.compile(r"('(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")|--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.S)
_WHY = (
    (
        "it reads the clock or random values",
        re.compile(
            r"\b(?:current_?timestamp|current_?date|current_?time|localtimestamp|getdate|sysdate|curdate|run_started_at)\b"
            r"|\b(?:invocation_id|invocation_args_dict)\b|\bmodules\s*\.\s*(?:datetime|pytz)\b|\btablesample\b"
            r"|\bunix_timestamp\s*\(\s*\)|\b(?:now|rand|randn|random|randstr|uniform|uuid|shuffle)\s*\("
            r"|\b(?:monotonically_increasing_id|spark_partition_id|input_file_name)\s*\("
            r"|\b(?:date|timestamp)\s*'(?:now|today|tomorrow|yesterday)",
            re.I,
        ),
    ),
    (
        "it reads who runs it",
        re.compile(r"\b(?:current_user|session_user|is_(?:account_group_)?member)\b|\buser\s*\(\s*\)", re.I),
    ),
    ("it reads an environment variable", re.compile(r"\benv_var\s*\(")),
    (
        "it asks the database when compiled",
        re.compile(
            r"\brun_query\s*\(|\bcall\s+statement\b|\bload_result\s*\("
            r"|\badapter\s*\.\s*(?:execute|get_relation|list_\w+|check_schema_exists)\s*\("
        ),
    ),
    (
        "it reads the project itself, or how dbt is called",
        re.compile(
            r"\bgraph\s*(?:\[|\.\s*(?:nodes|sources|exposures|metrics|groups|functions|get|values|items)\b)"
            r"|\bselected_resources\b|\bflags\s*\.\s*FULL_REFRESH\b"
        ),
    ),
    ("it reads files or the network", re.compile(r"\b(?:read_files|cloud_files|http_request|ai_\w+)\s*\(", re.I)),
)  # fmt: skip
_PART = r"(?:`[^`]+`|\w+)"
_NAME = rf"{_PART}(?:\s*\.\s*{_PART}){{1,2}}"
_ALIAS = r"(?:\s+(?:as\s+)?\w+)?"
_READ = re.compile(rf"\b(?:from|join)\s+({_NAME})", re.I)
_LISTED = re.compile(rf"\b(?:from|join)\s+(?:{_NAME}|\w+){_ALIAS}((?:\s*,\s*(?:{_NAME}|\w+){_ALIAS})+)", re.I)
_REPLACES = ("insert_overwrite", "replace_where", "delete+insert")


class Doubts:
    """Looks for what in a manifest's nodes need not give the same again.

    Args:
        manifest: the manifest; of what dbt has built, with the compiled SQL.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._read = CodeRead(manifest)
        self._found: dict[str, tuple[str, ...]] = {}

    def of(self, node: Node, *, also_read: Collection[str] = ()) -> tuple[str, ...]:
        """Why, in words; nothing where nothing is found.

        Args:
            node: a node.
            also_read: the keys of relations that its refs mean in this build, where that is not the target's own.
        """
        return tuple(dict.fromkeys(self._of(node, also_read)))

    def _of(self, node: Node, also_read: Collection[str]) -> Iterator[str]:
        if node.raw.get("language") == "python":
            yield "it is written in Python, which may read anything"
        if node.materialized == "incremental":
            yield from _of_incremental(node)
        compiled = _without_comments(str(node.raw.get("compiled_code") or ""))
        for text in (*self._texts(node), compiled):
            yield from self._in_text(text)
        known = {*also_read, *self._keys_read(node)}
        own = node.relation.key if node.relation is not None else ""
        for name in _named(compiled, known):
            if name != own:
                yield f"it names {name} by itself, without ref or source"
            elif node.materialized != "incremental":  # of which a run on the same inputs is taken to change nothing
                yield "it reads what it was before"

    def _in_text(self, text: str) -> tuple[str, ...]:
        if text not in self._found:  # most nodes call the same macros
            self._found[text] = doubts_of(text)
        return self._found[text]

    def _texts(self, node: Node) -> Iterator[str]:
        """Its own code and the macros of projects that it calls; an ephemeral model is part of what reads it."""
        for one in (node, *self._ephemeral(node)):
            yield from map(str, (one.raw.get("raw_code") or "", one.config.get("pre-hook") or "",
                                 one.config.get("post-hook") or "", one.config.get("sql_header") or ""))  # fmt: skip
            macros = self._read.macros(one)
            yield from (text for unique_id, text in macros.items() if not is_of_dbt(unique_id))

    def _ephemeral(self, node: Node) -> Iterator[Node]:
        seen: set[str] = set()
        waiting = [node]
        while waiting:
            above = self._manifest.select(waiting.pop().depends_on)
            new = [parent for parent in above if parent.is_ephemeral and parent.unique_id not in seen]
            seen |= {parent.unique_id for parent in new}
            waiting += new
            yield from new

    def _keys_read(self, node: Node) -> Iterator[str]:
        for one in (node, *self._ephemeral(node)):
            for parent in self._manifest.select(one.depends_on):
                if parent.relation is not None:
                    yield parent.relation.key


def doubts_of(text: str) -> tuple[str, ...]:
    """Why a text alone, be it of a model, a macro or a view, need not give the same rows again, in words."""
    code = _without_comments(text)
    return tuple(why for why, pattern in _WHY if pattern.search(code))


def _of_incremental(node: Node) -> Iterator[str]:
    """An incremental model whose run on the same inputs may change it once more."""
    strategy = node.config.get("incremental_strategy") or "merge"
    if strategy == "microbatch":
        yield "it is a microbatch model: which batches are built depends on the time"
    elif strategy == "append" or (strategy == "merge" and not node.config.get("unique_key")):
        yield "it is incremental and appends"
    elif strategy not in ("merge", *_REPLACES):
        yield f"it is incremental by a strategy of its own, {strategy}"


def _without_comments(text: str) -> str:
    return _COMMENTS.sub(lambda found: found[1] or " ", text)


def _named(text: str, known: Collection[str]) -> Iterator[str]:
    """The relations that a text reads by a name that is none of the known ones."""
    listed = (name for names in _LISTED.findall(text) for name in re.findall(_NAME, names))
    for found in (*_READ.findall(text), *listed):
        parts = [part.strip("`").lower() for part in re.findall(_PART, found)]
        # `extract(year from o.day)`: the first part is another name for a relation, and stands elsewhere by itself.
        is_alias = len(parts) == 2 and re.search(rf"\b{re.escape(parts[0])}\b(?!\s*[.`])", text, re.I)
        if not is_alias and ".".join(parts) not in known:
            yield ".".join(parts)
