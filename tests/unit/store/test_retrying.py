"""When the wrapper repeats a call, how long it waits, and how it settles lost responses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256

import pytest

from tasks.model.errors import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreFullError,
    StoreUnavailableError,
)
from tasks.model.waiting import Contact, WaitReport
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo
from tasks.store.retrying import RetryingStore
from tests.contract.stores import create
from tests.support.faults import WRITES, FaultyStore, Operation


class Clock:
    """A clock that only `sleep` advances."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits_s: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.waits_s.append(seconds)

    def read(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def faulty(memory: MemoryStore) -> FaultyStore:
    return FaultyStore(memory)


@pytest.fixture
def store(faulty: FaultyStore, clock: Clock) -> RetryingStore:
    return RetryingStore(
        faulty,
        deadline_ms=60_000,
        connect_timeout_ms=60_000,
        first_wait_ms=100,
        longest_wait_ms=5_000,
        sleep=clock.sleep,
        clock=clock.read,
    )


def test_a_call_is_repeated_until_a_temporary_failure_ends(
    store: RetryingStore, faulty: FaultyStore, clock: Clock
) -> None:
    faulty.fail_before("get", times=4)
    create(store, "a", b"x")
    assert store.get("a")[0] == b"x"
    assert len(clock.waits_s) == 4


def test_waits_stay_under_a_doubling_bound_and_the_last_attempt_is_at_the_deadline(
    store: RetryingStore, faulty: FaultyStore, clock: Clock
) -> None:
    faulty.fail_before("head", times=10**6)
    with pytest.raises(StoreUnavailableError):
        store.head("a")
    assert clock.now_s == pytest.approx(60)
    bounds = [min(5.0, 0.1 * 2**number) for number in range(len(clock.waits_s))]
    assert all(wait <= bound for wait, bound in zip(clock.waits_s, bounds, strict=True))
    assert len(set(clock.waits_s)) == len(clock.waits_s)


def test_a_final_error_is_raised_without_a_retry(store: RetryingStore, clock: Clock) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.get("a")
    create(store, "a")
    with pytest.raises(ObjectExistsError):
        create(store, "a", b"other")
    with pytest.raises(ObjectChangedError):
        store.compare_and_swap("a", [b"1"], expected=None)
    assert clock.waits_s == []


def test_a_create_with_a_lost_response_succeeds_and_returns_the_stored_metadata(
    store: RetryingStore, faulty: FaultyStore, memory: MemoryStore
) -> None:
    faulty.lose_response("put_if_absent", times=3)
    assert create(store, "a", b"mine") == memory.head("a")
    assert faulty.writes == 4


def test_a_create_with_a_lost_request_is_repeated(store: RetryingStore, faulty: FaultyStore) -> None:
    faulty.lose_request("put_if_absent")
    create(store, "a", b"mine")
    assert store.get("a")[0] == b"mine"


@pytest.mark.parametrize("theirs", [b"min", b"mine!", b"MINE", b""])
def test_a_create_with_a_lost_response_is_refused_if_another_writer_created_the_object(theirs: bytes) -> None:
    memory = MemoryStore()
    create(memory, "a", theirs)
    faulty = FaultyStore(memory)
    faulty.lose_response("put_if_absent")
    with pytest.raises(ObjectExistsError):
        RetryingStore(faulty, sleep=lambda seconds: None).put_if_absent(
            "a", [b"mi", b"", b"ne"], sha256=sha256(b"mine").hexdigest()
        )


def test_a_create_of_an_object_with_equal_bytes_is_refused_if_no_response_was_lost(
    store: RetryingStore, faulty: FaultyStore
) -> None:
    create(store, "a", b"equal")
    faulty.fail_before("put_if_absent", times=2)
    with pytest.raises(ObjectExistsError):
        create(store, "a", b"equal")


def test_a_swap_with_a_lost_response_succeeds_and_returns_its_version(
    store: RetryingStore, faulty: FaultyStore, memory: MemoryStore
) -> None:
    first = store.compare_and_swap("lease", [b"1"], expected=None)
    faulty.lose_response("compare_and_swap")
    second = store.compare_and_swap("lease", [b"2", b""], expected=first.version)
    assert second == memory.head("lease")
    store.compare_and_swap("lease", [b"3"], expected=second.version)


def test_a_swap_with_a_lost_response_that_another_swap_replaced_is_reported_as_changed(
    store: RetryingStore, faulty: FaultyStore, memory: MemoryStore
) -> None:
    first = store.compare_and_swap("lease", [b"1"], expected=None)
    faulty.lose_response("compare_and_swap", before_answering=lambda: _swap_over(memory, b"theirs"))
    with pytest.raises(ObjectChangedError):
        store.compare_and_swap("lease", [b"mine"], expected=first.version)
    assert memory.get("lease")[0] == b"theirs"


def _swap_over(memory: MemoryStore, body: bytes) -> None:
    memory.compare_and_swap("lease", [body], expected=memory.head("lease").version)


def test_a_swap_with_a_lost_response_whose_object_was_deleted_is_reported_as_changed(
    store: RetryingStore, faulty: FaultyStore, memory: MemoryStore
) -> None:
    first = store.compare_and_swap("lease", [b"1"], expected=None)
    faulty.lose_response("compare_and_swap", before_answering=lambda: memory.delete(["lease"]))
    with pytest.raises(ObjectChangedError):
        store.compare_and_swap("lease", [b"2"], expected=first.version)


def test_reading_back_is_repeated_when_it_fails(store: RetryingStore, faulty: FaultyStore) -> None:
    faulty.lose_response("put_if_absent")
    faulty.fail_before("get", times=3)
    create(store, "a", b"mine")
    assert store.get("a")[0] == b"mine"


@pytest.mark.parametrize("operation", sorted(WRITES))
def test_a_lost_response_followed_by_an_outage_is_unknown_and_not_unavailable(
    store: RetryingStore, faulty: FaultyStore, operation: Operation
) -> None:
    writes: dict[str, Callable[[], object]] = {
        "put_if_absent": lambda: create(store, "a"),
        "put": lambda: store.put("a", [b"x"]),
        "compare_and_swap": lambda: store.compare_and_swap("a", [b"x"], expected=None),
        "delete": lambda: store.delete(["a"]),
    }
    faulty.lose_response(operation)
    faulty.fail_before(operation, times=10**6)
    with pytest.raises(OutcomeUnknownError):
        writes[operation]()


def test_a_listing_that_fails_continues_without_repeating_or_missing_a_key(
    store: RetryingStore, faulty: FaultyStore, clock: Clock
) -> None:
    keys = [f"a/{number:04d}" for number in range(2500)]
    for key in keys:
        store.put(key, [b""])
    faulty.cut_list(after_items=1700)
    seen = [info.key for info in store.list("a/")]
    assert len(clock.waits_s) == 1
    assert keys == seen


def test_a_repeated_delete_of_an_iterator_deletes_all_its_keys(store: RetryingStore, faulty: FaultyStore) -> None:
    for key in ("a", "b", "c"):
        create(store, key)
    faulty.lose_request("delete")
    faulty.fail_before("delete")
    store.delete(iter(["a", "b"]))
    assert [info.key for info in store.list("")] == ["c"]


def test_nothing_is_repeated_once_stop_is_set(faulty: FaultyStore) -> None:
    stop = threading.Event()
    store = RetryingStore(faulty, stop=stop, first_wait_ms=10**9, longest_wait_ms=10**9)
    faulty.fail_before("put_if_absent", times=10**6)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(StoreUnavailableError):
        create(store, "a")  # without `stop` this waits for two minutes
    tries = faulty.writes

    with pytest.raises(StoreUnavailableError):
        create(store, "a")
    assert tries + 1 == faulty.writes


def test_a_write_that_may_have_been_carried_out_is_settled_although_stop_is_set(
    memory: MemoryStore, faulty: FaultyStore, clock: Clock
) -> None:
    stop = threading.Event()
    stop.set()
    store = RetryingStore(faulty, stop=stop, sleep=clock.sleep, clock=clock.read)
    faulty.lose_response("put_if_absent", times=2)
    assert create(store, "a", b"mine") == memory.head("a")
    assert 2 == len(clock.waits_s)


# ── the first contact ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def hasty(faulty: FaultyStore, clock: Clock) -> RetryingStore:
    return RetryingStore(faulty, connect_timeout_ms=20_000, sleep=clock.sleep, clock=clock.read)


def test_a_store_that_never_answered_is_given_up_after_the_connect_timeout(
    faulty: FaultyStore, hasty: RetryingStore, clock: Clock
) -> None:
    faulty.fail_before("get", times=10**6)
    with pytest.raises(StoreUnavailableError, match="There was no answer within 20 s") as refused:
        hasty.get("a")
    assert 20.0 == pytest.approx(clock.now_s)
    assert str(refused.value).endswith("check that the store runs and can be reached from here.")


@pytest.mark.parametrize("first", ["an object", "no object", "a listing"])
def test_a_store_that_answered_once_is_waited_for_long(
    faulty: FaultyStore, hasty: RetryingStore, clock: Clock, first: str
) -> None:
    if first == "an object":
        hasty.put("a", [b"x"])
    elif first == "no object":
        with pytest.raises(ObjectNotFoundError):
            hasty.get("none")
    else:
        assert [] == list(hasty.list(""))
    faulty.fail_before("get", times=10**6)
    with pytest.raises(StoreUnavailableError) as refused:
        hasty.get("a")
    assert 120.0 == pytest.approx(clock.now_s)
    assert "There was no answer" not in str(refused.value)


def test_a_store_that_says_itself_that_it_is_busy_is_waited_for_long(clock: Clock) -> None:
    class Busy(MemoryStore):
        def get(self, key: str) -> tuple[bytes, ObjectInfo]:
            raise StoreUnavailableError("SlowDown", is_answer=True)

    with pytest.raises(StoreUnavailableError, match=r"^SlowDown$"):
        RetryingStore(Busy(), sleep=clock.sleep, clock=clock.read).get("a")
    assert 120.0 == pytest.approx(clock.now_s)


def test_the_wait_for_a_store_is_reported_with_its_place_and_reason(faulty: FaultyStore, clock: Clock) -> None:
    contact, reports = Contact(clock=clock.read), list[WaitReport]()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        reports.extend(contact.due_reports())

    store = RetryingStore(faulty, contact=contact, sleep=sleep, clock=clock.read, longest_wait_ms=1_000)
    faulty.fail_before("get", times=10**6)
    with pytest.raises(StoreUnavailableError):
        store.get("a")

    assert store.location == reports[0].subject
    assert 5 <= reports[0].waited_s < 7
    assert "no answer yet" != reports[0].reason


def test_no_room_is_not_waited_for(clock: Clock) -> None:
    class Full(MemoryStore):
        def put(self, key: str, body: Body) -> ObjectInfo:
            raise StoreFullError("full")

    with pytest.raises(StoreFullError):
        RetryingStore(Full(), sleep=clock.sleep, clock=clock.read).put("a", [b"x"])
    assert [] == clock.waits_s
