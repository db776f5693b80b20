"""Blocks are loaded from the server, and not more often than needed."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from blocks import LocalRepository
from tasks.flow_support.block_loading import blocks_loaded_once, find_block

pytestmark = pytest.mark.usefixtures("prefect_api")


def _saved(path: Path, name: str) -> LocalRepository:
    block = LocalRepository(path=str(path))
    block.save(name, overwrite=True)
    return block


def test_a_block_is_loaded_once_while_a_run_is_opened_and_anew_by_the_next(tmp_path: Path) -> None:
    name = f"block-{uuid4().hex[:8]}"
    with blocks_loaded_once():
        assert find_block(LocalRepository, name) is None
        _saved(tmp_path, name)
        assert find_block(LocalRepository, name) is None
    with blocks_loaded_once():
        loaded = find_block(LocalRepository, name)
        assert loaded is not None
        assert str(tmp_path) == loaded.path
        _saved(tmp_path / "moved", name)
        assert loaded is find_block(LocalRepository, name)
    moved = find_block(LocalRepository, name)
    assert moved is not None
    assert str(tmp_path / "moved") == moved.path
