"""A store in memory with an archive, as S3 has it: an archived object cannot be read until it was asked for and is
back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from tasks.model.errors import ObjectArchivedError
from tasks.store.archive import RetrievalTier
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ArchiveInfo, ObjectInfo

DAY_MS = 86_400_000
_ARCHIVED = ArchiveInfo(storage_class="GLACIER", state="archived")
_RETURNING = ArchiveInfo(storage_class="GLACIER", state="returning")


class ArchivingStore(MemoryStore):
    """`asked` are the keys of all requests in their order. `lists_states`: a listing shows whether an archived object
    is back. Without it only `head` does."""

    def __init__(self, *, now_ms: Callable[[], int], lists_states: bool = True) -> None:
        super().__init__("archive", now_ms=now_ms)
        self._time = now_ms
        self._lists_states = lists_states
        self._archived: dict[str, ArchiveInfo] = {}
        self.asked: list[str] = []

    def archive(self, keys: Iterable[str]) -> None:
        """Move these objects to the archive."""
        self._archived |= dict.fromkeys(keys, _ARCHIVED)

    def bring_back(self, key: str, *, days: int, tier: RetrievalTier) -> None:
        """See `ObjectArchive`. The object is back after `arrive`."""
        self.asked.append(key)
        info = self._archived.get(key)
        if info is not None and info.state != "readable":
            self._archived[key] = _RETURNING
        elif info is not None:
            self._archived[key] = replace(info, readable_until_ms=self._time() + days * DAY_MS)

    def arrive(self, *, days: int = 7) -> None:
        """All objects that were asked for are back now."""
        until_ms = self._time() + days * DAY_MS
        for key, info in self._archived.items():
            if info.state == "returning":
                self._archived[key] = replace(info, state="readable", readable_until_ms=until_ms)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        if key in self._archived and self._archived[key].state != "readable":
            raise ObjectArchivedError(f"{key} is archived", key=key)
        return super().get(key)

    def head(self, key: str) -> ObjectInfo:
        return replace(super().get(key)[1], archive=self._archived.get(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for info in super().list(prefix):
            archive = self._archived.get(info.key)
            if archive is not None and not self._lists_states:
                archive = ArchiveInfo(storage_class=archive.storage_class, state="unknown")
            yield replace(info, archive=archive)
