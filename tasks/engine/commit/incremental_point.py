"""The point of an incremental run or of a continuous cycle: the newest point, with the rows and lines that the run
adds to it. Contains the precondition of its commit, and the notes on topics that ended.

A point names the index and table objects of the points before it. What a commit writes grows with the partitions that
changed; `point_tiers` joins small objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.incremental_outcome import decide_incremental, truncated_notes
from tasks.engine.commit.outcome import Outcome
from tasks.engine.commit.point_parts import NOTHING_ADOPTED, CapturedRun, shrinkage
from tasks.engine.commit.point_tiers import extend_index, extend_table
from tasks.engine.commit.runs import check_open
from tasks.model.errors import PreconditionError
from tasks.model.partition import Partition
from tasks.repository.entries import PartitionNote, PointEntry, Totals
from tasks.repository.frame_reader import FrameReader
from tasks.repository.index import read_index
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.plans import EndReason, Plan
from tasks.repository.point_lines import counting_lines, without_dropped
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState

TOPIC_DELETED = "topic deleted"
TOPIC_CREATED_AGAIN = "topic created again"
_END_NOTES: Mapping[EndReason, str] = {
    "deleted": TOPIC_DELETED,
    "created again": TOPIC_CREATED_AGAIN,
    "not selected": "topic not selected",
}
"""The reasons of ended partitions as a point states them. `FORMAT.md` lists them, and events are decided by them."""


class IncrementalPoint:
    """The `PointProducer` of an incremental run.

    `build` also raises `CommitError` if a planned offset is neither captured, nor in a gap, nor of a failed partition,
    and `NothingCapturedError` if every live partition failed (`AccessError` if a permission is missing).
    """

    def __init__(
        self,
        repository: Repository,
        plan: Plan,
        captured: Sequence[CaptureResult],
        adopted: Mapping[Partition, Sequence[IndexLine]] = NOTHING_ADOPTED,
    ) -> None:
        self._repository = repository
        self._run = CapturedRun.read(repository, plan, captured, adopted)
        self._log = repository.log(plan.set)

    @property
    def set_name(self) -> str:
        """See `PointProducer.set_name`."""
        return self._run.plan.set

    def build(self, state: SetState) -> PointEntry:
        """See `PointProducer.build`."""
        plan = self._run.plan
        check_open(self._log, state, plan.run, begun_after=plan.begun_after)
        if state.newest_point is None:
            raise PreconditionError(f"The set {plan.set} has no point that this incremental run could continue.")
        newest = self._log.point(state.newest_point)
        check_incremental(plan, newest.rows)
        outcomes = decide_incremental(plan, self._run.lines, self._run.failures, newest.rows, now_ms=plan.planned_ms)
        failed = {outcome.row.source for outcome in outcomes if outcome.row.failure is not None}
        live = {source for source, row in newest.rows.items() if row.is_live}
        if failed and live <= failed and len(failed) == len(outcomes):
            raise self._run.nothing_captured()
        return self._entry(state, newest, outcomes)

    def _entry(self, state: SetState, newest: RestorePoint, outcomes: Sequence[Outcome]) -> PointEntry:
        plan, repository = self._run.plan, self._repository
        changed = {outcome.row.source: outcome.row for outcome in outcomes}
        new_lines = [line for outcome in outcomes for line in outcome.lines]
        # A row without a base is new: its base is this entry, whose number is not known before the commit.
        rows = dict(newest.rows) | {
            source: row if row.base_seq is not None else row.model_copy(update={"base_seq": state.seq + 1})
            for source, row in changed.items()
        }
        totals = self._totals(state, newest, new_lines, rows)
        return PointEntry(
            **self._run.entry_members(self._repository, state, newest, outcomes),
            point_kind=plan.kind,
            index=extend_index(repository.store, plan, newest, new_lines, rows),
            table=extend_table(repository.store, plan, newest, changed, rows),
            totals=totals,
            truncated=truncated_notes(plan, outcomes),
            ended=tuple(_ended_notes(plan)),
            warnings=plan.warnings,
            shrunk=shrinkage(plan, newest, rows.values(), totals),
        )

    def _totals(
        self, state: SetState, newest: RestorePoint, new_lines: Sequence[IndexLine], rows: Mapping[Partition, Row]
    ) -> Totals:
        """The sums over the counting lines of all rows. Lines that only follow the earlier ones are added to the newest
        point's totals. If a line replaces earlier ones, all lines of the point are read."""
        reader, before = FrameReader(self._repository.store), newest.entry.totals
        topics = len({source.incarnation for source in rows})
        added = new_lines
        if _replaces_lines(newest.rows, rows, new_lines):
            before = Totals(topics=0, partitions=0, records=0, log_bytes=0, stored_bytes=0, objects=0)
            added = list(_all_lines(self._repository, newest, new_lines, rows, state.seq + 1))
        return Totals(
            topics=topics,
            partitions=len(rows),
            records=before.records + sum(reader.count_records(line) for line in added),
            log_bytes=before.log_bytes + sum(line.log_bytes for line in added),
            stored_bytes=before.stored_bytes + sum({line.object: line.stored_bytes or 0 for line in added}.values()),
            objects=before.objects + len({line.object for line in added if line.object}),
        )


def check_incremental(plan: Plan, now: Mapping[Partition, Row]) -> None:
    """The precondition of an incremental run: every range begins where the rows of the newest point end. `now` are
    those rows. Pure.

    Raises `PreconditionError` if another run has captured a partition since the plan.
    """
    for planned in plan.partitions:
        row = now.get(planned.source)
        if (row.next if row else None) != planned.stored_next:
            has = f"ends at offset {row.next}" if row else "does not contain it"
            raise PreconditionError(
                f"{planned.source}: another run changed the set: the newest point now {has}, but this run's plan "
                f"continues at offset {planned.stored_next}. Run the backup again."
            )


def _replaces_lines(
    before: Mapping[Partition, Row], after: Mapping[Partition, Row], new_lines: Sequence[IndexLine]
) -> bool:
    """Whether earlier lines count less than before: a row has another base or a smaller end, or a new line begins below
    the earlier end."""
    if any(line.source in before and line.first < before[line.source].next for line in new_lines):
        return True
    return any(
        row.base_seq != after[source].base_seq or row.next > after[source].next
        for source, row in before.items()
        if row is not after[source] and row.first < row.next
    )


def _all_lines(
    repository: Repository,
    newest: RestorePoint,
    new_lines: Sequence[IndexLine],
    rows: Mapping[Partition, Row],
    seq: int,
) -> Iterator[IndexLine]:
    """The counting lines of the new point, whose entry is `seq`."""
    found: dict[Partition, list[IndexLine]] = defaultdict(list)
    for ref in newest.entry.index:
        for line in read_index(repository.store, ref, entry_seq=newest.seq):
            found[line.source].append(line)
    for line in new_lines:
        found[line.source].append(line.model_copy(update={"seq": seq}))
    for source, row in rows.items():
        yield from without_dropped(counting_lines(row, found[source]), newest.drops)


def _ended_notes(plan: Plan) -> Iterator[PartitionNote]:
    for ended in plan.ended:
        yield PartitionNote(
            topic=ended.topic, topic_id=ended.topic_id, partition=ended.partition, reason=_END_NOTES[ended.reason]
        )
