"""Completeness: whether a point contains everything that was configured."""

from __future__ import annotations

from tasks.engine.capture.capture_result import CaptureFailure, CaptureResult
from tasks.engine.commit.completeness import MissingPositions, completeness, denied_reasons, missing_positions
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import GroupsState, GroupState, write_state
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import (
    SET,
    MadeBackup,
    capture_logs,
    commit_logs,
    make_backup,
    make_repository,
    plan_logs,
)
from tests.support.made_logs import plain_log

SOURCE = Partition("orders", "AAAAAAAAAAAAAAAAAAAAAA", 0)


def _missing(made: MadeBackup, point: PointEntry) -> MissingPositions:
    return missing_positions(RestorePoint(made.store, point))


def test_group_positions_that_were_configured_and_are_missing_are_failures() -> None:
    made = make_backup()
    refused = made.point.model_copy(update={"groups": None, "groups_failure": "not authorized"})
    not_configured = made.point.model_copy(update={"groups": None})
    gone = GroupState(group="lost", group_type="classic", state="Empty", failure="coordinator not available")
    state = GroupsState(groups=(gone,), not_covered=("carts (share group)",))
    one_failed = made.point.model_copy(
        update={"groups": write_state(made.repository.store, SET, made.point.run, state, newest=None)}
    )

    assert MissingPositions() == _missing(made, made.point) == _missing(made, not_configured)
    assert MissingPositions(("group positions are not in this point: not authorized",)) == _missing(made, refused)
    assert MissingPositions(
        ("group lost is not in this point: coordinator not available",), ("carts (share group)",)
    ) == _missing(made, one_failed)


def test_a_point_without_the_positions_of_one_group_is_partial() -> None:
    repository, logs = make_repository(MemoryStore()), [plain_log("orders", 0, batches=1)]
    plan = plan_logs(repository, logs)
    gone = GroupState(group="lost", group_type="classic", state="Empty", failure="coordinator not available")
    groups = write_state(repository.store, SET, plan.run, GroupsState(groups=(gone,)), newest=None)

    point = commit_logs(repository, plan.model_copy(update={"groups": groups}), capture_logs(repository, plan, logs))

    assert ("partial", ()) == (point.status, point.failures)


def test_a_backup_is_complete_only_if_its_point_contains_everything_that_was_configured() -> None:
    made = make_backup()
    complete = made.point.model_copy(update={"status": "complete"})
    partial = made.point.model_copy(update={"status": "partial"})

    verdicts = [completeness(point, MissingPositions()) for point in (complete, made.point, partial)]
    assert ["complete", "incomplete", "incomplete"] == verdicts
    groups = (MissingPositions(("lost",)), MissingPositions((), ("a share group",)))
    assert ["incomplete", "complete"] == [completeness(complete, one) for one in groups]


def test_a_missing_permission_decides_the_verdict() -> None:
    made = make_backup()
    plan = plan_logs(made.repository, made.logs).model_copy(update={"denied": ("Describe on Group payments",)})
    failures = (
        CaptureFailure(source=SOURCE, reason="Read on Topic orders", is_denied=True),
        CaptureFailure(source=SOURCE, reason="the broker did not answer", is_passing=True),
    )
    reasons = denied_reasons(plan, [CaptureResult(writer="w", fragments=0, ranges=(), failures=failures)])

    assert ("Describe on Group payments", "Read on Topic orders") == reasons
    assert "denied" == completeness(made.point, MissingPositions(), reasons)
