"""Leases: one writer at a time, by compare-and-swap. They prevent double work. They do not protect the data; the
preconditions of a commit do. Takes, renews and releases leases, decides when an owner counts as dead, and watches the
lease of another process."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.model.errors import (
    DamagedError,
    InterruptedRunError,
    KafkaBackupError,
    LockedError,
    ObjectChangedError,
    ObjectNotFoundError,
)
from tasks.model.quoting import quoted
from tasks.repository.document import FORMAT_MAJOR, Document, open_sealed
from tasks.repository.names import new_id
from tasks.repository.sealed_objects import swap_sealed
from tasks.store.protocol import ObjectStore

TIME_TO_LIVE_MS = 20_000
"""How long a lease must stay unchanged before another owner is allowed to take it."""


class LeaseRecord(Document):
    """A lease as it is stored. `beat` counts the renewals, so that two writes are never equal. `run` is the run that
    the owner began. It stays in the record after the release, so that the next owner finds a run that did not end.
    `begun_after` is the seq of the log's newest entry before the run was entered here: the run was closed later, or not
    at all. `host` and `process` are where the owner runs, so that an operator finds it; None if an earlier version
    wrote the lease.
    """

    format: int = FORMAT_MAJOR
    owner: str
    beat: int
    ttl_ms: int
    run: str | None = None
    begun_after: int | None = None
    is_released: bool = False
    host: str | None = None
    process: int | None = None

    @property
    def writer(self) -> str:
        """The owner for messages: `d46ebbe6efa40ff7, process 42 on backup-1`."""
        place = f", process {self.process} on {quoted(self.host)}" if self.host and self.process else ""
        return f"{self.owner}{place}"


@dataclass
class Lease:
    """A lease that this process holds until it is released or lost. Safe to use from several threads."""

    store: ObjectStore
    key: str
    record: LeaseRecord
    version: str
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def renew(self) -> None:
        """Write the next beat, so that no other owner takes the lease. Raises `LockedError` if another owner has taken
        it."""
        self._write({})

    def enter_run(self, run: str, *, begun_after: int) -> None:
        """Replace the run in the record, with the next beat. Raises `LockedError` if another owner has taken the
        lease."""
        self._write({"run": run, "begun_after": begun_after})

    def release(self) -> None:
        """Allow the next owner to take the lease at once. Raises `LockedError` if another owner has taken it."""
        self._write({"is_released": True})

    def _write(self, changes: Mapping[str, object]) -> None:
        with self._lock:
            try:
                self._swap(changes)
            except ObjectChangedError:
                self._adopt()
                self._swap(changes)

    def _swap(self, changes: Mapping[str, object]) -> None:
        record = self.record.model_copy(update={"beat": self.record.beat + 1, "is_released": False, **changes})
        info = swap_sealed(self.store, self.key, record, expected=self.version)
        self.record, self.version = record, info.version

    def _adopt(self) -> None:
        """Continue from the stored record if it is this owner's: the response to an earlier beat can have been lost."""
        current, version = _read(self.store, self.key)
        if current is None or version is None or current.owner != self.record.owner:
            raise LockedError(
                f"Another writer took over the lease {self.key}. Wait until the other run ends, and run this again."
            ) from None
        self.record, self.version = current, version


def acquire(
    store: ObjectStore,
    key: str,
    *,
    ttl_ms: int = TIME_TO_LIVE_MS,
    stop: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
    waiting: Callable[[str], None] = lambda owner: None,
) -> Lease:
    """Take the lease if it is free, released, damaged, or unchanged for its time to live on this process's clock.

    Raises `LockedError` as soon as the owner renews it, or if another writer takes it first, `InterruptedRunError` if
    `stop` is set during the wait, and `UnsupportedError` if a later version wrote it. `waiting` is called with
    `LeaseRecord.writer` when the wait begins. The run of the old record is kept: read it before `enter_run` replaces
    it.
    """
    seen: LeaseRecord | None = None
    since = clock()
    while True:
        current, version = _read(store, key)
        if current is None or current.is_released or (seen == current and clock() - since >= current.ttl_ms / 1000):
            return _take(store, key, current, version, ttl_ms)
        if seen is None:
            waiting(current.writer)
            seen, since = current, clock()
        elif seen != current:
            raise LockedError(
                f"{key} is held by writer {current.writer}, which renews it. Wait until it ends, and run this again."
            )
        if (stop or threading.Event()).wait(min(1.0, current.ttl_ms / 4000)):
            raise InterruptedRunError(f"Stopped while waiting for the lease {key}.")


def read_lease(store: ObjectStore, key: str) -> LeaseRecord | None:
    """The record of a lease. None if it is missing or damaged. Raises `UnsupportedError` if a later version wrote
    it."""
    return _read(store, key)[0]


def wait_until_free(
    store: ObjectStore,
    key: str,
    *,
    stop: threading.Event,
    clock: Callable[[], float],
    waiting: Callable[[str], None] = lambda owner: None,
) -> None:
    """Return when nobody holds the lease: it is missing, damaged or released, or was not renewed for its time to live
    on this process's clock. Raises `InterruptedRunError` if `stop` is set during the wait. `waiting` is called with
    `LeaseRecord.writer` when the wait begins."""
    seen, since = None, clock()
    while True:
        current, _ = _read(store, key)
        if current is None or current.is_released:
            return
        if seen is None:
            waiting(current.writer)
        if current != seen:
            seen, since = current, clock()
        elif clock() - since >= current.ttl_ms / 1000:
            return
        if stop.wait(min(1.0, current.ttl_ms / 4000)):
            raise InterruptedRunError(f"Stopped while waiting for the end of the lease {key}.")


@contextmanager
def kept(lease: Lease, stop: threading.Event) -> Iterator[Lease]:
    """Renew the lease from another thread while the body runs, and release it afterwards.

    If another owner takes the lease, `stop` is set so that the body ends soon. The `InterruptedRunError` of the body is
    then raised as `LockedError`.
    """
    done, lost = threading.Event(), threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, done, stop, lost), name="lease-keeper", daemon=True)
    keeper.start()
    try:
        yield lease
    except InterruptedRunError:
        if lost.is_set():
            raise LockedError(
                f"Another writer took over the lease {lease.key}, so this run ended. "
                "Wait until the other run ends, and run this again."
            ) from None
        raise
    finally:
        done.set()
        keeper.join()
        _release(lease)


@contextmanager
def watched(store: ObjectStore, key: str, run: str | None, stop: threading.Event) -> Iterator[None]:
    """For work under a lease that another process keeps for `run`: `stop` is set when that lease ends. It ends when it
    is released, taken by another owner, used for another run, or not renewed for its time to live.

    Raises `InterruptedRunError` if it has ended before the body begins.
    """
    first, _ = _read(store, key)
    if first is None or first.is_released or first.run != run:
        raise InterruptedRunError(f"The lease {key} is not held for this run any more.")
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(store, key, first, done, stop), name="lease-watcher", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(store: ObjectStore, key: str, first: LeaseRecord, done: threading.Event, stop: threading.Event) -> None:
    seen, since = first, time.monotonic()
    while not done.wait(first.ttl_ms / 10_000):
        try:
            current, _ = _read(store, key)
        except KafkaBackupError:
            continue  # if the error stays, the work itself fails
        if current is not None and current != seen:
            seen, since = current, time.monotonic()
        is_held = current is not None and (current.owner, current.run) == (first.owner, first.run)
        if not is_held or seen.is_released or time.monotonic() - since > first.ttl_ms / 1000:
            stop.set()
            return


def _keep(lease: Lease, done: threading.Event, stop: threading.Event, lost: threading.Event) -> None:
    while not done.wait(lease.record.ttl_ms / 4000):
        try:
            lease.renew()
        except LockedError:
            lost.set()
            stop.set()
            return
        except KafkaBackupError:
            continue  # the error can pass before the time to live ends; otherwise another owner takes the lease


def _release(lease: Lease) -> None:
    try:
        lease.release()
    except KafkaBackupError:
        return  # without the release the next owner has to wait for the time to live


def _take(store: ObjectStore, key: str, old: LeaseRecord | None, version: str | None, ttl_ms: int) -> Lease:
    kept = {"run": old.run, "begun_after": old.begun_after} if old else {}
    record = LeaseRecord.model_validate(
        {"owner": new_id(), "beat": 0, "ttl_ms": ttl_ms, "host": socket.gethostname(), "process": os.getpid(), **kept}
    )
    try:
        info = swap_sealed(store, key, record, expected=version)
    except ObjectChangedError:
        raise LockedError(f"{key} was just taken by another writer. Wait until its run has ended.") from None
    return Lease(store=store, key=key, record=record, version=info.version)


def _read(store: ObjectStore, key: str) -> tuple[LeaseRecord | None, str | None]:
    """(record, version). A damaged record is returned as None, because a lease does not protect data."""
    try:
        data, info = store.get(key)
    except ObjectNotFoundError:
        return None, None
    try:
        return open_sealed(data, LeaseRecord, key=key), info.version
    except DamagedError:
        return None, info.version
