"""A byte that changes between the store and this machine is read again, and only a second wrong answer is damage."""

from __future__ import annotations

import pytest

from tasks.model.errors import DamagedError
from tasks.repository.compressed_objects import StoredRef, compress_object, put_content, read_stored
from tasks.repository.data_objects import DataObjects
from tasks.repository.document import sha256_hex
from tasks.repository.names import ROOT_KEY
from tasks.repository.root import read_root
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectInfo
from tests.support.made_backup import make_repository


class NoisyStore(MemoryStore):
    """Flips a bit of the next `times` objects that are read."""

    times = 0

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        data, info = super().get(key)
        if self.times:
            self.times -= 1
            data = data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]
        return data, info


@pytest.fixture
def store() -> NoisyStore:
    made = NoisyStore("noisy")
    make_repository(made)
    made.put("data/a", [b"records"])
    return made


def test_a_document_is_read_again(store: NoisyStore) -> None:
    root = read_root(store)
    store.times = 1
    assert root == read_root(store)
    store.times = 2
    with pytest.raises(DamagedError, match=ROOT_KEY):
        read_root(store)


def test_a_compressed_object_is_read_again(store: NoisyStore) -> None:
    stored, digest = compress_object(b"table")
    put_content(store, "table", stored, digest)
    reference = StoredRef(key="table", sha256=digest, stored_bytes=len(stored))
    store.times = 1
    assert b"table" == read_stored(store, reference)
    store.times = 2
    with pytest.raises(DamagedError, match="table is damaged"):
        read_stored(store, reference)


def test_a_data_object_is_read_again(store: NoisyStore) -> None:
    digest = sha256_hex(b"records")
    store.times = 1
    assert b"records" == DataObjects(store).whole("data/a", digest)
    store.times = 2
    with pytest.raises(DamagedError, match="its SHA-256 is not the one in the index"):
        DataObjects(store).whole("data/a", digest)
