"""The rows about a store: rights by trial, write conditions, the clock, free space; and those about the repository."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from hashlib import sha256

from tasks.engine.checks.clock import store_clock_item
from tasks.engine.checks.items import CheckItem, error_item, missing, ok, optional, rows, unknown
from tasks.engine.checks.jobs import BackupJob, CheckJob
from tasks.model.errors import ConfigError, InterruptedRunError, KafkaBackupError, NotFoundError, ObjectNotFoundError
from tasks.repository.freeze import freeze_text
from tasks.repository.points import PointReference, format_time
from tasks.repository.repository import Repository
from tasks.repository.root import adopt_single_writer
from tasks.store.probe import PROBE_PREFIX, ProbeResult, probe
from tasks.store.protocol import ObjectStore

LIST, READ, WRITE, DELETE = "list objects", "read objects", "write objects", "delete objects"
_CONDITIONS = {
    "conditional_put": "an object can be written only if its key does not exist",
    "conditional_swap": "an object can be replaced only if it is at the expected version",
    "read_after_write": "a read returns the last write",
}
_LOWEST_FREE_BYTES = 1 << 30


def trial_items(store: ObjectStore, location: str, now_ms: Callable[[], int]) -> list[CheckItem]:
    """The rows about rights, conditions and the clock, by trial on objects with random keys, which are deleted again.
    Only the row about listing if the store does not answer.

    Nothing is written unless a deletion was allowed before, because otherwise the objects would stay. `location` is the
    subject of the rows. Raises `InterruptedRunError`.
    """
    key = f"{PROBE_PREFIX}{secrets.token_hex(8)}-check"
    listed = _tried(location, LIST, lambda: _discard(store.list(key)))
    if listed.status == "unknown":  # the store does not answer, and each further trial would wait for it again
        return [listed]
    with contextlib.suppress(KafkaBackupError):  # the row about the repository has this error
        adopt_single_writer(store)
    lock = rows(location, "object lock", lambda: _nothing(store.check_lock))
    deleted = optional(_tried(location, DELETE, lambda: store.delete([key])))
    if deleted.status != "ok":
        reason = "not tried, because the object of the trial could not be deleted again"
        advice = "Allow this user to delete objects, at least for the time of the check."
        read = _tried(location, READ, lambda: _read_missing(store, key))
        return [listed, *lock, read, deleted, unknown(location, WRITE, reason, advice)]
    try:
        return [listed, *lock, deleted, *_written_items(store, location, key, now_ms)]
    finally:
        rows(location, DELETE, lambda: _nothing(lambda: store.delete([key])))


def data_place_items(store: ObjectStore, location: str) -> list[CheckItem]:
    """The rows about the place of the data, if it is not the place of what is overwritten. Nothing is written there,
    because a retention policy would keep the objects of the trial. Raises `InterruptedRunError`."""
    key = f"{PROBE_PREFIX}{secrets.token_hex(8)}-check"
    listed = _tried(location, LIST, lambda: _discard(store.list(key)))
    if listed.status == "unknown":
        return [listed]
    reason = "not tried, because a retention policy of the place would keep the object of the trial"
    return [
        listed,
        _tried(location, READ, lambda: _read_missing(store, key)),
        optional(unknown(location, WRITE, reason, "The first backup shows whether writing is allowed.")),
    ]


def condition_items(location: str, result: ProbeResult) -> Iterator[CheckItem]:
    """A row for each promise that the commit protocol needs of a store. Pure."""
    for name, promise in _CONDITIONS.items():
        title = name.replace("_", " ")
        if getattr(result, name):
            yield ok(location, title, promise)
        else:
            text = f"the store does not keep the promise that {promise}"
            yield missing(location, title, text, "Use another store.", ConfigError)


def free_space_item(location: str, free_bytes: int | None, job: CheckJob) -> CheckItem:
    """The row about free space. `free_bytes` is None if the store does not report it. Pure."""
    if free_bytes is None:
        return optional(unknown(location, "free space", "this kind of store does not report its free space"))
    text = f"{free_bytes / (1 << 30):,.1f} GiB"
    if free_bytes >= _LOWEST_FREE_BYTES:
        return ok(location, "free space", text)
    item = missing(location, "free space", text, "Free some space.", KafkaBackupError)
    return item if isinstance(job, BackupJob) and free_bytes == 0 else optional(item)


def repository_items(open_repository: Callable[[], Repository], location: str, job: CheckJob) -> Iterator[CheckItem]:
    """The row about the repository, the one about its freeze if there is one, and for a restore that about its
    point."""
    try:
        repository = open_repository()
    except NotFoundError as error:
        if isinstance(job, BackupJob):
            yield ok(location, "repository", "there is none yet: the first backup makes it")
        else:
            yield error_item(location, "repository", error)
        return
    yield ok(location, "repository", f"its id is {repository.root.repository_id}")
    if repository.note is not None:
        yield ok(location, "single writer", repository.note)
    freeze = repository.freeze()
    if freeze is not None:
        yield ok(location, "freeze", f"{freeze_text(freeze)}. Backups and restores go on, and nothing is deleted")
    if not isinstance(job, BackupJob):
        yield _point_item(repository, job.reference)


def _point_item(repository: Repository, reference: PointReference) -> CheckItem:
    try:
        point = repository.point(reference)
    except NotFoundError as error:
        return error_item(repository.store.location, "restore point", error)
    text = f"{point.name} of {format_time(point.entry.time_ms)}, {point.entry.status}"
    return ok(repository.store.location, "restore point", text)


def _written_items(store: ObjectStore, location: str, key: str, now_ms: Callable[[], int]) -> Iterator[CheckItem]:
    data = secrets.token_bytes(16)
    before_ms = now_ms()
    try:
        info = store.put_if_absent(key, [data], sha256=sha256(data).hexdigest())
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        yield error_item(location, WRITE, error)
        yield _tried(location, READ, lambda: _read_missing(store, key))
        return
    after_ms = now_ms()
    yield ok(location, WRITE, "allowed")
    yield _tried(location, READ, lambda: _discard(iter([store.get(key)])))
    yield from rows(location, "write conditions", lambda: condition_items(location, probe(store)))
    yield store_clock_item(location, before_ms=before_ms, modified_ms=info.modified_ms, after_ms=after_ms)


def _tried(location: str, name: str, attempt: Callable[[], object]) -> CheckItem:
    try:
        attempt()
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return error_item(location, name, error)
    return ok(location, name, "allowed")


def _read_missing(store: ObjectStore, key: str) -> None:
    """Read an object that was not written. If the store answers that it is missing, reading is allowed."""
    try:
        store.get(key)
    except ObjectNotFoundError:
        return


def _discard(values: Iterator[object]) -> None:
    for _ in values:
        pass


def _nothing(act: Callable[[], object]) -> tuple[CheckItem, ...]:
    act()
    return ()
