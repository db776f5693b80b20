"""Commit: the one step that makes what was captured count. Index, then table, then the log entry that names them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.engine.capture.capture_result import CapturedBin
from tasks.engine.commit.outcome import Outcome, decide, notes_of, stalled_by_open_transaction, status_of
from tasks.model.errors import AccessError, KafkaBackupError, PreconditionError, RunClosedError
from tasks.model.partition import Partition
from tasks.repository.entries import AnyEntry, PartitionNote, PointEntry, Totals, VoidEntry
from tasks.repository.fragments import read_fragments
from tasks.repository.frame_reader import FrameReader
from tasks.repository.index import IndexRef, write_index
from tasks.repository.lines import IndexLine
from tasks.repository.names import new_id
from tasks.repository.partition_table import Row, write_table
from tasks.repository.plans import Plan
from tasks.repository.points import read_lines, read_rows
from tasks.repository.repository import Repository, tool_name
from tasks.repository.set_state import SetState
from tasks.repository.state_objects import GroupsState, read_state


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The newest point that the commit follows, with its rows; None and empty when there is none."""

    point: PointEntry | None
    rows: Mapping[Partition, Row]


def commit_snapshot(repository: Repository, plan: Plan, captured: Sequence[CapturedBin]) -> PointEntry:
    """Append the point of a captured snapshot. May be called again: a point of the run that stands is returned.

    Raises `CommitError` when something planned is neither captured nor stated to be missing, `PreconditionError` when
    the set moved on since the plan, `RunClosedError` when the run was voided, `KafkaBackupError` when nothing at all
    was captured (`AccessError`: for want of a permission). Whatever is raised, no point exists unless one is returned;
    after `OutcomeUnknownError` call again.
    """
    lines = _captured_lines(repository, plan, captured)
    failures = {failure.source: failure.reason for bin_ in captured for failure in bin_.failures}
    log = repository.log(plan.set)

    def build(state: SetState) -> PointEntry:
        _check_open(state, plan.run)
        earlier = _earlier(repository, plan, state)
        check_snapshot(plan, earlier.rows, _rows_at(repository, plan))
        outcomes = decide(plan, lines, failures, earlier.rows, now_ms=plan.planned_ms)
        if not any(outcome.lines or outcome.row.failure is None for outcome in outcomes):
            kind = AccessError if any(one.is_denied for bin_ in captured for one in bin_.failures) else KafkaBackupError
            raise kind(f"Nothing was captured: {_first_reason(plan, failures)}")
        return _point(repository, plan, state, earlier, outcomes, failures)

    try:
        entry = log.append(build)
    except RunClosedError as error:
        if error.point_seq is None:
            raise
        return log.point(error.point_seq)
    assert isinstance(entry, PointEntry)
    return entry


def void_run(repository: Repository, set_name: str, run: str, reason: str) -> None:
    """Make sure that the run can never commit. A run that has its point or its void already is left alone."""

    def build(state: SetState) -> AnyEntry:
        _check_open(state, run)
        return VoidEntry(
            **_common(repository, set_name, state), newest_point=state.newest_point, run=run, reason=reason
        )

    try:
        repository.log(set_name).append(build)
    except RunClosedError:
        return


def check_snapshot(plan: Plan, now: Mapping[Partition, Row], then: Mapping[Partition, Row]) -> None:
    """Precondition of a snapshot, by the rows of the newest point now and when it was planned. Pure.

    Raises `PreconditionError` when another run took a partition past this plan's end, or added a live incarnation
    that this plan lacks: this point would take records away.
    """
    ends = {planned.source: planned.end for planned in plan.partitions}
    known = ends.keys() | {failure.source for failure in plan.failures}
    for source, row in now.items():
        if row == then.get(source):
            continue
        if source in ends and row.next > ends[source]:
            raise PreconditionError(
                f"{source}: another run captured up to {row.next}, past this plan's {ends[source]}."
            )
        if source not in known and row.is_live and source not in then:
            raise PreconditionError(f"{source}: another run captured it, and this run's plan does not have it.")


def _captured_lines(
    repository: Repository, plan: Plan, captured: Sequence[CapturedBin]
) -> dict[Partition, list[IndexLine]]:
    lines: dict[Partition, list[IndexLine]] = defaultdict(list)
    writers = [(bin_.writer, bin_.fragments) for bin_ in captured]
    for fragment in read_fragments(
        repository.store,
        repository_id=repository.root.repository_id,
        set_name=plan.set,
        run=plan.run,
        writers=writers,
    ):
        for line in fragment.lines:
            lines[line.source].append(line)
    return lines


def _check_open(state: SetState, run: str) -> None:
    if not state.is_open(run):
        point_seq = state.closed_runs[run]
        what = "was voided" if point_seq is None else f"is point {point_seq} already"
        raise RunClosedError(f"The run {run} {what}.", point_seq=point_seq)


def _earlier(repository: Repository, plan: Plan, state: SetState) -> _Earlier:
    if state.newest_point is None:
        return _Earlier(None, {})
    point = repository.log(plan.set).point(state.newest_point)
    return _Earlier(point, read_rows(repository.store, point))


def _rows_at(repository: Repository, plan: Plan) -> Mapping[Partition, Row]:
    if plan.based_on is None:
        return {}
    return read_rows(repository.store, repository.log(plan.set).point(plan.based_on))


def _point(
    repository: Repository,
    plan: Plan,
    state: SetState,
    earlier: _Earlier,
    outcomes: Sequence[Outcome],
    failures: Mapping[Partition, str],
) -> PointEntry:
    own = [line for outcome in outcomes if not outcome.is_kept for line in outcome.lines]
    repeated = _repeated_lines(repository, earlier, outcomes)
    gaps, trimmed = notes_of(outcomes)
    stated = (*_failure_notes(plan, failures), *stalled_by_open_transaction(plan.partitions, earlier.rows))
    return PointEntry(
        **_common(repository, plan.set, state),
        newest_point=state.seq + 1,
        run=plan.run,
        point_kind="snapshot",
        status=status_of(has_failures=bool(stated) or _lacks_positions(repository, plan), has_gaps=bool(gaps)),
        cluster_id=plan.cluster_id,
        cluster_label=plan.cluster_label,
        planned_ms=plan.planned_ms,
        index=_write_indexes(repository, plan, own, repeated),
        table=(write_table(repository.store, plan.set, plan.run, [outcome.row for outcome in outcomes]),),
        topics=plan.topics,
        groups=plan.groups,
        groups_failure=plan.groups_failure,
        totals=_totals(repository, outcomes, [*own, *repeated]),
        failures=stated,
        gaps=gaps,
        trimmed=trimmed,
    )


def _lacks_positions(repository: Repository, plan: Plan) -> bool:
    """Of all groups, or of one: what was asked for and is not in the point makes it partial."""
    if plan.groups_failure is not None or plan.groups is None:
        return plan.groups_failure is not None
    return any(group.failure for group in read_state(repository.store, plan.groups, GroupsState).groups)


def _repeated_lines(repository: Repository, earlier: _Earlier, outcomes: Sequence[Outcome]) -> list[IndexLine]:
    """The older lines that still count for partitions whose earlier row stays, each with its seq written into it."""
    kept = [outcome.row for outcome in outcomes if outcome.is_kept]
    if not kept or earlier.point is None:
        return []
    found = read_lines(repository.store, earlier.point, [earlier.rows[row.source] for row in kept])
    return [line for lines in found.values() for line in lines]


def _write_indexes(
    repository: Repository, plan: Plan, own: Sequence[IndexLine], repeated: Sequence[IndexLine]
) -> tuple[IndexRef, ...]:
    return tuple(write_index(repository.store, plan.set, plan.run, lines) for lines in (own, repeated) if lines)


def _totals(repository: Repository, outcomes: Sequence[Outcome], lines: Sequence[IndexLine]) -> Totals:
    reader = FrameReader(repository.store)
    return Totals(
        topics=len({outcome.row.source.incarnation for outcome in outcomes}),
        partitions=len(outcomes),
        records=sum(reader.count_records(line) for line in lines),
        log_bytes=sum(line.log_bytes for line in lines),
        stored_bytes=sum({line.object: line.stored_bytes or 0 for line in lines}.values()),
        objects=len({line.object for line in lines if line.object}),
    )


def _failure_notes(plan: Plan, failures: Mapping[Partition, str]) -> tuple[PartitionNote, ...]:
    stated: Iterable[tuple[Partition, str]] = [
        *((failure.source, failure.reason) for failure in plan.failures),
        *sorted(failures.items()),
    ]
    return tuple(
        PartitionNote(topic=source.topic, topic_id=source.topic_id, partition=source.partition, reason=reason)
        for source, reason in stated
    )


def _first_reason(plan: Plan, failures: Mapping[Partition, str]) -> str:
    reasons = [*failures.values(), *(failure.reason for failure in plan.failures)]
    return reasons[0] if reasons else "the plan has no partitions."


def _common(repository: Repository, set_name: str, state: SetState) -> dict[str, object]:
    return {
        "seq": state.seq + 1,
        "id": new_id(),
        "repository_id": repository.root.repository_id,
        "set": set_name,
        "parent": state.tip,
        "time_ms": repository.now_ms(),
        "tool": tool_name(),
    }
