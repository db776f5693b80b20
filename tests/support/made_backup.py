"""Real repositories made without a Kafka: the program's own modules write them, from logs that `made_logs` makes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.batches.header import read_header
from tasks.batches.records import Record, decode_records
from tasks.broker.admin_values import ConfigSource
from tasks.engine import backup_steps
from tasks.engine.capture.capture_result import CaptureFailure, CaptureResult
from tasks.engine.capture.object_sink import ObjectSettings, ObjectSink
from tasks.engine.capture.segment import Segment, SegmentStart
from tasks.engine.commit.runs import void_run
from tasks.model.partition import Partition
from tasks.model.ranges import Gap
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.entries import AnyEntry, NoteEntry, PointEntry
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.names import new_run_id
from tasks.repository.plans import Plan, PlannedPartition, write_plan
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState
from tasks.repository.state_objects import (
    GroupPosition,
    GroupsState,
    GroupState,
    Setting,
    TopicsState,
    TopicState,
    write_state,
)
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tests.support.made_logs import MadeLog, many_logs

SET = "demo"
START_MS = 1_800_000_000_000


class Clock:
    """Unix milliseconds that go on by a second with each look."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def __call__(self) -> int:
        self._now_ms += 1000
        return self._now_ms


@dataclass(frozen=True, slots=True)
class MadeBackup:
    """A repository with its newest point and the logs that the point holds."""

    store: MemoryStore
    repository: Repository
    point: PointEntry
    logs: Sequence[MadeLog]


def make_repository(store: ObjectStore) -> Repository:
    """Open the repository in a store, or make one."""
    return Repository.open_or_create(store, Clock())


def make_backup(
    logs: Sequence[MadeLog] | None = None, *, compression: str = "zstd", index_timestamps: bool = False
) -> MadeBackup:
    """One point of a set in memory; by default of every kind of log there is."""
    store = MemoryStore("made")
    repository = make_repository(store)
    made = many_logs() if logs is None else logs
    point = back_up(repository, made, compression=compression, index_timestamps=index_timestamps)
    return MadeBackup(store, repository, point, made)


def make_history() -> MadeBackup:
    """Two points with a note and a voided run between them; the second is partial, so that it names objects of both
    runs and repeats lines of the first."""
    made = make_backup()
    append_note(made.repository, "drill passed")
    void_run(made.repository, SET, new_run_id(START_MS), "its writer ended without a point")
    failing = {made.logs[1].source: "the broker did not answer", made.logs[3].source: "the broker did not answer"}
    return MadeBackup(made.store, made.repository, back_up(made.repository, made.logs, failing=failing), made.logs)


def back_up(
    repository: Repository,
    logs: Sequence[MadeLog],
    *,
    compression: str = "zstd",
    failing: Mapping[Partition, str] | None = None,
    index_timestamps: bool = False,
) -> PointEntry:
    """Plan, capture and commit one snapshot. `failing` partitions are not captured, for the reason given."""
    plan = plan_logs(repository, logs, compression=compression, index_timestamps=index_timestamps)
    return commit_logs(repository, plan, capture_logs(repository, plan, logs, failing=failing or {}))


def commit_logs(repository: Repository, plan: Plan, captured: Sequence[CaptureResult]) -> PointEntry:
    """The point of what was captured, by the program's own commit."""
    return backup_steps.commit_run(repository, plan, captured).entry


def plan_logs(
    repository: Repository,
    logs: Sequence[MadeLog],
    *,
    run: str | None = None,
    compression: str = "zstd",
    index_timestamps: bool = False,
) -> Plan:
    """Write the states and the plan of a run. The first log has a bin of its own, logs without data share another."""
    newest = _newest(repository)
    run = run or new_run_id(repository.now_ms())
    groups = _write(repository, run, groups_state(logs), newest.groups if newest else None, newest)
    topics = _write(repository, run, topics_state(logs), newest.topics if newest else None, newest)
    numbers = range(1, len(logs))
    packed, bare = [n for n in numbers if logs[n].pieces], [n for n in numbers if not logs[n].pieces]
    plan = Plan(
        repository_id=repository.root.repository_id,
        set=SET,
        run=run,
        kind="snapshot",
        cluster_id="made-cluster",
        planned_ms=repository.now_ms(),
        based_on=newest.seq if newest else None,
        compression=compression,
        compression_level=3,
        object_log_bytes=128 << 20,
        fetch_bytes=8 << 20,
        index_timestamps=index_timestamps,
        partitions=tuple(_planned(log) for log in logs),
        bins=tuple(tuple(bin_) for bin_ in ([0], packed, bare) if bin_),
        topics=topics,
        groups=groups,
        tool="made",
    )
    return write_plan(repository.store, plan)


def capture_logs(
    repository: Repository, plan: Plan, logs: Sequence[MadeLog], *, failing: Mapping[Partition, str] | None = None
) -> list[CaptureResult]:
    """Capture every bin of the plan, each with a writer id of its own."""
    reasons = failing or {}
    captured = []
    for bin_ in plan.bins:
        sink = ObjectSink(repository.store, ObjectSettings.of_plan(plan), repository.now_ms)
        for log in (logs[number] for number in bin_):
            if log.source not in reasons:
                _capture(log, sink)
        sink.flush()
        failures = [
            CaptureFailure(source=logs[number].source, reason=reasons[logs[number].source])
            for number in bin_
            if logs[number].source in reasons
        ]
        captured.append(
            CaptureResult(writer=sink.writer_id, fragments=sink.fragments, ranges=(), failures=tuple(failures))
        )
    return captured


def append_note(repository: Repository, text: str, *, set_name: str = SET) -> AnyEntry:
    """One more entry that changes nothing."""

    def build(state: SetState) -> AnyEntry:
        return NoteEntry(
            **{**repository.next_entry(set_name, state), "tool": "made"},
            newest_point=state.newest_point,
            text=text,
        )

    return repository.log(set_name).append(build)


def restorable_records(repository: Repository, point: PointEntry) -> dict[Partition, list[Record]]:
    """What a restore of the point is made from, per partition and at the source's offsets."""
    reader = FrameReader(repository.store)
    opened = RestorePoint(repository.store, point)
    return {
        source: [record for line in lines for record in _line_records(reader, line)]
        for source, lines in opened.lines(opened.rows.values()).items()
    }


def copy_store(store: MemoryStore, *, without: Iterable[str] = ()) -> MemoryStore:
    """The same objects in another store, so that a test may damage them."""
    other = MemoryStore("copy")
    for info in store.list(""):
        if info.key not in without:
            other.put(info.key, [store.get(info.key)[0]])
    return other


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    """All keys under a prefix, in order."""
    return [info.key for info in store.list(prefix)]


def topics_state(logs: Sequence[MadeLog]) -> TopicsState:
    """The logs' topics, each with a setting of its own and one of the broker's."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for log in logs:
        counts[log.source.topic, log.source.topic_id] += 1
    settings = (
        Setting(name="retention.ms", value="-1", source=ConfigSource.DYNAMIC_TOPIC_CONFIG),
        Setting(name="segment.bytes", value="1", source=ConfigSource.STATIC_BROKER_CONFIG),
    )
    return TopicsState(
        topics=tuple(
            TopicState(topic=topic, topic_id=topic_id, partitions=count, replication_factor=3, settings=settings)
            for (topic, topic_id), count in sorted(counts.items())
        )
    )


def groups_state(logs: Sequence[MadeLog]) -> GroupsState:
    """One group, in the middle of every log."""
    positions = tuple(
        GroupPosition(
            topic=log.source.topic,
            topic_id=log.source.topic_id,
            partition=log.source.partition,
            offset=(log.start + log.end) // 2,
        )
        for log in logs
    )
    return GroupsState(groups=(GroupState(group="billing", group_type="classic", state="Empty", positions=positions),))


def _line_records(reader: FrameReader, line: IndexLine) -> Iterator[Record]:
    for frame, log in reader.frames(line):
        for position, header in reader.restorable(line, frame, log):
            for record in decode_records(log[position : position + header.size_bytes]):
                if line.first <= record.offset < line.next:
                    yield record


def _planned(log: MadeLog) -> PlannedPartition:
    size = sum(len(piece) for piece in log.pieces if isinstance(piece, bytes))
    return PlannedPartition(**log.source._asdict(), start=log.start, end=log.end, high_watermark=log.end, bytes=size)


def _newest(repository: Repository) -> PointEntry | None:
    newest = repository.log(SET).newest_point()
    return newest.entry if newest else None


def _write(
    repository: Repository,
    run: str,
    state: TopicsState | GroupsState,
    ref: StoredRef | None,
    newest: PointEntry | None,
) -> StoredRef:
    earlier = ref.model_copy(update={"seq": ref.seq or newest.seq}) if ref and newest else None
    return write_state(repository.store, SET, run, state, newest=earlier)


def _capture(log: MadeLog, sink: ObjectSink) -> None:
    """The log's frames and objects end where the log says, not where the program would end them."""
    first = log.start if log.trimmed_to is None else log.trimmed_to
    start = SegmentStart(first=first, trimmed_from=None if log.trimmed_to is None else log.start)
    start.tracker.start_response(log.announced)
    frames = _frames(log)
    is_over = False
    while not is_over:
        with sink.segment(log.source, start, log.end) as segment:
            is_over = _fill(segment, frames)
            if is_over:
                if log.empty_from is not None:
                    segment.mark_empty(log.empty_from)
                segment.skip_to(log.end)
            start = segment.next_start()
        if not is_over:
            sink.flush()


def _fill(segment: Segment, frames: Iterator[tuple[bool, Sequence[bytes | Gap]]]) -> bool:
    """Whether no frame is left after this object."""
    for is_last, frame in frames:
        for piece in frame:
            if isinstance(piece, Gap):
                segment.add_gap(piece)
            else:
                segment.add(piece, memoryview(piece), 0, read_header(piece, 0))
        segment.close_frame()
        if is_last:
            return False
    return True


def _frames(log: MadeLog) -> Iterator[tuple[bool, Sequence[bytes | Gap]]]:
    """(whether it is the last one of its object, the pieces of a frame)."""
    starts = range(0, len(log.pieces), log.batches_per_frame)
    for number, start in enumerate(starts, 1):
        yield (
            log.frames_per_object is not None and number % log.frames_per_object == 0,
            log.pieces[start : start + log.batches_per_frame],
        )
