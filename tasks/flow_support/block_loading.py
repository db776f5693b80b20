"""Loads block documents from the Prefect server. While a run is opened, each is loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar, cast

from prefect.blocks.core import Block

BlockT = TypeVar("BlockT", bound=Block)

_Loaded = dict[tuple[type[Block], str], Block | None]

_loaded: ContextVar[_Loaded | None] = ContextVar("loaded_blocks", default=None)


@contextmanager
def blocks_loaded_once() -> Iterator[None]:
    """While the body runs, every block is loaded at most once, because each load is a request to the server."""
    token = _loaded.set({})
    try:
        yield
    finally:
        _loaded.reset(token)


def find_block(kind: type[BlockT], name: str) -> BlockT | None:
    """The block of this type and name, or None if there is no such block. Raises what Prefect's client raises."""
    loaded = _loaded.get()
    if loaded is None:
        return _load(kind, name)
    if (kind, name) not in loaded:
        loaded[kind, name] = _load(kind, name)
    return cast(BlockT | None, loaded[kind, name])


def _load(kind: type[BlockT], name: str) -> BlockT | None:
    try:
        block = kind.load(name)
    except ValueError as error:
        if "Unable to find block document" in str(error):
            return None
        raise
    assert isinstance(block, kind)
    return block
