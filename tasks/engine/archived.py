"""Counts the archived objects of a restore point, which cannot be read before the store brought them back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.model.counting import counted
from tasks.repository.names import data_prefix
from tasks.repository.restore_point import RestorePoint
from tasks.store.protocol import ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedObjects:
    """Archived objects and their bytes. `objects` and `bytes` are those that cannot be read now; of these the store
    brings `returning` back already. `readable` objects can be read until `readable_until_ms`, when the first of them
    cannot any more."""

    objects: int = 0
    bytes: int = 0
    returning: int = 0
    readable: int = 0
    readable_until_ms: int | None = None

    def __add__(self, other: ArchivedObjects) -> ArchivedObjects:
        ends = [one.readable_until_ms for one in (self, other) if one.readable_until_ms is not None]
        return ArchivedObjects(
            objects=self.objects + other.objects,
            bytes=self.bytes + other.bytes,
            returning=self.returning + other.returning,
            readable=self.readable + other.readable,
            readable_until_ms=min(ends, default=None),
        )

    @property
    def is_empty(self) -> bool:
        """Whether every object can be read, and none of them is in an archive."""
        return not (self.objects or self.readable)

    def to_json(self) -> dict[str, int | None]:
        """The counts by name. The time is in Unix milliseconds."""
        names = ("objects", "bytes", "returning", "readable", "readable_until_ms")
        return {name: getattr(self, name) for name in names}


NONE_ARCHIVED = ArchivedObjects()


def archived_objects(infos: Iterable[ObjectInfo]) -> ArchivedObjects:
    """Count the archived objects among these. Pure."""
    total = NONE_ARCHIVED
    for info in infos:
        if info.archive is None:
            continue
        if info.is_readable:
            total += ArchivedObjects(readable=1, readable_until_ms=info.archive.readable_until_ms)
        else:
            is_returning = info.archive.state == "returning"
            total += ArchivedObjects(objects=1, bytes=info.size_bytes, returning=int(is_returning))
    return total


def archived_of_point(point: RestorePoint) -> ArchivedObjects:
    """Count the archived objects that a restore of the point reads. Lists the data of the set, and reads the point's
    index only if something there is archived. An object whose state the listing does not show counts as archived."""
    listed = [info for info in point.store.list(data_prefix(point.set_name)) if info.archive is not None]
    if not listed:
        return NONE_ARCHIVED
    needed = {line.object for lines in point.lines(point.rows.values()).values() for line in lines}
    return archived_objects(info for info in listed if info.key in needed)


def thaw_command(point: str, topics: Iterable[str] = ()) -> str:
    """The command that asks the store for the objects of a point, or of some of its topics."""
    selection = "".join(f" --topics {topic}" for topic in topics)
    return f"`kafka-backup thaw-objects --config FILE --backup-id {point}{selection}`"


def archived_text(archived: ArchivedObjects) -> str:
    """How many objects cannot be read: `12 objects (3 on their way back)`."""
    returning = f" ({archived.returning:,} on their way back)" if archived.returning else ""
    return f"{counted(archived.objects, 'object')}{returning}"
