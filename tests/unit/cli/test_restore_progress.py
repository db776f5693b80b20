"""What `list --restores` says of a restore: never more than was recorded."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tasks.cli.list_points import RestoreProgress, restore_progress
from tasks.repository.restores import RestorePlan, StepDone, TopicCopy


class Steps(NamedTuple):
    """Which steps a restore recorded."""

    has_targets: bool = False
    is_replayed: bool = False
    verified: StepDone | None = None
    has_groups: bool = False
    is_finalized: bool = False


def _verified(*mismatches: str) -> StepDone:
    return StepDone(restore="r", step="verified", time_ms=1, report={"mismatches": list(mismatches)})


def _plan(**deferred: tuple[str, ...]) -> RestorePlan:
    """A plan of the topics `orders` and `clicks`, with what is deferred of each."""
    topics = tuple(
        TopicCopy(
            topic=name,
            topic_id="id",
            target=name,
            partitions=1,
            replication_factor=1,
            exists=False,
            settings={},
            staging={},
            original={},
            deferred=deferred.get(name, ()),
        )
        for name in ("orders", "clicks")
    )
    return RestorePlan(
        repository_id="repository",
        restore="r",
        set="s",
        point=1,
        created_ms=1,
        cluster_id="c",
        options={},
        regroup_bytes=1,
        topics=topics,
        partitions=(),
        bins=(),
        tool="made",
    )


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (Steps(), RestoreProgress("planned")),
        (Steps(True), RestoreProgress("begun")),
        (Steps(True, True), RestoreProgress("replayed")),
        (Steps(True, True, _verified("orders-0: 3 records, not 4")), RestoreProgress("mismatched")),
        (Steps(True, True, _verified()), RestoreProgress("verified", ("orders", "clicks"))),
        (Steps(True, True, _verified(), has_groups=True), RestoreProgress("deferred", ("orders",))),
        (Steps(True, True, _verified(), has_groups=True, is_finalized=True), RestoreProgress("finalized")),
    ],
    ids=lambda value: value.state if isinstance(value, RestoreProgress) else "",
)
def test_a_restore_is_only_as_far_as_it_was_recorded(steps: Steps, expected: RestoreProgress) -> None:
    assert expected == restore_progress(_plan(orders=("retention.ms",)), **steps._asdict())


def test_a_restore_that_died_before_its_topics_had_their_settings_back_waits_with_all_of_them() -> None:
    steps = Steps(True, True, _verified(), has_groups=True)

    assert RestoreProgress("verified", ("orders", "clicks")) == restore_progress(_plan(), **steps._asdict())
