"""What a backup says of its point: all of it, and nothing better than it is."""

from __future__ import annotations

from tasks.engine.capture.capture_result import CapturedRange, CaptureResult
from tasks.engine.commit.completeness import MissingPositions, NewPoint, PointRange
from tasks.engine.commit.incremental_point import TOPIC_CREATED_AGAIN, TOPIC_DELETED
from tasks.reports.backup import backup_headline, backup_summary, notable_events, partition_rows
from tasks.repository.entries import PartitionNote
from tasks.repository.restore_point import RestorePoint
from tests.support.made_backup import MadeBackup, make_backup, make_history
from tests.support.made_logs import plain_log

HELD = "a transaction holds these offsets back"


def _taken(made: MadeBackup, *lost_groups: str) -> NewPoint:
    rows = RestorePoint(made.store, made.point).rows.values()
    held = tuple(PointRange(row.source, row.first, row.next, row.base_seq != made.point.seq) for row in rows)
    is_whole = made.point.status == "complete" and not lost_groups
    return NewPoint(made.point, held, MissingPositions(lost_groups), "complete" if is_whole else "incomplete")


def test_partitions_that_failed_come_first_with_what_the_point_keeps_of_them() -> None:
    made = make_history()
    failed = [made.logs[3].source, made.logs[1].source]
    read = made.logs[0].source
    captured = CaptureResult(
        writer="w",
        fragments=1,
        ranges=(CapturedRange(source=read, first=0, next=9, records=9, log_bytes=900, seconds=0.5),),
        failures=(),
    )

    rows = partition_rows(_taken(made), [captured])

    remarks = {f"{row['topic']}-{row['partition']}": row["gaps and failures"] for row in rows}
    kept = "failure: the broker did not answer; the point keeps what an earlier run has read"
    assert [(str(source), kept) for source in sorted(failed)] == [one for one in remarks.items() if one[1] == kept]
    remarked = [bool(remark) for remark in remarks.values()]
    assert sorted(remarked, reverse=True) == remarked
    assert len(made.logs) == len(rows)
    [own] = [row for row in rows if (row["topic"], row["partition"]) == (read.topic, read.partition)]
    assert (9, 900, 0.5) == (own["records"], own["bytes"], own["seconds"])


def test_positions_that_the_point_lacks_are_named_before_its_recipe() -> None:
    made = make_backup([plain_log("orders", 0, batches=1)])
    sentence = "group billing is not in this point: reading it is not allowed"

    summary = backup_summary(_taken(made, sentence), 1.0, "the recipe")

    assert backup_headline(_taken(made)).startswith("demo@1 is complete: ")
    assert backup_headline(_taken(made, sentence)).endswith(", 1 gap or failure")
    assert f"- {sentence}" in summary
    assert summary.endswith("the recipe")


def _note(
    topic: str, reason: str, first: int | None = None, end: int | None = None, partition: int = 0
) -> PartitionNote:
    return PartitionNote(topic=topic, topic_id="id", partition=partition, reason=reason, first=first, next=end)


def test_everything_that_somebody_should_know_at_once_is_an_event_of_its_topic() -> None:
    point = make_backup([plain_log("orders", 0, batches=1)]).point.model_copy(
        update={
            "gaps": (_note("a", "deleted before it was backed up", 5, 9), _note("a", "truncated", 0, 1, partition=1)),
            "truncated": (_note("b", "truncated", 3, 4),),
            "failures": (
                _note("c", HELD, 10, 30),
                _note("d", "the broker did not answer"),
            ),
            "ended": (_note("e", TOPIC_DELETED), _note("f", TOPIC_CREATED_AGAIN), _note("g", "topic not selected")),
        }
    )
    assert [
        (
            "kafka-backup.gap.found",
            "demo@1: a: 5 offsets (first: partition 0, 5 to 8) are not in the backup: deleted before it was backed up.",
        ),
        (
            "kafka-backup.log.truncated",
            "demo@1: b: the cluster lost 1 offset (first: partition 0, 3 to 3) of the earlier points and has other "
            "records now.",
        ),
        ("kafka-backup.transaction.stalled", f"demo@1: c: 20 offsets (first: partition 0, 10 to 29): {HELD}."),
        ("kafka-backup.topic.deleted", "demo@1: topic deleted: e (id). The point keeps its records."),
        ("kafka-backup.topic.recreated", "demo@1: topic created again: f (id). The point keeps its records."),
    ] == list(notable_events(point))
