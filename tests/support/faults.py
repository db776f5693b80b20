"""A store that fails on command: before or after a write, by a lost response, a stall, a late listing or a crash.

With nothing armed it keeps the whole contract of the store it wraps.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from tasks.model.errors import KafkaBackupError, OutcomeUnknownError, StoreUnavailableError
from tasks.store.protocol import Body, ObjectInfo, ObjectStore, Unfinished

Operation = Literal[
    "put_if_absent", "put", "compare_and_swap", "get", "get_range", "head", "list", "list_folders", "delete"
]
WRITES: frozenset[Operation] = frozenset({"put_if_absent", "put", "compare_and_swap", "delete"})

_T = TypeVar("_T")


class Crashed(SystemExit):
    """The process is dead from here on. Not an `Exception`, so that no handler survives it; a `SystemExit`, so that the
    side threads that it ends say nothing."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A call that waits: `reached` is set when it has come, it goes on when the test sets `release`."""

    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Fault:
    operation: Operation
    skip: int
    times: int
    act: Callable[[Callable[[], object]], object]


class FaultyStore:
    """Wraps a store. Faults are armed per operation; each hits `times` calls after the next `skip` calls of it.

    `writes` counts the write calls so far (put_if_absent, put, compare_and_swap, delete), whatever became of them.
    `on_write(n, operation, key)` is called after the n-th write call succeeded (for delete with its first key).
    After a crash every call raises `Crashed`; what survives is in the wrapped store.
    """

    def __init__(self, inner: ObjectStore, *, on_write: Callable[[int, Operation, str], None] | None = None) -> None:
        self._inner = inner
        self._on_write = on_write
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self._crash: tuple[int, bool] | None = None
        self._is_crashed = False
        self._written: dict[str, int] = {}
        self._hidden: Callable[[str], bool] = lambda key: False
        self._list_cut: int | None = None
        self._flaky: Callable[[Callable[[], object]], object] | None = None
        self._turn = threading.local()
        self.writes = 0

    # ── arming ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def fail_before(self, operation: Operation, *, times: int = 1, skip: int = 0) -> None:
        """Nothing is done and `StoreUnavailableError` raised."""
        self._arm(operation, skip, times, _fail)

    def refuse(self, operation: Operation, error: KafkaBackupError, *, times: int = 1, skip: int = 0) -> None:
        """Nothing is done and this error raised."""

        def fail(call: Callable[[], object]) -> object:
            raise error

        self._arm(operation, skip, times, fail)

    def lose_response(
        self,
        operation: Operation,
        *,
        times: int = 1,
        skip: int = 0,
        before_answering: Callable[[], object] | None = None,
    ) -> None:
        """The write is carried out, or refused by its condition, and `OutcomeUnknownError` hides which.

        `before_answering` runs in between, e.g. another writer's overwrite.
        """

        def lose(call: Callable[[], object]) -> object:
            return _lose(call, before_answering)

        self._arm(operation, skip, times, lose)

    def lose_request(self, operation: Operation, *, times: int = 1, skip: int = 0) -> None:
        """Nothing is done and `OutcomeUnknownError` raised."""
        self._arm(operation, skip, times, _lose_request)

    def stall(self, operation: Operation, *, skip: int = 0) -> Stall:
        """The call waits before it does anything. The test must set `release`."""
        stall = Stall()

        def wait(call: Callable[[], object]) -> object:
            stall.reached.set()
            stall.release.wait()
            return call()

        self._arm(operation, skip, 1, wait)
        return stall

    def crash_at(self, write: int, *, after: bool) -> None:
        """End the "process" before or after the write call whose number (as `writes` counts) this is."""
        self._crash = (write, after)

    def list_late(self, *, newest: int | None = None) -> None:
        """From now on listings omit the `newest` keys written through this wrapper, or (None) all keys written from now
        on."""
        mark = self.writes
        if newest is None:
            self._hidden = lambda key: self._written.get(key, 0) > mark
        else:
            self._hidden = lambda key: (
                key in sorted(self._written, key=self._written.__getitem__)[-newest:] * (newest > 0)
            )

    def list_in_time(self) -> None:
        """End `list_late`."""
        self._hidden = lambda key: False

    def cut_list(self, *, after_items: int) -> None:
        """The next listing raises `StoreUnavailableError` after that many objects."""
        self._list_cut = after_items

    def fail_every_other_call(self, *, lost: bool) -> None:
        """From now on each thread's first, third, … call of each operation fails: `lost` loses the responses of
        writes; otherwise, and for reads, nothing is done."""
        self._flaky = _lose if lost else _fail

    # ── the store ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def location(self) -> str:
        return self._inner.location

    @property
    def is_single_writer(self) -> bool:
        return self._inner.is_single_writer

    def write_alone(self) -> None:
        self._inner.write_alone()

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        return self._write("put_if_absent", key, lambda: self._inner.put_if_absent(key, body, sha256=sha256))

    def put(self, key: str, body: Body) -> ObjectInfo:
        return self._write("put", key, lambda: self._inner.put(key, body))

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        return self._write("compare_and_swap", key, lambda: self._inner.compare_and_swap(key, body, expected=expected))

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        return self._call("get", lambda: self._inner.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._call("get_range", lambda: self._inner.get_range(key, start, length))

    def head(self, key: str) -> ObjectInfo:
        return self._call("head", lambda: self._inner.head(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        items = self._call("list", lambda: self._inner.list(prefix))
        cut, self._list_cut = self._list_cut, None
        for number, info in enumerate(items):
            if number == cut:
                raise StoreUnavailableError("armed fault: the listing breaks off")
            if not self._hidden(info.key):
                yield info

    def list_folders(self, folder: str) -> tuple[str, ...]:
        return self._call("list_folders", lambda: self._inner.list_folders(folder))

    def check_lock(self) -> None:
        self._inner.check_lock()

    def delete(self, keys: Iterable[str]) -> int:
        doomed = tuple(keys)
        return self._write("delete", doomed[0] if doomed else "", lambda: self._inner.delete(doomed))

    def unfinished(self) -> Iterator[Unfinished]:
        return self._call("list", self._inner.unfinished)

    def delete_unfinished(self, names: Iterable[str]) -> None:
        doomed = tuple(names)
        self._write("delete", doomed[0] if doomed else "", lambda: self._inner.delete_unfinished(doomed))

    def close(self) -> None:
        self._inner.close()

    # ── how a fault strikes ─────────────────────────────────────────────────────────────────────────────────────────

    def _arm(self, operation: Operation, skip: int, times: int, act: Callable[[Callable[[], object]], object]) -> None:
        with self._lock:
            self._faults.append(_Fault(operation, skip, times, act))

    def _write(self, operation: Operation, key: str, call: Callable[[], _T]) -> _T:
        with self._lock:
            self.writes += 1
            number = self.writes
        self._crash_if(number, after=False)

        def land() -> _T:
            answer = call()
            if operation != "delete":
                self._note(number, key)
            return answer

        try:
            answer = self._call(operation, land)
        finally:
            self._crash_if(number, after=True)
        if self._on_write:
            self._on_write(number, operation, key)
        return answer

    def _note(self, number: int, key: str) -> None:
        with self._lock:
            self._written[key] = number

    def _crash_if(self, number: int, *, after: bool) -> None:
        if self._crash == (number, after):
            self._is_crashed = True
        if self._is_crashed:
            raise Crashed(f"crashed {'after' if after else 'before'} write {number}")

    def _call(self, operation: Operation, call: Callable[[], _T]) -> _T:
        if self._is_crashed:
            raise Crashed("this process is dead")
        act = self._next_fault(operation)
        if act is None:
            return call()
        return act(call)  # type: ignore[return-value]  # an act returns what the call does, or raises

    def _next_fault(self, operation: Operation) -> Callable[[Callable[[], object]], object] | None:
        with self._lock:
            struck = None
            for fault in [fault for fault in self._faults if fault.operation == operation and fault.times > 0]:
                if fault.skip > 0:
                    fault.skip -= 1
                elif struck is None:
                    fault.times -= 1
                    struck = fault.act
        return struck or self._next_flaky(operation)

    def _next_flaky(self, operation: Operation) -> Callable[[Callable[[], object]], object] | None:
        if self._flaky is None:
            return None
        calls = self._turn.__dict__
        calls[operation] = calls.get(operation, 0) + 1
        if calls[operation] % 2 == 0:
            return None
        return self._flaky if operation in WRITES else _fail


def _fail(call: Callable[[], object]) -> object:
    raise StoreUnavailableError("armed fault: the request was not carried out")


def _lose(call: Callable[[], object], before_answering: Callable[[], object] | None = None) -> object:
    with contextlib.suppress(KafkaBackupError):  # the answer that is lost
        call()
    if before_answering:
        before_answering()
    raise OutcomeUnknownError("armed fault: the response was lost")


def _lose_request(call: Callable[[], object]) -> object:
    raise OutcomeUnknownError("armed fault: the request was lost")
