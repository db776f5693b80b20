"""Parts of a new point that are the same for every kind of run: its captured lines, failures, missing positions, and
what it contains less than the newest point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.outcome import Outcome, notes_of, stalled_by_open_transaction, status_of
from tasks.engine.commit.shrinkage import find_shrinkage
from tasks.engine.commit.tiling import cut_short
from tasks.model.errors import AccessError, KafkaBackupError, NothingCapturedError
from tasks.model.partition import Partition
from tasks.repository.entries import PartitionNote, Totals
from tasks.repository.fragments import read_fragments
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState
from tasks.repository.shrinkage import Shrinkage
from tasks.repository.state_objects import GroupsState, read_state

NOTHING_ADOPTED: Mapping[Partition, Sequence[IndexLine]] = {}


@dataclass(frozen=True, slots=True)
class CapturedRun:
    """A run and what is captured of it: the index lines of each partition in capture order, and the reason for each
    partition that failed. `is_denied`: a permission is missing. If the capture was cut short, the ranges of the plan
    end where it ended."""

    plan: Plan
    lines: Mapping[Partition, list[IndexLine]]
    failures: Mapping[Partition, str]
    is_denied: bool

    @classmethod
    def read(
        cls,
        repository: Repository,
        plan: Plan,
        captured: Sequence[CaptureResult],
        adopted: Mapping[Partition, Sequence[IndexLine]] = NOTHING_ADOPTED,
    ) -> Self:
        """Read the fragments of the given attempts. The `adopted` lines of an earlier process come first. Raises
        `DamagedError` if a fragment is missing or damaged."""
        lines: dict[Partition, list[IndexLine]] = defaultdict(list)
        for source, own in adopted.items():
            lines[source] += own
        for fragment in read_fragments(
            repository.store,
            repository_id=repository.root.repository_id,
            set_name=plan.set,
            run=plan.run,
            writers=[(result.writer, result.fragments) for result in captured],
        ):
            for line in fragment.lines:
                lines[line.source].append(line)
        failures = [failure for result in captured for failure in result.failures]
        if any(result.is_cut_short for result in captured):
            plan = plan.model_copy(update={"partitions": cut_short(plan.partitions, lines), "bins": ()})
        return cls(
            plan=plan,
            lines=lines,
            failures={failure.source: failure.reason for failure in failures},
            is_denied=any(failure.is_denied for failure in failures),
        )

    def nothing_captured(self) -> KafkaBackupError:
        """The error of a run without a result, with the first reason."""
        reasons = [*self.failures.values(), *(failure.reason for failure in self.plan.failures)]
        kind = AccessError if self.is_denied else NothingCapturedError
        return kind(f"Nothing was captured: {reasons[0] if reasons else 'the plan has no partitions.'}")

    def entry_members(
        self, repository: Repository, state: SetState, newest: RestorePoint | None, outcomes: Sequence[Outcome]
    ) -> dict[str, Any]:
        """The members that the entries of all kinds of points have, except the ones about rows and lines."""
        plan = self.plan
        gaps, trimmed = notes_of(outcomes)
        stalled = stalled_by_open_transaction(plan.partitions, newest.rows if newest else {}, now_ms=plan.planned_ms)
        failures = (*_failure_notes(plan, self.failures), *stalled)
        has_failures = bool(failures) or _has_missing_positions(repository, plan)
        return {
            **repository.next_entry(plan.set, state),
            "newest_point": state.seq + 1,
            "run": plan.run,
            "status": status_of(has_failures=has_failures, has_gaps=bool(gaps)),
            "cluster_id": plan.cluster_id,
            "cluster_label": plan.cluster_label,
            "planned_ms": plan.planned_ms,
            "topics": plan.topics,
            "groups": plan.groups,
            "groups_failure": plan.groups_failure,
            "clients": plan.clients,
            "failures": failures,
            "gaps": gaps,
            "trimmed": trimmed,
            "labels": plan.labels,
        }


def shrinkage(plan: Plan, newest: RestorePoint | None, rows: Iterable[Row], totals: Totals) -> Shrinkage | None:
    """What a point with these rows and totals contains less than the newest point before it. None if that is nothing,
    or if there is no point before it."""
    if newest is None:
        return None
    return find_shrinkage(
        newest.seq,
        newest.rows,
        rows,
        records_before=newest.entry.totals.records,
        records=totals.records,
        not_selected=plan.not_selected,
    )


def _has_missing_positions(repository: Repository, plan: Plan) -> bool:
    """Whether positions were configured and could not be read, of one group or of all. Then the point is partial."""
    if plan.groups_failure is not None or plan.groups is None:
        return plan.groups_failure is not None
    return any(group.failure for group in read_state(repository.store, plan.groups, GroupsState).groups)


def _failure_notes(plan: Plan, failures: Mapping[Partition, str]) -> tuple[PartitionNote, ...]:
    """Notes on the partitions that could not be planned or captured."""
    reasons: Iterable[tuple[Partition, str]] = [
        *((failure.source, failure.reason) for failure in plan.failures),
        *sorted(failures.items()),
    ]
    return tuple(
        PartitionNote(topic=source.topic, topic_id=source.topic_id, partition=source.partition, reason=reason)
        for source, reason in reasons
    )
