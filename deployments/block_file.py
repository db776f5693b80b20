"""Reads a file of block documents (block type → name → fields), such as configs/blocks.yaml, and reports unknown types,
unknown fields and names that Prefect does not allow.

Keys and `${VAR}` are checked as strictly as in backup.yaml. All problems are reported at once, each with its line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from prefect.blocks.core import Block
from pydantic import BaseModel, Field, create_model

from blocks import block_types
from tasks.config.check import check
from tasks.config.load import read_tree
from tasks.config.yaml_tree import Place
from tasks.model.errors import ConfigError


class BlockDocument(NamedTuple):
    """One block document: its type and its name in Prefect, and the block."""

    type_slug: str
    name: str
    block: Block


def load(path: Path, environment: Mapping[str, str]) -> list[BlockDocument]:
    """The documents of the file. Raises `ConfigError` with one line for each problem: file, line, key, and what is
    wrong."""
    tree, types = read_tree(path, environment), block_types()
    for place, sentence in _unknown_fields(tree.value, types):
        tree.add_problem(place, sentence)
    checked = check(tree, _model_of(types), tree.value)
    if checked is None or tree.problems:
        raise ConfigError(tree.report())
    return list(_documents(checked, types))


def _unknown_fields(value: Mapping[str, Any], types: Mapping[str, type[Block]]) -> Iterator[tuple[Place, str]]:
    """The block types and fields that do not exist, and the names that Prefect does not allow. They are checked here
    because a block itself accepts any field."""
    for slug, documents in value.items():
        if slug not in types:
            yield (slug,), f"unknown block type {slug!r}{_hint(slug, types)}"
            continue
        for name, fields in documents.items() if isinstance(documents, dict) else ():
            if not re.fullmatch(r"[a-z0-9-]+", name):
                yield (slug, name), f"{name!r} is not a name for a block: use lower-case letters, digits and dashes."
            for key in fields if isinstance(fields, dict) else ():
                if key not in (known := types[slug].model_fields):
                    yield (slug, name, key), f"unknown field {key!r} of {slug!r}{_hint(key, known)}"


def _hint(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}."


def _model_of(types: Mapping[str, type[Block]]) -> type[BaseModel]:
    """A model of the whole file, so that its validation errors have places."""
    fields: dict[str, Any] = {
        _attribute(slug): (dict[str, kind], Field(default_factory=dict, alias=slug))  # type: ignore[valid-type]
        for slug, kind in types.items()
    }
    return create_model("BlockFile", **fields)


def _documents(checked: BaseModel, types: Iterable[str]) -> Iterator[BlockDocument]:
    for slug in types:
        for name, block in getattr(checked, _attribute(slug)).items():
            yield BlockDocument(slug, name, block)


def _attribute(slug: str) -> str:
    return slug.replace("-", "_")
