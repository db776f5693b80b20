"""Pins: there while a point is read, gone after, and no reason to fail."""

from __future__ import annotations

import json

import pytest

from tasks.model.errors import AccessError
from tasks.repository.document import FORMAT_MAJOR
from tasks.repository.names import new_id, pin_key
from tasks.repository.pins import LIFETIME_MS, Pin, pinned, remove_pins
from tasks.repository.sealed_objects import overwrite_sealed
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo
from tests.support.faults import FaultyStore


def test_a_pin_names_the_point_and_its_expiry_while_the_body_runs() -> None:
    store = MemoryStore()
    with pinned(store, "orders", 7, purpose="validate", now_ms=lambda: 1000):
        [info] = store.list("pins/orders/")
        pin = json.loads(store.get(info.key)[0])
        assert (7, "validate", 1000 + LIFETIME_MS) == (pin["seq"], pin["purpose"], pin["expires_ms"])
    assert [] == list(store.list("pins/"))


def test_readers_have_pins_of_their_own() -> None:
    store = MemoryStore()
    with pinned(store, "s", 1, purpose="a", now_ms=lambda: 0), pinned(store, "s", 1, purpose="b", now_ms=lambda: 0):
        assert 2 == len(list(store.list("pins/s/")))


def test_a_pin_goes_when_the_body_fails() -> None:
    store = MemoryStore()
    with pytest.raises(ValueError, match="body"), pinned(store, "s", 1, purpose="a", now_ms=lambda: 0):
        raise ValueError("body")
    assert [] == list(store.list("pins/"))


def test_a_pin_that_cannot_be_removed_expires_by_itself() -> None:
    faulty = FaultyStore(MemoryStore())
    faulty.fail_before("delete")
    with pinned(faulty, "s", 1, purpose="a", now_ms=lambda: 0):
        pass
    assert 1 == len(list(faulty.list("pins/")))


class _ReadOnlyStore(MemoryStore):
    """A store that this identity is not allowed to write to."""

    def put(self, key: str, body: Body) -> ObjectInfo:
        raise AccessError("PutObject is denied")


def test_a_reader_that_may_not_write_reads_without_a_pin_and_is_told() -> None:
    with pinned(_ReadOnlyStore(), "s", 1, purpose="a", now_ms=lambda: 0) as is_pinned:
        assert not is_pinned
    with pinned(MemoryStore(), "s", 1, purpose="a", now_ms=lambda: 0) as is_pinned:
        assert is_pinned


def test_a_pin_of_a_later_version_stays_when_those_of_a_dead_reader_are_removed() -> None:
    store = MemoryStore()
    later, own = pin_key("s", new_id()), pin_key("other", new_id())
    overwrite_sealed(store, later, Pin(format=FORMAT_MAJOR + 1, seq=1, purpose="restore a", expires_ms=0))
    overwrite_sealed(store, own, Pin(seq=1, purpose="restore a", expires_ms=0))

    remove_pins(store, "restore a")

    assert [later] == [info.key for info in store.list("pins/")]
