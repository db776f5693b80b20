"""Repeats failed calls of any store until a deadline, and finds out whether writes were carried out when their response
was lost. Makes the error for a store that never answered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from tasks.model.counting import counted
from tasks.model.errors import (
    KafkaBackupError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutcomeUnknownError,
    StoreError,
    StoreUnavailableError,
    UndeletedError,
)
from tasks.model.waiting import CONNECT_TIMEOUT_MS, Contact
from tasks.store.protocol import Body, ObjectInfo, ObjectStore, Unfinished

_T = TypeVar("_T")
_PAGE_OBJECTS = 1000

_log = logging.getLogger(__name__)

DEADLINE_MS = 120_000
"""How long a call is repeated, unless its caller says otherwise."""


class RepeatedCalls:
    """Calls functions of a store, and repeats them after retryable errors, as `RetryingStore` describes. Several
    threads can use it at the same time."""

    def __init__(
        self,
        *,
        subject: str,
        deadline_ms: int = DEADLINE_MS,
        connect_timeout_ms: int = CONNECT_TIMEOUT_MS,
        contact: Contact | None = None,
        first_wait_ms: int = 100,
        longest_wait_ms: int = 10_000,
        stop: threading.Event | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subject = subject
        self._deadline_ms = deadline_ms
        self._connect_timeout_ms = connect_timeout_ms
        self._contact = contact or Contact()
        self._backoff = wait_random_exponential(multiplier=first_wait_ms / 1000, max=longest_wait_ms / 1000)
        self._stop = stop or threading.Event()
        self._sleep = sleep or self._wait
        self._clock = clock

    def __call__(self, action: str, operation: Callable[[], _T]) -> _T:
        """The result of `operation`. `action` is its description for messages."""
        began = self._clock()
        is_unknown = False

        def deadline() -> float:
            return began + self._patience_ms() / 1000

        def attempt() -> _T:
            with self._contact.attempt(self._subject):
                return self._answered(operation)

        def wait(state: RetryCallState) -> float:
            return max(0.0, min(self._backoff(state), deadline() - self._clock()))

        def is_over(state: RetryCallState) -> bool:
            nonlocal is_unknown
            is_unknown = is_unknown or isinstance(_error(state), OutcomeUnknownError)
            return self._clock() >= deadline() or (self._stop.is_set() and not is_unknown)

        def log_failure(state: RetryCallState) -> None:
            _log.warning("%s failed, trying again (attempt %d): %s", action, state.attempt_number, _error(state))

        retrying = Retrying(
            retry=retry_if_exception(_is_retryable),
            wait=wait,
            stop=is_over,
            sleep=self._sleep,
            before_sleep=log_failure,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except StoreUnavailableError as error:
            if not is_unknown and self._is_first_contact_over(began):
                raise self._no_answer(error) from error
            if is_unknown:
                raise OutcomeUnknownError(
                    f"It is unknown whether {action} was carried out: {error}", key=error.key
                ) from error
            raise

    def _patience_ms(self) -> int:
        return self._contact.deadline_ms(
            connect_timeout_ms=self._connect_timeout_ms, retry_deadline_ms=self._deadline_ms
        )

    def _answered(self, operation: Callable[[], _T]) -> _T:
        """Call the store, and record in `contact` if it answered, also with an error."""
        try:
            result = operation()
        except KafkaBackupError as error:
            if getattr(error, "is_answer", not error.retryable):
                self._contact.mark_answered()
            raise
        self._contact.mark_answered()
        return result

    def _is_first_contact_over(self, began: float) -> bool:
        is_shorter = self._patience_ms() < self._deadline_ms
        return is_shorter and self._clock() >= began + self._connect_timeout_ms / 1000

    def _no_answer(self, error: StoreUnavailableError) -> StoreUnavailableError:
        seconds = self._connect_timeout_ms / 1000
        return StoreUnavailableError(
            f"{str(error).rstrip('.')}. There was no answer within {seconds:g} s (connect_timeout_ms): check that the "
            "store runs and can be reached from here.",
            key=error.key,
        )

    def _wait(self, seconds: float) -> None:
        """Wait, but only until `stop` is set. If it is set already, the whole time is waited, because the call would
        otherwise be repeated without a pause."""
        if self._stop.is_set():
            time.sleep(seconds)
        else:
            self._stop.wait(seconds)


class RetryingStore:
    """A store that repeats calls after retryable errors, until `deadline_ms` have passed since the call. Until the
    store has answered for the first time, the deadline is `connect_timeout_ms`, so that a wrong address is noticed
    soon. `contact` records the first answer, and reports waits for `subject` (by default the store's location).

    Waits are random between 0 and a bound that doubles from `first_wait_ms` to `longest_wait_ms`. The last attempt is
    made at the deadline, and its error is raised. If an attempt of a write had an unknown outcome and no later attempt
    succeeds, `OutcomeUnknownError` is raised, because the write can have been carried out.

    If a write is repeated after an unknown outcome, `ObjectExistsError` or `ObjectChangedError` can be the result of
    its own earlier attempt. The write counts as successful if the stored bytes are the bytes that were sent. So
    concurrent writers to one key have to write different bodies, for example with a random id. A swap can succeed, lose
    its response and then be replaced by another swap. This raises `ObjectChangedError`, although the bytes were
    written.

    Once `stop` is set, waits end and no call is repeated, except writes with an unknown outcome. `sleep` gets seconds;
    `clock` returns seconds and never goes back.
    """

    def __init__(
        self,
        inner: ObjectStore,
        *,
        deadline_ms: int = DEADLINE_MS,
        connect_timeout_ms: int = CONNECT_TIMEOUT_MS,
        contact: Contact | None = None,
        subject: str | None = None,
        first_wait_ms: int = 100,
        longest_wait_ms: int = 10_000,
        stop: threading.Event | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._call = RepeatedCalls(
            subject=subject or inner.location,
            deadline_ms=deadline_ms,
            connect_timeout_ms=connect_timeout_ms,
            contact=contact,
            first_wait_ms=first_wait_ms,
            longest_wait_ms=longest_wait_ms,
            stop=stop,
            sleep=sleep,
            clock=clock,
        )

    @property
    def location(self) -> str:
        return self._inner.location

    @property
    def is_single_writer(self) -> bool:
        return self._inner.is_single_writer

    def write_alone(self) -> None:
        self._inner.write_alone()

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        def put() -> ObjectInfo:
            return self._inner.put_if_absent(key, body, sha256=sha256)

        return self._write(key, put, ObjectExistsError, body)

    def put(self, key: str, body: Body) -> ObjectInfo:
        return self._call(f"put {key}", lambda: self._inner.put(key, body))

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        def swap() -> ObjectInfo:
            return self._inner.compare_and_swap(key, body, expected=expected)

        return self._write(key, swap, ObjectChangedError, body)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        return self._call(f"get {key}", lambda: self._inner.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._call(f"get {key}", lambda: self._inner.get_range(key, start, length))

    def head(self, key: str) -> ObjectInfo:
        return self._call(f"head {key}", lambda: self._inner.head(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See the protocol. After a retryable error the listing continues after the last object that it returned."""
        listing = _Listing(self._inner, prefix)
        while page := self._call(f"list {prefix}", listing.next_page):
            yield from page

    def list_folders(self, folder: str) -> tuple[str, ...]:
        return self._call(f"list {folder}", lambda: self._inner.list_folders(folder))

    def check_lock(self) -> None:
        self._call("read whether the store locks objects", self._inner.check_lock)

    def delete(self, keys: Iterable[str]) -> int:
        """See the protocol. What a failed attempt has deleted is not deleted again, because the next attempt would find
        it missing and not count it as hidden."""
        left = tuple(keys)
        hidden = 0

        def attempt() -> int:
            nonlocal left, hidden
            try:
                return hidden + self._inner.delete(left)
            except StoreError as error:
                hidden += error.deleted.hidden
                left = tuple(key for key in left if key not in error.deleted.keys)
                raise
            except UndeletedError as error:
                all_hidden = hidden + error.hidden
                raise UndeletedError(denied=error.denied, locked=error.locked, hidden=all_hidden) from error

        return self._call(f"delete {counted(len(left), 'object')}", attempt)

    def unfinished(self) -> Iterator[Unfinished]:
        yield from self._call("list unfinished writes", lambda: tuple(self._inner.unfinished()))

    def delete_unfinished(self, names: Iterable[str]) -> None:
        all_names = tuple(names)
        self._call(
            f"delete {counted(len(all_names), 'unfinished write')}", lambda: self._inner.delete_unfinished(all_names)
        )

    def close(self) -> None:
        self._inner.close()

    def _write(
        self, key: str, write: Callable[[], ObjectInfo], condition_error: type[KafkaBackupError], body: Body
    ) -> ObjectInfo:
        """Repeat a conditional write. `condition_error` is the error for a failed condition. It counts as success if an
        earlier attempt with an unknown outcome wrote the object."""
        is_unknown = False

        def attempt() -> ObjectInfo:
            nonlocal is_unknown
            try:
                return write()
            except OutcomeUnknownError:
                is_unknown = True
                raise
            except condition_error:
                own = self._own_write(key, body) if is_unknown else None
                if own is None:
                    raise
                return own

        return self._call(f"write {key}", attempt)

    def _own_write(self, key: str, body: Body) -> ObjectInfo | None:
        """The object's metadata if its stored bytes are those of the body; otherwise None."""
        try:
            stored, info = self._inner.get(key)
            if not _consists_of(stored, body):
                return None
            with_checksum = self._inner.head(key)  # because `get` can leave out the checksum
        except ObjectNotFoundError:
            return None
        return with_checksum if with_checksum.version == info.version else info


class _Listing:
    """A listing in pages. After an error `next_page` may be called again: it continues after the last returned key."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._items: Iterator[ObjectInfo] | None = None
        self._last = ""

    def next_page(self) -> tuple[ObjectInfo, ...]:
        """The next objects, at most `_PAGE_OBJECTS`. Empty at the end."""
        if self._items is None:
            self._items = self._store.list(self._prefix)
        page = []
        try:
            for info in self._items:
                if info.key > self._last:
                    page.append(info)
                if len(page) == _PAGE_OBJECTS:
                    break
        except KafkaBackupError:
            self._items = None
            raise
        if page:
            self._last = page[-1].key
        return tuple(page)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, KafkaBackupError) and error.retryable


def _consists_of(stored: bytes, body: Body) -> bool:
    """Whether the stored bytes are equal to the bytes of the body. The buffers are not joined."""
    view, at = memoryview(stored), 0
    for part in body:
        if view[at : at + len(part)] != part:
            return False
        at += len(part)
    return at == len(stored)
