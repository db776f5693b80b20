"""A store in memory with an archive, as S3 has it: an archived object cannot be read until it was asked for and is
back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from tasks.model.errors import ObjectArchivedError, StoreError
from tasks.store.archive import RetrievalTier
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ArchiveInfo, ObjectInfo

DAY_MS = 86_400_000
_ARCHIVED = ArchiveInfo(storage_class="GLACIER", state="archived")


class ArchivingStore(MemoryStore):
    """`asked` are the keys of all requests in their order. `lists_states`: a listing shows whether an archived object
    is back. Without it only `head` does. `hides_archives`: a listing does not show that an object is archived, and an
    object that is back is in the archive no more, as in INTELLIGENT_TIERING."""

    def __init__(self, *, now_ms: Callable[[], int], lists_states: bool = True, hides_archives: bool = False) -> None:
        super().__init__("archive", now_ms=now_ms)
        self._time = now_ms
        self._lists_states = lists_states
        self.hides_archives = hides_archives
        self._archived: dict[str, ArchiveInfo] = {}
        self.asked: list[str] = []

    def archive(self, keys: Iterable[str]) -> None:
        """Move these objects to the archive."""
        self._archived |= dict.fromkeys(keys, replace(_ARCHIVED, stays_readable=self.hides_archives))

    def bring_back(self, key: str, *, days: int | None, tier: RetrievalTier) -> None:
        """See `ObjectArchive`. The object is back after `arrive`."""
        info = self._archived.get(key)
        if info is not None and info.stays_readable != (days is None):
            raise StoreError(
                "S3 needs a number of days, except for INTELLIGENT_TIERING, which must not have one", key=key
            )
        self.asked.append(key)
        if info is not None and info.state != "readable":
            self._archived[key] = replace(info, state="returning")
        elif info is not None and days is not None:
            self._archived[key] = replace(info, readable_until_ms=self._time() + days * DAY_MS)

    def arrive(self, *, days: int = 7) -> None:
        """All objects that were asked for are back now."""
        until_ms = self._time() + days * DAY_MS
        for key, info in list(self._archived.items()):
            if info.state == "returning" and info.stays_readable:
                del self._archived[key]
            elif info.state == "returning":
                self._archived[key] = replace(info, state="readable", readable_until_ms=until_ms)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        if key in self._archived and self._archived[key].state != "readable":
            raise ObjectArchivedError(f"{key} is archived", key=key)
        return super().get(key)

    def head(self, key: str) -> ObjectInfo:
        return replace(super().get(key)[1], archive=self._archived.get(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for info in super().list(prefix):
            if self.hides_archives:
                yield replace(info, archive=None, is_archive_hidden=True)
                continue
            archive = self._archived.get(info.key)
            if archive is not None and not self._lists_states:
                archive = ArchiveInfo(storage_class=archive.storage_class, state="unknown")
            yield replace(info, archive=archive)
