"""A store that is struck at its n-th write, or at its n-th read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tasks.model.errors import OutcomeUnknownError, StoreUnavailableError
from tasks.store.protocol import Body, ObjectInfo, Unfinished
from tests.simulation.histories.world import World
from tests.support.faults import Crashed

T = TypeVar("T")


class StruckStore:
    """The repository's store as one process has it. `kind` `crash-store`: the process dies before or after the write
    number `at`; `lose-store`: the answer of that write is lost twice, or (not `is_after`) that read fails."""

    def __init__(self, world: World, kind: str, at: int, *, is_after: bool) -> None:
        self._world = world
        self._inner = world.disk
        self._kind = kind
        self._at = at
        self._is_after = is_after
        self._writes = 0
        self._reads = 0
        self._is_dead = False

    @property
    def location(self) -> str:
        """Where it is, for messages."""
        return self._inner.location

    @property
    def is_single_writer(self) -> bool:
        return self._inner.is_single_writer

    def write_alone(self) -> None:
        self._inner.write_alone()

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        """See `ObjectStore.put_if_absent`."""
        return self._write(lambda: self._inner.put_if_absent(key, body, sha256=sha256))

    def put(self, key: str, body: Body) -> ObjectInfo:
        """See `ObjectStore.put`."""
        return self._write(lambda: self._inner.put(key, body))

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        """See `ObjectStore.compare_and_swap`."""
        return self._write(lambda: self._inner.compare_and_swap(key, body, expected=expected))

    def check_lock(self) -> None:
        """See `ObjectStore.check_lock`."""
        self._read(self._inner.check_lock)

    def delete(self, keys: Iterable[str]) -> int:
        """See `ObjectStore.delete`."""
        doomed = tuple(keys)
        return self._write(lambda: self._inner.delete(doomed))

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        """See `ObjectStore.get`."""
        return self._read(lambda: self._inner.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """See `ObjectStore.get_range`."""
        return self._read(lambda: self._inner.get_range(key, start, length))

    def head(self, key: str) -> ObjectInfo:
        """See `ObjectStore.head`."""
        return self._read(lambda: self._inner.head(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        return self._read(lambda: self._inner.list(prefix))

    def list_folders(self, folder: str) -> tuple[str, ...]:
        """See `ObjectStore.list_folders`."""
        return self._read(lambda: self._inner.list_folders(folder))

    def unfinished(self) -> Iterator[Unfinished]:
        """See `ObjectStore.unfinished`."""
        return self._read(self._inner.unfinished)

    def delete_unfinished(self, names: Iterable[str]) -> None:
        """See `ObjectStore.delete_unfinished`."""
        doomed = tuple(names)
        self._write(lambda: self._inner.delete_unfinished(doomed))

    def close(self) -> None:
        """See `ObjectStore.close`."""

    def _write(self, call: Callable[[], T]) -> T:
        self._require_alive()
        self._writes += 1
        is_struck = self._kind == "crash-store" and self._writes == self._at
        if is_struck and not self._is_after:
            self._die()
        result = call()
        if is_struck:
            self._die()
        if self._kind == "lose-store" and self._is_after and 0 <= self._writes - self._at < 2:
            self._world.struck += 1
            raise OutcomeUnknownError("the answer was lost")
        return result

    def _read(self, call: Callable[[], T]) -> T:
        self._require_alive()
        self._reads += 1
        if self._kind == "lose-store" and not self._is_after and self._reads == self._at:
            self._world.struck += 1
            raise StoreUnavailableError("the request was not carried out")
        return call()

    def _die(self) -> None:
        self._is_dead = True
        self._world.struck += 1
        raise Crashed("the process died")

    def _require_alive(self) -> None:
        if self._is_dead:
            raise Crashed("this process is dead")
