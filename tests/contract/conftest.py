"""One fixture: each store in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.store.protocol import ObjectStore
from tests.contract.stores import BUCKETS, STORES


@pytest.fixture(params=[*STORES, *(pytest.param(name, marks=pytest.mark.minio) for name in BUCKETS)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param in BUCKETS:
        server, opened_in = BUCKETS[request.param]
        opened = opened_in(request.getfixturevalue(server))
    else:
        opened = STORES[request.param](tmp_path)
    yield opened
    opened.close()
    opened.close()
