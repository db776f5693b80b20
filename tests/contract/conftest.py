"""One fixture: each store in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.store.protocol import ObjectStore
from tests.contract.stores import STORES


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    opened = STORES[request.param](tmp_path)
    yield opened
    opened.close()
    opened.close()
