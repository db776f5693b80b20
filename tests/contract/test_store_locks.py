"""The promises about locks of `tasks/store/protocol.py`, for every store that can lock objects."""

from __future__ import annotations

import time

import pytest

from tasks.model.errors import UndeletedError
from tasks.store.protocol import ObjectStore
from tests.contract.stores import LOCKED_MS, create


def test_a_locked_object_stays_as_it_is_and_the_others_of_the_call_are_deleted(locking: ObjectStore) -> None:
    locking.check_lock()
    before_ms = time.time_ns() // 1_000_000
    create(locking, "data/1.log", b"locked")
    locking.put("heads/a", [b"1"])

    with pytest.raises(UndeletedError) as caught:
        locking.delete(["data/1.log", "heads/a", "data/missing.log"])

    assert ["data/1.log"] == list(caught.value.locked)
    assert not caught.value.denied
    until_ms = caught.value.locked["data/1.log"]
    assert until_ms is not None
    assert before_ms + LOCKED_MS - 1000 <= until_ms <= time.time_ns() // 1_000_000 + LOCKED_MS
    assert ["data/1.log"] == [info.key for info in locking.list("")], "no delete marker hides it"
    assert b"locked" == locking.get("data/1.log")[0]


def test_an_object_is_deleted_when_its_lock_has_ended(locking: ObjectStore) -> None:
    create(locking, "data/1.log")
    deadline = time.monotonic() + 10 * LOCKED_MS / 1000

    while True:
        try:
            locking.delete(["data/1.log"])
        except UndeletedError:
            assert time.monotonic() < deadline
            time.sleep(0.2)  # the lock ends by the clock of the store
            continue
        break

    assert [] == list(locking.list(""))


def test_what_is_overwritten_is_never_locked(locking: ObjectStore) -> None:
    create(locking, "leases/a")
    version = locking.compare_and_swap("data/lease", [b"1"], expected=None).version
    locking.compare_and_swap("data/lease", [b"2"], expected=version)
    locking.put("data/head", [b"1"])
    locking.put("data/head", [b"2"])

    locking.delete(["leases/a", "data/lease", "data/head"])

    assert [] == list(locking.list(""))


def test_stores_without_a_lock_in_their_settings_have_nothing_to_check(store: ObjectStore) -> None:
    store.check_lock()
    create(store, "data/1.log")
    assert 0 == store.delete(["data/1.log", "data/missing.log"])
