"""The list of restores: the state of each by its recorded steps, its progress, who holds it, and what to do next."""

from __future__ import annotations

import pytest

from tasks.engine.target.recorded_restore import RecordedRestore, RestoreState
from tasks.reports.restores import ListedRestore, restore_document, restores_text
from tasks.repository.leases import LeaseRecord
from tasks.repository.restores import PartitionCopy, RestorePlan, Step, StepDone, Targets

PLAN = RestorePlan(
    repository_id="repository",
    restore="r",
    set="s",
    point=1,
    created_ms=1,
    cluster_id="c",
    options={},
    regroup_bytes=1,
    topics=(),
    partitions=(
        PartitionCopy(
            topic="orders",
            topic_id="id",
            partition=0,
            target_topic="copy",
            target_partition=0,
            records=1_000,
            log_bytes=1,
        ),
    ),
    bins=(),
    tool="made",
)
TARGETS = Targets(restore="r", producer_id=1, producer_epoch=0, partitions=())
HELD = LeaseRecord(owner="owner", beat=1, ttl_ms=1, host="host", process=7)


def _listed(
    *steps: Step, has_targets: bool = True, mismatches: int = 0, deferred: int = 0, is_superseded: bool = False
) -> ListedRestore:
    reports: dict[str, dict[str, object]] = {
        "verified": {"mismatches": ["differs"] * mismatches},
        "settings": {"deferred": ["copy"] * deferred},
    }
    done = {step: StepDone(restore="r", step=step, time_ms=1, report=reports.get(step, {})) for step in steps}
    return ListedRestore(RecordedRestore(PLAN, TARGETS if has_targets else None, done, is_superseded))


@pytest.mark.parametrize(
    ("listed", "state", "written", "next_command"),
    [
        (_listed(has_targets=False), "planned", 0, "restore --config"),
        (_listed(), "writing", None, "restore --config"),
        (_listed("replayed"), "verifying", 1_000, "restore --config"),
        (_listed("replayed", "verified"), "verifying", 1_000, "restore --config"),
        (_listed("replayed", "verified", "groups"), "verifying", 1_000, "restore --config"),
        (_listed("replayed", "verified", "groups", "settings"), "verifying", 1_000, "restore --config"),
        (_listed("replayed", "verified", mismatches=1), "failed", 1_000, "abandon r"),
        (
            _listed("replayed", "verified", "groups", "settings", deferred=1),
            "waiting for finalize",
            1_000,
            "finalize r",
        ),
        (_listed(is_superseded=True), "superseded", None, "abandon r"),
        (_listed("replayed", "verified", "groups", "settings", "finalized"), "finished", 1_000, None),
        (_listed("abandoned", has_targets=False), "abandoned", 0, None),
    ],
)
def test_the_state_of_a_restore_follows_its_recorded_steps(
    listed: ListedRestore, state: RestoreState, written: int | None, next_command: str | None
) -> None:
    document = restore_document(listed)
    assert (state, written, 1_000) == (document["state"], document["records_written"], document["records"])
    assert (next_command is None) == (listed.next_step is None)
    assert (next_command or "") in (listed.next_step or "")


def test_a_restore_that_somebody_holds_is_preparing_and_says_who_holds_it() -> None:
    held = ListedRestore(_listed(has_targets=False).recorded, HELD)
    assert ("preparing", "owner, process 7 on host") == (held.state, held.holder)
    assert "If that process has died, `kafka-backup restore" in (held.next_step or "")
    released = ListedRestore(held.recorded, HELD.model_copy(update={"is_released": True}))
    assert ("planned", None) == (released.state, released.holder)


def test_the_list_shows_the_records_as_far_as_they_are_known_without_the_cluster() -> None:
    text = restores_text([_listed(has_targets=False), _listed(), _listed("replayed")])
    assert ["0 of 1,000", "? of 1,000", "1,000"] == [
        next(part for part in ("0 of 1,000", "? of 1,000", "1,000") if part in line) for line in text.splitlines()[1:4]
    ]
    assert "There are no restores." == restores_text([])
