"""Leases: one owner at a time, takeover only from the dead, the open run handed on."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import pytest

from tasks.model.errors import AccessError, InterruptedRunError, LockedError, OutcomeUnknownError
from tasks.repository.document import seal
from tasks.repository.leases import Lease, LeaseRecord, acquire, kept, watched
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo
from tests.support.faults import FaultyStore

KEY = "leases/orders.json"
TTL_MS = 20


class Clock:
    """Seconds that pass only when the test says so, or with each look."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def _take(store: MemoryStore, *, step_s: float = 0.0, waiting: Callable[[str], None] = lambda owner: None) -> Lease:
    return acquire(store, KEY, ttl_ms=TTL_MS, clock=Clock(step_s), waiting=waiting)


def test_a_free_lease_is_taken_at_once_and_a_released_one_too() -> None:
    store = MemoryStore()
    first = _take(store)
    first.enter_run("run-1", begun_after=7)
    first.release()
    second = _take(store, waiting=lambda owner: pytest.fail("it waited"))
    assert first.record.owner != second.record.owner


def test_the_next_owner_learns_which_run_can_be_open_and_when_it_began() -> None:
    store = MemoryStore()
    _take(store).enter_run("run-1", begun_after=7)
    record = _take(store, step_s=1.0).record
    assert ("run-1", 7) == (record.run, record.begun_after)


def test_a_dead_owners_lease_is_taken_after_its_time_to_live_and_the_wait_is_told() -> None:
    store = MemoryStore()
    dead = _take(store)
    told: list[str] = []
    clock = Clock(step_s=TTL_MS / 1000 / 3)
    acquire(store, KEY, ttl_ms=TTL_MS, clock=clock, waiting=told.append)
    assert [f"{dead.record.owner}, process {os.getpid()} on {socket.gethostname()}"] == told
    assert dead.record.owner == dead.record.model_copy(update={"host": None, "process": None}).writer
    assert clock.now_s >= TTL_MS / 1000
    with pytest.raises(LockedError, match="Another writer took over the lease"):
        dead.renew()


def test_the_owners_time_to_live_counts_and_not_the_takers() -> None:
    store = MemoryStore()
    acquire(store, KEY, ttl_ms=60)
    clock = Clock(step_s=0.02)
    acquire(store, KEY, ttl_ms=1, clock=clock)
    assert clock.now_s >= 0.06


def test_an_owner_that_is_seen_alive_is_left_alone() -> None:
    store = MemoryStore()
    alive = _take(store)
    with pytest.raises(LockedError, match=alive.record.owner):
        acquire(store, KEY, clock=Clock(step_s=0.0), waiting=lambda owner: alive.renew(), ttl_ms=TTL_MS)


def test_of_two_that_take_a_dead_lease_one_wins() -> None:
    store = MemoryStore()
    _take(store)
    faulty = FaultyStore(store)
    stall = faulty.stall("compare_and_swap")
    errors: list[Exception] = []

    def slow() -> None:
        try:
            acquire(faulty, KEY, ttl_ms=TTL_MS, clock=Clock(step_s=1.0))
        except LockedError as error:
            errors.append(error)

    thread = threading.Thread(target=slow)
    thread.start()
    assert stall.reached.wait(10)
    winner = _take(store, step_s=1.0)
    stall.release.set()
    thread.join(10)
    assert 1 == len(errors)
    winner.renew()


def test_waiting_for_a_lease_can_be_stopped() -> None:
    store = MemoryStore()
    _take(store)
    stop = threading.Event()
    with pytest.raises(InterruptedRunError):
        acquire(store, KEY, clock=Clock(), stop=stop, waiting=lambda owner: stop.set())


def test_no_two_writes_of_a_lease_are_equal() -> None:
    store = MemoryStore()
    lease = _take(store)
    seen = {store.get(KEY)[0]}
    for _ in range(3):
        lease.renew()
        seen.add(store.get(KEY)[0])
    assert 4 == len(seen)


def test_a_kept_lease_is_renewed_while_the_work_runs_and_released_after() -> None:
    store = MemoryStore()
    renewed = threading.Event()
    faulty = FaultyStore(store, on_write=lambda number, operation, key: renewed.set() if number > 2 else None)
    lease = acquire(faulty, KEY, ttl_ms=TTL_MS)
    with kept(lease, threading.Event()):
        assert renewed.wait(10)
    assert lease.record.is_released
    assert isinstance(lease.record, LeaseRecord)


def test_a_lost_lease_stops_the_work_and_says_so() -> None:
    store = MemoryStore()
    stop = threading.Event()
    lease = _take(store)

    def work() -> None:
        with kept(lease, stop):
            store.put(KEY, [seal(LeaseRecord(owner="another", beat=0, ttl_ms=TTL_MS).to_json())])
            assert stop.wait(10)
            raise InterruptedRunError("stopped")

    with pytest.raises(LockedError, match="Another writer took over the lease"):
        work()


class Denying(MemoryStore):
    """A store whose first so many swaps of `denied` are refused for want of a permission, as while a role's
    credentials are renewed."""

    denied = 0

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        if self.denied:
            self.denied -= 1
            raise AccessError("the credentials have expired")
        return super().compare_and_swap(key, body, expected=expected)


def test_a_renewal_that_is_denied_is_tried_again_and_the_lease_is_kept() -> None:
    store = Denying()
    renewed, stop = threading.Event(), threading.Event()
    faulty = FaultyStore(store, on_write=lambda number, operation, key: renewed.set())
    lease = acquire(faulty, KEY, ttl_ms=500)
    renewed.clear()
    store.denied = 1
    with kept(lease, stop):
        assert renewed.wait(10)
        assert 0 == store.denied
    assert not stop.is_set()
    assert lease.record.is_released


def test_a_release_that_is_denied_is_no_failure_of_the_work() -> None:
    store = Denying()
    lease = acquire(store, KEY)
    with kept(lease, threading.Event()):
        store.denied = 1
    assert not lease.record.is_released


def test_a_beat_that_was_written_and_not_heard_of_is_the_owners_own() -> None:
    store = MemoryStore()
    faulty = FaultyStore(store)
    lease = acquire(faulty, KEY)
    faulty.lose_response("compare_and_swap")
    with pytest.raises(OutcomeUnknownError):
        lease.renew()
    lease.enter_run("next", begun_after=8)
    assert ("next", 2) == (lease.record.run, lease.record.beat)


def test_an_error_of_the_work_is_not_hidden_by_the_release() -> None:
    store = MemoryStore()
    faulty = FaultyStore(store)
    lease = acquire(faulty, KEY)
    faulty.fail_before("compare_and_swap", times=5)
    with pytest.raises(ValueError, match="the work"), kept(lease, threading.Event()):
        raise ValueError("the work")


def _held_for(store: MemoryStore, run: str, *, ttl_ms: int = 500) -> Lease:
    lease = acquire(store, KEY, ttl_ms=ttl_ms)
    lease.enter_run(run, begun_after=7)
    return lease


def _after(store: MemoryStore, change: Callable[[Lease], object]) -> bool:
    """Whether work under the lease was told to stop soon after `change`."""
    stop = threading.Event()
    lease = _held_for(store, "run-1")
    with watched(store, KEY, "run-1", stop):
        assert not stop.is_set()
        change(lease)
        return stop.wait(5)


def test_work_of_another_process_stops_when_the_lease_is_released() -> None:
    assert _after(MemoryStore(), lambda lease: lease.release())


def test_work_of_another_process_stops_when_another_run_has_begun() -> None:
    assert _after(MemoryStore(), lambda lease: lease.enter_run("run-2", begun_after=8))


def test_work_of_another_process_stops_when_another_owner_took_the_lease() -> None:
    store = MemoryStore()
    assert _after(store, lambda lease: acquire(store, KEY, ttl_ms=500, clock=Clock(step_s=1.0)))


def test_work_of_another_process_stops_when_the_lease_is_no_longer_renewed() -> None:
    assert _after(MemoryStore(), lambda lease: None)


def test_work_of_another_process_goes_on_while_the_lease_is_kept() -> None:
    store, stop = MemoryStore(), threading.Event()
    lease = _held_for(store, "run-1", ttl_ms=200)
    with kept(lease, threading.Event()), watched(store, KEY, "run-1", stop):
        assert not stop.wait(1)


@pytest.mark.parametrize(
    "change",
    [None, lambda lease: lease.enter_run("run-2", begun_after=8), lambda lease: lease.release()],
    ids=["never taken", "another run", "released"],
)
def test_work_under_a_lease_that_has_ended_does_not_begin(change: Callable[[Lease], None] | None) -> None:
    store = MemoryStore()
    if change is not None:
        change(_held_for(store, "run-1"))
    with pytest.raises(InterruptedRunError, match="not held"), watched(store, KEY, "run-1", threading.Event()):
        pytest.fail("it began")
