"""Threads that take turns at the calls of a store, so that a test tries one interleaving of several programs, and can
try it again: one thread runs at a time, and at each call a random choice decides which one goes on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo, Unfinished

T = TypeVar("T")
PAGE_OBJECTS = 4
_STALL_S = 30.0
"""If no actor makes a call for this time, the interleaving does not go on any more. Each call of a slow machine starts
the time anew."""

_PACES = (1.0, 1.0, 0.2, 0.03)
"""How often an actor gets the turn, in comparison with the others. It is drawn for each actor."""
_KEEPERS = ("lease-keeper", "lease-watcher", "pin-keeper")
"""Threads that call the store at real times. They do not take part."""


class Turns:
    """`constancy` is the probability with which the running actor goes on at a call. `between` is called at each call,
    in the thread that has the turn. `calls` are the names of the actors in the order of their calls."""

    def __init__(
        self, chance: random.Random, *, constancy: float = 0.0, between: Callable[[], None] = lambda: None
    ) -> None:
        self._chance = chance
        self._constancy = constancy
        self._between = between
        self._changed = threading.Condition()
        self._alive: list[str] = []
        self._pace: dict[str, float] = {}
        self._current = ""
        self._of_thread = threading.local()
        self.calls: list[str] = []

    def run(self, actors: Mapping[str, Callable[[], T]]) -> dict[str, T | BaseException]:
        """Run each actor in a thread of its own until all have ended. Returns what each has returned or raised. A
        thread that an actor starts belongs to it, if the actor waits for it: an actor has one thread at a time. Raises
        `AssertionError` if nothing happens for a while."""
        results: dict[str, T | BaseException] = {}
        self._pace = {name: self._chance.choice(_PACES) for name in actors}
        self._alive = list(actors)
        self._current = self._next()

        def act(name: str, actor: Callable[[], T]) -> None:
            self._of_thread.name = name
            try:
                self._wait_for(name)
                results[name] = actor()
            except BaseException as error:
                results[name] = error
            finally:
                self._end(name)

        threads = [threading.Thread(target=act, args=item, name=item[0], daemon=True) for item in actors.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            self._join(thread)
        return results

    def take(self) -> None:
        """A call of a store. The thread goes on when its actor has the turn. Outside of `run` it goes on at once."""
        if not self._alive or threading.current_thread().name in _KEEPERS:
            return
        name: str = getattr(self._of_thread, "name", self._current)
        self._of_thread.name = name
        self._between()
        with self._changed:
            self.calls.append(name)
            if self._chance.random() >= self._constancy:
                self._current = self._next()
                self._changed.notify_all()
        self._wait_for(name)

    def _next(self) -> str:
        return self._chance.choices(self._alive, [self._pace[name] for name in self._alive])[0]

    def _wait_for(self, name: str) -> None:
        before = -1
        with self._changed:
            while not self._changed.wait_for(lambda: self._current == name, _STALL_S):
                assert before != len(self.calls), f"{name} does not get the turn: {self._current} has it"
                before = len(self.calls)

    def _join(self, thread: threading.Thread) -> None:
        before = -1
        while thread.is_alive() and before != len(self.calls):
            before = len(self.calls)
            thread.join(_STALL_S)
        assert not thread.is_alive(), f"{thread.name} does not end; the last calls: {self.calls[-20:]}"

    def _end(self, name: str) -> None:
        with self._changed:
            self._alive.remove(name)
            if self._alive:
                self._current = self._next()
            self._changed.notify_all()


class TurnStore:
    """A store in memory whose every call takes a turn first. As in S3, a listing of several pages and a deletion of
    several keys are not atomic: each page of `PAGE_OBJECTS` and each key takes a turn."""

    def __init__(self, inner: MemoryStore, turns: Turns) -> None:
        self._inner = inner
        self._turns = turns

    @property
    def location(self) -> str:
        return self._inner.location

    @property
    def is_single_writer(self) -> bool:
        return self._inner.is_single_writer

    def write_alone(self) -> None:
        self._inner.write_alone()

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        self._turns.take()
        return self._inner.put_if_absent(key, body, sha256=sha256)

    def put(self, key: str, body: Body) -> ObjectInfo:
        self._turns.take()
        return self._inner.put(key, body)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        self._turns.take()
        return self._inner.compare_and_swap(key, body, expected=expected)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        self._turns.take()
        return self._inner.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self._turns.take()
        return self._inner.get_range(key, start, length)

    def head(self, key: str) -> ObjectInfo:
        self._turns.take()
        return self._inner.head(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        last = ""
        while True:
            self._turns.take()
            page = list(islice((info for info in self._inner.list(prefix) if info.key > last), PAGE_OBJECTS))
            yield from page
            if len(page) < PAGE_OBJECTS:
                return
            last = page[-1].key

    def list_folders(self, folder: str) -> tuple[str, ...]:
        self._turns.take()
        return self._inner.list_folders(folder)

    def check_lock(self) -> None:
        self._inner.check_lock()

    def delete(self, keys: Iterable[str]) -> int:
        return sum(self._delete(key) for key in keys)

    def _delete(self, key: str) -> int:
        self._turns.take()
        return self._inner.delete([key])

    def unfinished(self) -> Iterator[Unfinished]:
        return self._inner.unfinished()

    def delete_unfinished(self, names: Iterable[str]) -> None:
        self._inner.delete_unfinished(names)

    def close(self) -> None:
        self._inner.close()
