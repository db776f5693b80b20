"""Where a bin's segments go: into data objects, each followed by the fragment that describes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.repository.fragments import Fragment, write_fragment
from tasks.repository.lines import IndexLine, StoreChecksum
from tasks.repository.names import data_key, new_id
from tasks.repository.plans import Plan
from tasks.segment.frames import object_suffix
from tasks.segment.trailer import TrailerSegment, trailer_document
from tasks.segment.writer import ObjectWriter
from tasks.store.protocol import ObjectInfo, ObjectStore

OBJECT_STORED_BYTES = 32 << 20
"""An object is closed before a frame like its last one would take it past this size, or past the plan's log bytes."""


@dataclass
class ObjectSink:
    """Data objects 0, 1, … of one writer of a run. Holds at most one unfinished object. Not thread-safe."""

    store: ObjectStore
    plan: Plan
    writer_id: str = field(default_factory=new_id)
    fragments: int = 0

    def __post_init__(self) -> None:
        self._lines: list[IndexLine] = []
        self._records = 0
        self.object = self._new_object()

    def is_full(self, open_records: int) -> bool:
        """Whether the object has reached a limit, counting the `open_records` of the segment being built."""
        plan = self.plan
        return (
            self.object.stored_bytes + self.object.last_frame_bytes > OBJECT_STORED_BYTES
            or self.object.log_bytes >= plan.object_log_bytes
            or (plan.object_records is not None and self._records + open_records >= plan.object_records)
        )

    def add(self, line: IndexLine) -> None:
        """Take a finished segment's line; its frames are in `object` already."""
        self._lines.append(line)
        self._records += line.records

    def flush(self) -> None:
        """Store the object, then its fragment. Nothing is written when there is nothing to say."""
        if not self._lines:
            return
        lines = self._lines
        if self.object.log_bytes:
            lines = self._store_object(lines)
        write_fragment(
            self.store,
            Fragment(
                repository_id=self.plan.repository_id,
                set=self.plan.set,
                run=self.plan.run,
                writer=self.writer_id,
                number=self.fragments,
                lines=tuple(lines),
            ),
        )
        self.fragments += 1
        self._lines, self._records = [], 0
        self.object = self._new_object()

    def _store_object(self, lines: list[IndexLine]) -> list[IndexLine]:
        plan = self.plan
        key = data_key(plan.set, plan.run, self.writer_id, self.fragments, object_suffix(plan.compression))
        finished = self.object.finish(
            trailer_document(
                repository_id=plan.repository_id, set_name=plan.set, run=plan.run, segments=_trailer_segments(lines)
            )
        )
        info = self.store.put_if_absent(key, finished.body, sha256=finished.sha256)
        named = {
            "object": key,
            "sha256": finished.sha256,
            "stored_bytes": finished.size_bytes,
            "checksum": _checksum(info),
        }
        return [line.model_copy(update=named) if line.frames else line for line in lines]

    def _new_object(self) -> ObjectWriter:
        return ObjectWriter(compression=self.plan.compression, level=self.plan.compression_level)


def _checksum(info: ObjectInfo) -> StoreChecksum | None:
    return StoreChecksum(info.checksum.kind, info.checksum.value) if info.checksum else None


def _trailer_segments(lines: list[IndexLine]) -> list[TrailerSegment]:
    return [
        TrailerSegment(
            topic=line.topic,
            topic_id=line.topic_id,
            partition=line.partition,
            first=line.first,
            next=line.next,
            captured_ms=line.captured_ms,
            epochs=line.epochs,
            aborted=line.aborted,
            gaps=line.gaps,
            frames=len(line.frames),
        )
        for line in lines
        if line.frames
    ]
