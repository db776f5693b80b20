"""`kafka-backup list`"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasks.cli.exit_codes import OK, exit_code_of
from tasks.cli.session import Session
from tasks.reports.figures import size_text, table_text

if TYPE_CHECKING:
    from tasks.model.errors import KafkaBackupError
    from tasks.repository.repository import Repository
    from tasks.repository.restores import RestorePlan, StepDone
    from tasks.repository.set_state import PointSummary

_HEAD = ("POINT", "TIME", "KIND", "STATUS", "TOPICS", "PARTITIONS", "RECORDS", "LOG", "STORED")


class RestoreProgress(NamedTuple):
    """How far a restore came, and which target topics `finalize` would still change."""

    state: str
    to_finalize: tuple[str, ...] = ()


def run_list(current: Session, repository: Repository, *, restores: bool) -> int:
    """Sets and their points, or restores. Returns the exit code."""
    if restores:
        return _list_restores(current, repository)
    states = {name: repository.state(name) for name in repository.set_names()}
    rows = [_row(name, point) for name, state in states.items() for point in state.points.values()]
    current.print(table_text(_HEAD, rows) if rows else f"No restore point at {repository.store.location}.")
    current.print_json(
        {
            "repository_id": repository.root.repository_id,
            "sets": {
                name: {"points": [point.to_json() for point in state.points.values()]} for name, state in states.items()
            },
        }
    )
    return OK


def restore_progress(
    plan: RestorePlan,
    *,
    has_targets: bool,
    is_replayed: bool,
    verified: StepDone | None,
    has_groups: bool,
    is_finalized: bool,
) -> RestoreProgress:
    """By the steps that were recorded. Pure.

    `begun`: its topics are there and may hold a part of the records. `deferred`: all is done but settings that would
    delete records. `verified`: it ended before its topics had their settings back. `mismatched`: the target is not what
    was asked for, and stays staged.
    """
    if is_finalized:
        return RestoreProgress("finalized")
    if verified is None:
        return RestoreProgress("replayed" if is_replayed else "begun" if has_targets else "planned")
    if verified.report.get("mismatches"):
        return RestoreProgress("mismatched")
    deferred = tuple(topic.target for topic in plan.topics if topic.deferred)
    if has_groups and deferred:
        return RestoreProgress("deferred", deferred)
    return RestoreProgress("verified", tuple(topic.target for topic in plan.topics))


def _row(name: str, point: PointSummary) -> tuple[object, ...]:
    from tasks.repository.points import format_time

    totals = point.totals
    return (
        f"{name}@{point.seq}",
        format_time(point.time_ms),
        point.point_kind,
        point.status,
        totals.topics,
        totals.partitions,
        totals.records,
        size_text(totals.log_bytes),
        size_text(totals.stored_bytes),
    )


def _list_restores(current: Session, repository: Repository) -> int:
    """All that can be read; one that cannot does not hide the others."""
    from tasks.model.errors import DamagedError, UnsupportedError
    from tasks.repository.points import format_time
    from tasks.repository.restores import read_restore_plan, restore_ids

    found: list[tuple[RestorePlan, RestoreProgress]] = []
    unreadable: dict[str, KafkaBackupError] = {}
    for restore in restore_ids(repository.store):
        try:
            plan = read_restore_plan(repository.store, restore)
            found.append((plan, _progress(repository, plan)))
        except (DamagedError, UnsupportedError) as error:
            unreadable[restore] = error
    rows = [
        (
            plan.restore,
            format_time(plan.created_ms),
            f"{plan.set}@{plan.point}",
            len(plan.partitions),
            progress.state,
            ", ".join(progress.to_finalize) or "nothing",
        )
        for plan, progress in found
    ]
    head = ("RESTORE", "TIME", "POINT", "PARTITIONS", "STATE", "TO FINALIZE")
    current.print(table_text(head, rows) if rows else "No restores.")
    for reason in unreadable.values():
        current.log(str(reason))
    current.print_json(
        {
            "unreadable": {restore: str(error) for restore, error in unreadable.items()},
            "restores": [
                {
                    "restore": plan.restore,
                    "time_ms": plan.created_ms,
                    "point": f"{plan.set}@{plan.point}",
                    "state": progress.state,
                    "to_finalize": list(progress.to_finalize),
                }
                for plan, progress in found
            ],
        }
    )
    return max(map(exit_code_of, unreadable.values()), default=OK)


def _progress(repository: Repository, plan: RestorePlan) -> RestoreProgress:
    from tasks.repository.restores import Step, StepDone, Targets, read_part

    def read(step: Step) -> StepDone | None:
        return read_part(repository.store, plan.restore, step, StepDone)

    return restore_progress(
        plan,
        has_targets=read_part(repository.store, plan.restore, "targets", Targets) is not None,
        is_replayed=read("replayed") is not None,
        verified=read("verified"),
        has_groups=read("groups") is not None,
        is_finalized=read("finalized") is not None,
    )
