"""The results of the probe for good and bad stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tasks.model.errors import (
    AccessError,
    KafkaBackupError,
    ObjectChangedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from tasks.store.local.local_store import LocalStore
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.probe import ProbeResult, probe
from tasks.store.protocol import Body, ObjectInfo, ObjectStore
from tests.support.faults import FaultyStore

ALL_KEPT = ProbeResult(conditional_put=True, conditional_swap=True, read_after_write=True)


class IgnoringPutCondition(MemoryStore):
    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        return self.put(key, body)


class IgnoringSwapCondition(MemoryStore):
    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        return self.put(key, body)


class RefusingEverySwap(MemoryStore):
    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        raise ObjectChangedError("never current", key=key)


class WithoutConditions(MemoryStore):
    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        raise StoreError("501 Not Implemented", key=key)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        raise StoreError("501 Not Implemented", key=key)


class ReadingTheFirstWriteForever(MemoryStore):
    """As if a cache in between never expired."""

    def __init__(self) -> None:
        super().__init__()
        self._cache: dict[str, tuple[bytes, ObjectInfo]] = {}

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        return self._cache.setdefault(key, super().get(key))


class WithoutDelete(MemoryStore):
    def delete(self, keys: Iterable[str]) -> int:
        raise AccessError("deleting is not permitted")


class CoarseVersions(MemoryStore):
    """Versions of size and time, as on a file system with coarse times."""

    def _write(self, key: str, data: bytes) -> ObjectInfo:
        info = super()._write(key, data)
        coarse = ObjectInfo(key=key, size_bytes=len(data), modified_ms=info.modified_ms, version=f"0-{len(data)}")
        self._objects[key] = (data, coarse)
        return coarse


@pytest.mark.parametrize("open_one", [lambda folder: MemoryStore(), lambda folder: LocalStore(folder, create=True)])
def test_a_good_store_passes_and_the_probe_leaves_no_object(
    tmp_path: Path, open_one: Callable[[Path], ObjectStore]
) -> None:
    store = open_one(tmp_path)
    store.put("repository", [b"x"])
    assert probe(store) == probe(store) == ALL_KEPT
    assert [info.key for info in store.list("")] == ["repository"]


@pytest.mark.parametrize(
    ("store", "failed"),
    [
        (IgnoringPutCondition(), {"conditional_put"}),
        (IgnoringSwapCondition(), {"conditional_swap"}),
        (RefusingEverySwap(), {"conditional_swap"}),
        (CoarseVersions(), {"conditional_swap"}),
        (ReadingTheFirstWriteForever(), {"read_after_write"}),
        (WithoutConditions(), {"conditional_put", "conditional_swap"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_promise_is_a_result_and_not_an_error(store: MemoryStore, failed: set[str]) -> None:
    assert failed == {name for name, held in probe(store).to_json().items() if not held}
    assert list(store.list("")) == []


def test_a_store_without_the_permission_to_delete_can_be_probed() -> None:
    assert probe(WithoutDelete()) == ALL_KEPT


def test_an_unavailable_store_is_an_error_and_not_a_result() -> None:
    faulty = FaultyStore(MemoryStore())
    faulty.fail_before("compare_and_swap")
    with pytest.raises(StoreUnavailableError):
        probe(faulty)
    assert list(faulty.list("")) == []


def test_the_answers_of_a_store_that_refuses_conditions_are_kept() -> None:
    assert ("501 Not Implemented",) == probe(WithoutConditions()).reasons
    assert () == probe(IgnoringPutCondition()).reasons


@pytest.mark.parametrize("problem", [AccessError("denied"), StoreFullError("full"), StoreError("refused")])
def test_a_store_that_takes_no_write_at_all_is_an_error_and_not_a_result(problem: KafkaBackupError) -> None:
    class RefusingEveryWrite(MemoryStore):
        def put(self, key: str, body: Body) -> ObjectInfo:
            raise problem

    with pytest.raises(type(problem), match=str(problem)):
        probe(RefusingEveryWrite())


def test_nothing_is_deleted_in_a_store_that_was_never_written_to() -> None:
    faulty = FaultyStore(MemoryStore())
    faulty.fail_before("put")
    faulty.fail_before("delete")
    with pytest.raises(StoreUnavailableError):
        probe(faulty)
    with pytest.raises(StoreUnavailableError):
        faulty.delete([])  # still armed


def test_the_result_is_json_with_three_names() -> None:
    expected = {"conditional_put": True, "conditional_swap": True, "read_after_write": True}
    assert expected == ALL_KEPT.to_json()
