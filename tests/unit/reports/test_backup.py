"""What a backup says of its point: all of it, and nothing better than it is."""

from __future__ import annotations

from tasks.engine.capture.capture_result import CapturedRange, CaptureResult
from tasks.engine.commit.completeness import MissingPositions, NewPoint, PointRange
from tasks.reports.backup import backup_headline, backup_summary, partition_rows
from tasks.repository.restore_point import RestorePoint
from tests.support.made_backup import MadeBackup, make_backup, make_history
from tests.support.made_logs import plain_log


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
    assert backup_headline(_taken(made, sentence)).endswith(", 1 gaps and failures")
    assert f"- {sentence}" in summary
    assert summary.endswith("the recipe")
