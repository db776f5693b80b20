"""A store whose objects are in two places: those that are written once, and those that are overwritten or deleted
early. For buckets whose retention policy forbids to overwrite and delete."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import chain

from tasks.model.errors import Deleted, StoreError, UndeletedError
from tasks.store.protocol import Body, IsImmutable, ObjectInfo, ObjectStore, Unfinished


class SplitStore:
    """Immutable objects are in `fixed`, all others in `mutable`. Both are stores of one backend, and neither contains
    the other. The location is that of `fixed`."""

    def __init__(self, fixed: ObjectStore, mutable: ObjectStore, is_immutable: IsImmutable) -> None:
        self._fixed = fixed
        self._mutable = mutable
        self._is_immutable = is_immutable

    @property
    def location(self) -> str:
        return self._fixed.location

    @property
    def is_single_writer(self) -> bool:
        return self._fixed.is_single_writer or self._mutable.is_single_writer

    def write_alone(self) -> None:
        for store in self._both:
            store.write_alone()

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        return self._of(key).put_if_absent(key, body, sha256=sha256)

    def put(self, key: str, body: Body) -> ObjectInfo:
        return self._of(key).put(key, body)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        return self._of(key).compare_and_swap(key, body, expected=expected)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        return self._of(key).get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._of(key).get_range(key, start, length)

    def head(self, key: str) -> ObjectInfo:
        return self._of(key).head(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See the protocol. Objects in the wrong place are skipped: no other method finds them there."""
        listings = [self._listed(store, prefix) for store in self._both]
        return heapq.merge(*listings, key=lambda info: info.key)

    def list_folders(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted(set(chain.from_iterable(store.list_folders(folder) for store in self._both))))

    def check_lock(self) -> None:
        self._fixed.check_lock()

    def delete(self, keys: Iterable[str]) -> int:
        all_keys = tuple(keys)
        denied: dict[str, str] = {}
        locked: dict[str, int | None] = {}
        done: list[str] = []
        hidden = 0
        for store in self._both:
            doomed = [key for key in all_keys if self._of(key) is store]
            try:
                hidden += store.delete(doomed)
            except StoreError as error:
                gone = error.deleted.keys.union(done) - denied.keys() - locked.keys()
                error.deleted = Deleted(keys=gone, hidden=hidden + error.deleted.hidden)
                raise
            except UndeletedError as error:
                denied.update(error.denied)
                locked.update(error.locked)
                hidden += error.hidden
            done += doomed
        if denied or locked:
            raise UndeletedError(denied=denied, locked=locked, hidden=hidden)
        return hidden

    def unfinished(self) -> Iterator[Unfinished]:
        yield from self._fixed.unfinished()

    def delete_unfinished(self, names: Iterable[str]) -> None:
        self._fixed.delete_unfinished(names)

    def close(self) -> None:
        for store in self._both:
            store.close()

    @property
    def _both(self) -> tuple[ObjectStore, ObjectStore]:
        return self._fixed, self._mutable

    def _listed(self, store: ObjectStore, prefix: str) -> Iterator[ObjectInfo]:
        return (info for info in store.list(prefix) if self._of(info.key) is store)

    def _of(self, key: str) -> ObjectStore:
        return self._fixed if self._is_immutable(key) else self._mutable
