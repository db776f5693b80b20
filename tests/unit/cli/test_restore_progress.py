"""The state of a restore in `list --restores`: by the steps that the restore recorded."""

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
    """A plan of the topics `orders` and `clicks`, with the deferred settings of each."""
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
def test_the_state_of_a_restore_follows_its_recorded_steps(steps: Steps, expected: RestoreProgress) -> None:
    assert expected == restore_progress(_plan(orders=("retention.ms",)), **steps._asdict())


def test_a_restore_that_died_before_its_topics_had_their_settings_back_has_all_topics_to_finalize() -> None:
    steps = Steps(True, True, _verified(), has_groups=True)

    assert RestoreProgress("verified", ("orders", "clicks")) == restore_progress(_plan(), **steps._asdict())
