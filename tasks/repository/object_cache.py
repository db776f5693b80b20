"""A cache of whole objects that several threads read. Each object is downloaded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakSet

BYTES_PER_THREAD: Final = 64 << 20
"""Enough for two objects of the usual size: the one that a thread reads, and the one before or after it."""


@dataclass(eq=False, slots=True)
class _Slot:
    """An object, or its download. The lock is held during the download."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    data: bytes | None = None


class ObjectCache:
    """A cache of whole objects. Safe to use from several threads.

    Threads that need the same object wait for one download. Different objects are downloaded at the same time. The
    least recently used objects are dropped. The memory bound is 64 MiB for each living thread that has used the cache;
    the object that was added last, and objects that a caller still holds, can exceed it.
    """

    def __init__(self, bytes_per_thread: int = BYTES_PER_THREAD) -> None:
        self._bytes_per_thread = bytes_per_thread
        self._slots: OrderedDict[Hashable, _Slot] = OrderedDict()
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._lock = threading.Lock()

    def get(self, key: Hashable, download: Callable[[], bytes]) -> bytes:
        """The object, from the cache or from `download`. If `download` raises an error, it is raised here and nothing
        is kept: a thread that waited for the failed download starts its own."""
        slot = self._slot(key)
        with slot.lock:
            if slot.data is None:
                slot.data = download()
                self._drop_excess(key)
            return slot.data

    def _slot(self, key: Hashable) -> _Slot:
        with self._lock:
            self._threads.add(threading.current_thread())
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            return slot

    def _drop_excess(self, newest: Hashable) -> None:
        """Drop the least recently used objects that exceed the bound, but not the newest one."""
        with self._lock:
            self._slots.move_to_end(newest)
            loaded = [(other, len(held.data)) for other, held in self._slots.items() if held.data is not None]
            excess = sum(size for _, size in loaded) - self._capacity()
            for other, size in loaded[:-1]:
                if excess <= 0:
                    break
                del self._slots[other]
                excess -= size

    def _capacity(self) -> int:
        return self._bytes_per_thread * max(1, sum(thread.is_alive() for thread in self._threads))
