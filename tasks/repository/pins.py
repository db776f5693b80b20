"""Pins: a reader's note that a point is in use, so that nothing it names is removed under the reader."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tasks.model.errors import AccessError, StoreError
from tasks.repository.document import FORMAT_MAJOR, Document, seal
from tasks.repository.names import new_id, pin_key
from tasks.store.protocol import ObjectStore

LIFETIME_MS = 3_600_000
"""How long a pin holds without being renewed."""


class Pin(Document):
    """The point `seq` is being read until `expires_ms` at least."""

    format: int = FORMAT_MAJOR
    seq: int
    purpose: str
    expires_ms: int


@contextmanager
def pinned(store: ObjectStore, set_name: str, seq: int, *, purpose: str, now_ms: Callable[[], int]) -> Iterator[bool]:
    """Hold a pin on a point while the body runs. Inside, read the log again before relying on the point.

    Yields whether there is a pin: a reader that may not write has none, and must end within the sweep's grace.
    """
    key = pin_key(set_name, new_id())
    done = threading.Event()

    def write() -> None:
        pin = Pin(seq=seq, purpose=purpose, expires_ms=now_ms() + LIFETIME_MS)
        store.put(key, [seal(pin.to_json())])

    def renew() -> None:
        while not done.wait(LIFETIME_MS / 4000):
            try:
                write()
            except (StoreError, AccessError):
                continue  # the pin still has most of its lifetime; the next turn tries again

    try:
        write()
        is_pinned = True
    except AccessError:
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


def _remove(store: ObjectStore, key: str) -> None:
    try:
        store.delete([key])
    except (StoreError, AccessError):
        return  # it expires by itself
