"""The fault wrapper fails exactly the calls that it was armed for."""

from __future__ import annotations

import threading

import pytest

from tasks.model.errors import ObjectExistsError, OutcomeUnknownError, StoreUnavailableError
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tests.contract.stores import create
from tests.support.faults import Crashed, FaultyStore


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def faulty(memory: MemoryStore) -> FaultyStore:
    return FaultyStore(memory)


def keys(store: ObjectStore) -> list[str]:
    return [info.key for info in store.list("")]


def test_a_failure_before_a_write_stores_nothing_and_happens_as_often_as_armed(
    faulty: FaultyStore, memory: MemoryStore
) -> None:
    faulty.fail_before("put", skip=1, times=2)
    faulty.put("a", [b"1"])
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            faulty.put("b", [b"2"])
    assert keys(memory) == ["a"]
    faulty.put("b", [b"2"])
    assert faulty.writes == 4


def test_a_write_with_a_lost_response_is_stored_and_one_with_a_lost_request_is_not(
    faulty: FaultyStore, memory: MemoryStore
) -> None:
    faulty.lose_response("put_if_absent")
    faulty.lose_request("put")
    with pytest.raises(OutcomeUnknownError):
        create(faulty, "landed")
    with pytest.raises(OutcomeUnknownError):
        faulty.put("lost", [b"x"])
    assert keys(memory) == ["landed"]


def test_a_lost_response_also_hides_a_refusal(faulty: FaultyStore, memory: MemoryStore) -> None:
    create(memory, "a", b"theirs")
    faulty.lose_response("put_if_absent")
    with pytest.raises(OutcomeUnknownError):
        create(faulty, "a", b"mine")
    with pytest.raises(ObjectExistsError):
        create(faulty, "a", b"mine")


def test_a_stalled_write_is_stored_when_it_is_released(faulty: FaultyStore, memory: MemoryStore) -> None:
    stall = faulty.stall("put")
    stalled = threading.Thread(target=faulty.put, args=("late", [b"x"]))
    stalled.start()
    assert stall.reached.wait(10)
    faulty.put("in-time", [b"x"])
    assert keys(memory) == ["in-time"]
    stall.release.set()
    stalled.join()
    assert keys(memory) == ["in-time", "late"]


def test_a_late_listing_omits_the_newest_objects_or_all_since_it_was_armed(faulty: FaultyStore) -> None:
    for key in ("c", "a", "b"):
        create(faulty, key)
    faulty.list_late(newest=2)
    assert keys(faulty) == ["c"]
    faulty.list_late(newest=0)
    assert keys(faulty) == ["a", "b", "c"]
    faulty.list_late()
    create(faulty, "d")
    assert keys(faulty) == ["a", "b", "c"]
    assert faulty.get("d")[0] == b"x"
    faulty.list_in_time()
    assert keys(faulty) == ["a", "b", "c", "d"]


def test_the_hook_is_called_with_the_number_of_each_successful_write(memory: MemoryStore) -> None:
    seen: list[tuple[int, str, str]] = []
    faulty = FaultyStore(memory, on_write=lambda n, operation, key: seen.append((n, operation, key)))
    create(faulty, "a")
    with pytest.raises(ObjectExistsError):
        create(faulty, "a")
    faulty.put("b", [b"x"])
    faulty.get("b")
    faulty.compare_and_swap("c", [b"x"], expected=None)
    faulty.delete(["a", "b"])
    assert seen == [
        (1, "put_if_absent", "a"),
        (3, "put", "b"),
        (4, "compare_and_swap", "c"),
        (5, "delete", "a"),
    ]


def write_pair(store: ObjectStore) -> None:
    """Writes the data, then the entry that names it. A killed process would not run the `finally`."""
    try:
        create(store, "data")
        create(store, "log")
    finally:
        store.put("released", [b"x"])


def test_a_crash_can_be_armed_before_and_after_every_write() -> None:
    clean = FaultyStore(MemoryStore())
    write_pair(clean)
    states = []
    for write in range(1, clean.writes + 1):
        for after in (False, True):
            memory = MemoryStore()
            faulty = FaultyStore(memory)
            faulty.crash_at(write, after=after)
            with pytest.raises(Crashed):
                write_pair(faulty)
            states.append(keys(memory))
    both = ["data", "log"]
    assert [[], ["data"], ["data"], both, both, [*both, "released"]] == states


def test_after_a_crash_every_call_fails(faulty: FaultyStore, memory: MemoryStore) -> None:
    faulty.crash_at(1, after=True)
    with pytest.raises(Crashed):
        faulty.put("a", [b"x"])
    for use in (lambda: faulty.get("a"), lambda: keys(faulty), lambda: faulty.put("b", [b"x"])):
        with pytest.raises(Crashed):
            use()
    assert keys(memory) == ["a"]
    assert not issubclass(Crashed, Exception)
