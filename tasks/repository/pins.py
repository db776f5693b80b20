"""Pins: a stored record that a point is being read, so that nothing that the point names is deleted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tasks.model.errors import AccessError, DamagedError, StoreError, StoreFullError, UnsupportedError
from tasks.repository.document import FORMAT_MAJOR, Document
from tasks.repository.names import PINS, new_id, pin_key, pin_prefix
from tasks.repository.sealed_objects import find_sealed, overwrite_sealed
from tasks.store.protocol import ObjectInfo, ObjectStore

LIFETIME_MS = 3_600_000
"""How long a pin of a running reader is valid without a renewal."""

LONGEST_LIFE_MS = 48 * LIFETIME_MS
"""How long any pin is valid at most after it was written: a reader without a process has one of this age."""


class Pin(Document):
    """The point `seq` is being read, at least until `expires_ms` (Unix milliseconds)."""

    format: int = FORMAT_MAJOR
    seq: int
    purpose: str
    expires_ms: int


def live_pins(store: ObjectStore, set_name: str, *, now_ms: int) -> set[int]:
    """The seqs of the points of a set that are being read. A damaged pin that can be valid raises `DamagedError`,
    because it is not known what it protects. No pin is valid `LONGEST_LIFE_MS` after it was written."""
    found = (_read(store, info, now_ms) for info in store.list(pin_prefix(set_name)))
    return {pin.seq for pin in found if pin is not None and pin.expires_ms > now_ms}


def _read(store: ObjectStore, info: ObjectInfo, now_ms: int) -> Pin | None:
    """The pin. None if it does not exist any more, or if it is damaged and can protect nothing any more."""
    try:
        return find_sealed(store, info.key, Pin)
    except DamagedError as error:
        ends_ms = info.modified_ms + LONGEST_LIFE_MS
        if ends_ms <= now_ms:
            return None
        minutes = max(0, now_ms - info.modified_ms) // 60_000
        left = (ends_ms - now_ms) // 60_000
        raise DamagedError(
            f"The pin {info.key}, written {minutes:,} minutes ago, is damaged, so it is not known which point its "
            f"reader needs. Nothing is deleted while it can be valid, which is {left:,} minutes more. If no restore, "
            "validation or consolidation of the set is running or waiting, delete the object.",
            key=info.key,
        ) from error


def expired_pins(store: ObjectStore, set_name: str, *, before_ms: int) -> dict[str, int]:
    """The pins that have expired before this time and were not written since, with their sizes. Their readers have
    died, because a reader renews its pin and deletes it at its end. A damaged pin has expired `LONGEST_LIFE_MS` after
    it was written."""
    old = [info for info in store.list(pin_prefix(set_name)) if info.modified_ms <= before_ms]
    return {info.key: info.size_bytes for info in old if _has_expired(store, info, before_ms)}


def _has_expired(store: ObjectStore, info: ObjectInfo, before_ms: int) -> bool:
    try:
        pin = find_sealed(store, info.key, Pin)
    except DamagedError:
        return info.modified_ms + LONGEST_LIFE_MS <= before_ms
    return pin is not None and pin.expires_ms <= before_ms


def restore_purpose(restore: str) -> str:
    """The purpose of the pin of a restore."""
    return f"restore {restore}"


def remove_pins(store: ObjectStore, purpose: str) -> None:
    """Delete the pins with this purpose, in all sets. Call it for a reader that has ended or died. A pin that is
    damaged, or that a later version wrote, stays, because it is not known whose it is."""
    for info in list(store.list(PINS)):
        try:
            pin = find_sealed(store, info.key, Pin)
        except (DamagedError, UnsupportedError):
            continue
        if pin is not None and pin.purpose == purpose:
            store.delete([info.key])


@contextmanager
def pinned(store: ObjectStore, set_name: str, seq: int, *, purpose: str, now_ms: Callable[[], int]) -> Iterator[bool]:
    """Pin a point while the body runs. Read the log again in the body before you use the point, because the point can
    have been removed before the pin was written.

    Yields whether there is a pin. A reader without write permission has none, and nothing protects its point from
    deletion. Raises the store's error if the pin cannot be written for another reason.
    """
    key = pin_key(set_name, new_id())
    done = threading.Event()

    def write() -> None:
        pin = Pin(seq=seq, purpose=purpose, expires_ms=now_ms() + LIFETIME_MS)
        overwrite_sealed(store, key, pin)

    def renew() -> None:
        while not done.wait(LIFETIME_MS / 4000):
            try:
                write()
            except (StoreError, AccessError):
                continue  # the pin is still valid, and the next round tries again

    try:
        write()
        is_pinned = True
    except (AccessError, StoreFullError):
        is_pinned = False
    if not is_pinned:
        yield False
        return
    keeper = threading.Thread(target=renew, name="pin-keeper", daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        _remove(store, key)


def pin_until(store: ObjectStore, set_name: str, seq: int, *, pin: str, purpose: str, until_ms: int) -> None:
    """Pin a point until this time, without a process that renews the pin. `pin` is an id of 16 hex characters; a second
    call with it replaces the pin. The time must not be later than `LONGEST_LIFE_MS` from now.

    Call it while the point is pinned already, otherwise the point can have been removed. Raises the store's error if
    the pin cannot be written.
    """
    overwrite_sealed(store, pin_key(set_name, pin), Pin(seq=seq, purpose=purpose, expires_ms=until_ms))


def unpin(store: ObjectStore, set_name: str, pin: str) -> None:
    """Remove a pin of `pin_until`. Does nothing if there is none. If it cannot be deleted, it expires by itself."""
    _remove(store, pin_key(set_name, pin))


def _remove(store: ObjectStore, key: str) -> None:
    try:
        store.delete([key])
    except (StoreError, AccessError):
        return  # the pin expires
