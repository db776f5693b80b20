"""The point of a consolidation: the newest point, with the lines of copies instead of their originals. Contains the
precondition of its commit.

It restores the same records and positions as the newest point. Older points keep the originals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.point_parts import CapturedRun
from tasks.engine.commit.point_tiers import inherited
from tasks.engine.commit.runs import check_open
from tasks.engine.commit.tiling import tile
from tasks.model.errors import PreconditionError
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry, Totals
from tasks.repository.index import IndexRef, read_index, write_index
from tasks.repository.lines import IndexLine
from tasks.repository.plans import Plan
from tasks.repository.point_lines import PointLines
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState

LineId = tuple[Partition, int, int, int | None, str | None]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copied range: the lines that were copied, and the lines of the copies."""

    originals: tuple[IndexLine, ...]
    copies: tuple[IndexLine, ...]


class ConsolidatedPoint:
    """The `PointProducer` of a consolidation.

    `build` raises `PreconditionError` if no copied range can be used: other runs have replaced or left out the
    originals since the plan. `CommitError` is raised for a range whose copies have a hole.
    """

    def __init__(self, repository: Repository, plan: Plan, captured: Sequence[CaptureResult]) -> None:
        self._repository = repository
        self._plan = plan
        self._copied = CapturedRun.read(repository, plan, captured)
        self._failures = [failure for one in captured for failure in one.failures]
        self._log = repository.log(plan.set)
        self._originals = cache(self._originals_of_plan)

    @property
    def set_name(self) -> str:
        """See `PointProducer.set_name`."""
        return self._plan.set

    def build(self, state: SetState) -> PointEntry:
        """See `PointProducer.build`."""
        plan, store = self._plan, self._repository.store
        check_open(self._log, state, plan.run, begun_after=plan.begun_after)
        newest = self._log.point(state.newest_point or 0)
        lines = newest.lines(newest.rows.values())
        whole = cache(partial(_whole_ids, lines))
        used = [copy for copy in self._copies() if all(line_id(line) in whole(line.source) for line in copy.originals)]
        if not used and self._failures:
            raise PreconditionError(f"No range of {plan.set} could be copied: {self._failures[0].reason.rstrip('.')}.")
        if not used:
            raise PreconditionError(
                f"Other runs have changed the set {plan.set} so that no copied range can be used. Nothing was changed."
            )
        replaced = {line_id(line) for copy in used for line in copy.originals}
        copies = [line for copy in used for line in copy.copies]
        index = [*_rewritten(self._repository, plan, newest, replaced), write_index(store, plan.set, plan.run, copies)]
        return newest.entry.model_copy(
            update={
                **self._repository.next_entry(plan.set, state),
                "newest_point": state.seq + 1,
                "run": plan.run,
                "point_kind": plan.kind,
                "index": tuple(index),
                "table": inherited(newest.entry.table, newest.seq),
                "topics": inherited([newest.entry.topics], newest.seq)[0],
                "groups": inherited([newest.entry.groups], newest.seq)[0] if newest.entry.groups else None,
                "clients": inherited([newest.entry.clients], newest.seq)[0] if newest.entry.clients else None,
                "totals": _totals(newest, lines, replaced, copies),
                "shrunk": None,
                "labels": {},
            }
        )

    def _copies(self) -> Iterator[_Copy]:
        """The ranges that were copied without a failure. Raises `CommitError` if the copies of one have a hole."""
        for planned in self._plan.partitions:
            if planned.source in self._copied.failures:
                continue
            originals = self._originals()[planned.source, planned.start]
            own = list(filter(planned.includes, self._copied.lines.get(planned.source, ())))
            yield _Copy(originals, tuple(_aged_as(originals, line) for line in tile(planned, own).lines))

    def _originals_of_plan(self) -> Mapping[tuple[Partition, int], tuple[IndexLine, ...]]:
        """The lines that each range was copied from, by partition and first offset."""
        based_on = self._log.point(self._plan.based_on or 0)
        sources = {planned.source for planned in self._plan.partitions}
        lines = based_on.lines(row for source, row in based_on.rows.items() if source in sources)
        return {
            (planned.source, planned.start): tuple(filter(planned.includes, lines[planned.source]))
            for planned in self._plan.partitions
        }


def line_id(line: IndexLine) -> LineId:
    """What distinguishes a line from all other lines of a point."""
    return line.source, line.first, line.next, line.seq, line.object


def _whole_ids(lines: PointLines, source: Partition) -> set[LineId]:
    """The lines of a partition that count and are whole. Empty if the point does not have the partition."""
    if source not in lines:
        return set()
    return {line_id(line) for line, is_whole in lines.with_wholeness(source) if is_whole}


def _aged_as(originals: Sequence[IndexLine], copy: IndexLine) -> IndexLine:
    """The line of a copy, as old as its originals. With the largest seq of the originals it counts as long as they
    would, and lines of later runs still replace it."""
    times = [time for line in originals for time in (line.captured_ms, line.captured_to_ms or line.captured_ms)]
    return copy.model_copy(
        update={
            "seq": max(line.seq or 0 for line in originals),
            "captured_ms": min(times),
            "captured_to_ms": max(times),
        }
    )


def _rewritten(
    repository: Repository, plan: Plan, newest: RestorePoint, replaced: Collection[LineId]
) -> Iterator[IndexRef]:
    """The references of the newest point. An object with replaced lines is written again without them."""
    for ref in inherited(newest.entry.index, newest.seq):
        lines = list(read_index(repository.store, ref, entry_seq=newest.seq))
        kept = [line for line in lines if line_id(line) not in replaced]
        if len(kept) == len(lines):
            yield ref
        elif kept:
            yield write_index(repository.store, plan.set, plan.run, kept)


def _totals(
    newest: RestorePoint, lines: PointLines, replaced: Collection[LineId], copies: Iterable[IndexLine]
) -> Totals:
    """The totals of the newest point, with the objects that its lines name now. The records and the log are the
    same."""
    sizes = {line.object: line.stored_bytes or 0 for line in copies}
    for source in lines:
        for line in lines[source]:
            if line.object is not None and line_id(line) not in replaced:
                sizes[line.object] = line.stored_bytes or 0
    return newest.entry.totals.model_copy(update={"stored_bytes": sum(sizes.values()), "objects": len(sizes)})
