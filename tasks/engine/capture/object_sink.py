"""Writes captured segments into data objects, and after each object the fragment with its index lines. Decides when an
object is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.engine.capture.segment import Segment, SegmentStart
from tasks.model.partition import Partition
from tasks.repository.data_objects import OBJECT_STORED_BYTES, DataObjects
from tasks.repository.fragments import Fragment, write_fragment
from tasks.repository.lines import IndexLine
from tasks.repository.names import data_key, new_id
from tasks.repository.plans import Plan
from tasks.segment.frames import object_suffix
from tasks.segment.writer import ObjectWriter
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSettings:
    """The run that writes the objects, their compression, and the limits of log bytes and records at which an object is
    closed. If `object_records` is None, the number of records has no limit. `index_timestamps`: the smallest timestamp
    of each frame is stored."""

    repository_id: str
    set_name: str
    run: str
    compression: str
    compression_level: int
    object_log_bytes: int
    object_records: int | None
    index_timestamps: bool = False

    @classmethod
    def of_plan(cls, plan: Plan) -> ObjectSettings:
        """The settings in the plan of a run."""
        return cls(
            repository_id=plan.repository_id,
            set_name=plan.set,
            run=plan.run,
            compression=plan.compression,
            compression_level=plan.compression_level,
            object_log_bytes=plan.object_log_bytes,
            object_records=plan.object_records,
            index_timestamps=plan.index_timestamps,
        )


@dataclass
class ObjectSink:
    """Writes the data objects 0, 1, … of one writer of a run. At most one is unfinished. Not thread-safe."""

    store: ObjectStore
    settings: ObjectSettings
    now_ms: Callable[[], int]
    writer_id: str = field(default_factory=new_id)
    fragments: int = 0

    def __post_init__(self) -> None:
        self._lines: list[IndexLine] = []
        self._records = 0
        self._object = self._new_object()
        self._segment: Segment | None = None

    @property
    def is_full(self) -> bool:
        """Whether the object, with the segment that is being written, has reached a limit. The limit of stored bytes is
        reached when another frame like the last one would exceed it."""
        settings = self.settings
        records = self._records + (self._segment.records if self._segment else 0)
        return (
            self._object.stored_bytes + self._object.last_frame_bytes > OBJECT_STORED_BYTES
            or self._object.log_bytes >= settings.object_log_bytes
            or (settings.object_records is not None and records >= settings.object_records)
        )

    @contextmanager
    def segment(self, source: Partition, start: SegmentStart, end: int) -> Iterator[Segment]:
        """Write a segment of the current object in the body. Its index line is kept at the end of the body, also if the
        body raises, so that everything that was read before an error stays captured.

        Only one segment at a time. Call `flush` after the body, not inside.
        """
        scans = self.settings.index_timestamps
        self._segment = Segment(self._object, source, start, end, index_timestamps=scans)
        try:
            yield self._segment
        finally:
            line = self._segment.finish(captured_ms=self.now_ms())
            if line is not None:
                self._lines.append(line)
                self._records += line.records
            self._segment = None

    def flush(self) -> None:
        """Store the object, then its fragment, and begin a new object. Writes nothing if there is no index line. Raises
        what the store raises."""
        if not self._lines:
            return
        settings = self.settings
        lines = self._store_object() if self._object.log_bytes else self._lines
        write_fragment(
            self.store,
            Fragment(
                repository_id=settings.repository_id,
                set=settings.set_name,
                run=settings.run,
                writer=self.writer_id,
                number=self.fragments,
                lines=tuple(lines),
            ),
        )
        self.fragments += 1
        self._lines, self._records = [], 0
        self._object = self._new_object()

    def _store_object(self) -> list[IndexLine]:
        settings = self.settings
        suffix = object_suffix(settings.compression)
        return DataObjects(self.store).put(
            data_key(settings.set_name, settings.run, self.writer_id, self.fragments, suffix),
            self._object,
            self._lines,
            repository_id=settings.repository_id,
            set_name=settings.set_name,
            run=settings.run,
        )

    def _new_object(self) -> ObjectWriter:
        return ObjectWriter(compression=self.settings.compression, level=self.settings.compression_level)
