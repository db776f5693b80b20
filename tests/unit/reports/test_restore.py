"""What a restore says of its targets."""

from __future__ import annotations

from dataclasses import replace

from tasks.engine.positions.translate import LeftOutPosition, TranslatedPosition
from tasks.engine.replay.verify import Mismatch
from tasks.engine.restore import RestoreResult
from tasks.engine.target.findings import Finding
from tasks.reports.recipe import Places
from tasks.reports.restore import (
    preview_headline,
    preview_lines,
    preview_rows,
    preview_summary,
    preview_verdict,
    restore_headline,
    restore_summary,
    restored_rows,
)
from tasks.repository.restores import PartitionCopy, RestorePlan, TargetPartition, Targets, TopicCopy

PLACES = Places(
    cluster="production",
    repository="prod",
    cluster_section={"bootstrap_servers": ["kafka:9092"]},
    storage_section={"backend": "filesystem", "path": "/backups"},
)
PLAN = RestorePlan(
    repository_id="repository",
    restore="20260101T000000000Z-aaaaaaaa",
    set="nightly",
    point=3,
    created_ms=0,
    cluster_id="cluster",
    options={},
    regroup_bytes=1,
    topics=(),
    partitions=tuple(
        PartitionCopy(
            topic="orders",
            topic_id="id",
            partition=number,
            target_topic="copy",
            target_partition=number,
            records=10 + number,
            log_bytes=100,
        )
        for number in range(3)
    ),
    bins=((0, 2), (1,)),
    tool="made",
)
TARGETS = Targets(
    restore=PLAN.restore,
    producer_id=1,
    producer_epoch=0,
    partitions=tuple(
        TargetPartition(topic="copy", topic_id="new", partition=number, base=5 * number) for number in range(3)
    ),
)
RESULT = RestoreResult(plan=PLAN, findings=(), mismatches=(), positions=(), positions_written=True, deferred=())


def test_a_preview_begins_with_the_targets_that_have_a_finding() -> None:
    findings = [Finding("error", "copy-2", "it is not empty"), Finding("warning", "another", "it is old")]

    rows = preview_rows(PLAN, findings)

    assert [2, 0, 1] == [row["partition"] for row in rows]
    assert ["error: copy-2: it is not empty", "", ""] == [row["findings"] for row in rows]
    assert "REFUSED, 1 reason; the first: copy-2: it is not empty" in preview_headline(PLAN, findings)
    assert preview_headline(PLAN, findings[1:]).endswith("it would not be refused; 1 warning")


def _topic(target: str, *, exists: bool, is_purged: bool = False) -> TopicCopy:
    return TopicCopy(
        topic="orders",
        topic_id="id",
        target=target,
        partitions=3,
        replication_factor=1,
        exists=exists,
        settings={},
        staging={},
        original={},
        is_purged=is_purged,
    )


def test_a_preview_names_the_topics_to_create_those_that_exist_and_the_positions_of_each_group() -> None:
    topics = (_topic("copy", exists=False), _topic("old", exists=True), _topic("full", exists=True, is_purged=True))
    plan = PLAN.model_copy(update={"topics": topics, "options": {"reset_consumer_offsets": True}})

    assert [
        "topics to create: copy (3 partitions)",
        "topics that exist: old, full (purged: its records are deleted)",
        'group positions to write: "a b" (1 position), billing (2 positions)',
    ] == preview_lines(plan, {"billing": 2, "a b": 1})
    assert '- group positions to write: "a b" (1 position)' in preview_summary(plan, [], {"a b": 1})


def test_positions_of_a_preview_are_not_called_written_unless_the_options_say_so() -> None:
    translated = preview_lines(PLAN.model_copy(update={"options": {"consumer_group_strategy": "manual"}}), {"a": 1})[2]
    left_out = preview_lines(PLAN.model_copy(update={"options": {"consumer_group_strategy": "skip"}}), {})[2]

    assert "group positions to translate, reset_consumer_offsets writes them: a (1 position)" == translated
    assert "group positions (left out by consumer_group_strategy: skip): none" == left_out


def test_a_preview_says_whether_something_prevents_the_restore() -> None:
    warning, error = Finding("warning", "copy", "it is old"), Finding("error", "copy", "it is not empty")

    assert [
        "There are no findings: nothing prevents the restore.",
        "Nothing prevents it: 1 warning.",
        "The restore would be refused: 1 error, 2 warnings.",
    ] == [preview_verdict(found) for found in ([], [warning], [warning, error, warning])]


def test_a_restore_that_does_not_verify_begins_with_its_mismatches() -> None:
    result = replace(RESULT, mismatches=[Mismatch(TARGETS.partitions[1].target, "2 records lack")])

    rows = restored_rows(result, TARGETS, {0: 1.5, 1: 0.5})

    assert [(1, 5, 16, 0.5), (0, 0, 10, 1.5), (2, 10, 22, 1.5)] == [
        (row["partition"], row["first"], row["next"], row["seconds"]) for row in rows
    ]
    assert ["2 records lack", "", ""] == [row["mismatch"] for row in rows]
    assert "1 MISMATCH; the first: copy-1: 2 records lack" in restore_headline(result)
    assert "1 mismatch" in restore_summary(result, 2.0, PLACES).splitlines()[0]


def test_positions_that_were_not_written_come_first_in_a_table_that_no_group_name_can_break() -> None:
    done, failed = _position("billing"), replace(_position("a|b\nc"), failure="the group is active")

    result = replace(RESULT, positions=[done, failed])

    lines = [line for line in restore_summary(result, 2.0, PLACES).splitlines() if "orders-0" in line]
    assert [
        '| "a\\|b\\nc" | orders-0 | 4 | copy-0 | 2 | the group is active |',
        "| billing | orders-0 | 4 | copy-0 | 2 | written |",
    ] == lines
    assert '; 1 position not written or not confirmed; first: "a|b\\nc"' in restore_headline(result)


def test_deferred_settings_come_with_the_command_that_applies_them() -> None:
    summary = restore_summary(replace(RESULT, deferred=["copy"]), 2.0, PLACES)

    assert f"`kafka-backup finalize {PLAN.restore} --config restore.yaml`" in summary
    assert "backup_id: nightly@3" in summary
    assert restore_headline(replace(RESULT, deferred=["copy"])).endswith("33 records; to finalize: copy")


def test_clamped_positions_come_before_the_others_and_left_out_ones_are_listed() -> None:
    clamped = replace(_position("late"), note="700 is beyond the end of the backup at 650, so the position is the end")
    left_out = LeftOutPosition(group="a\nb", topic="orders", partition=7, offset=5, reason="it is not in the backup")
    result = replace(RESULT, positions=[_position("billing"), clamped], left_out=[left_out])

    text = restore_summary(result, 1.0, PLACES)

    assert text.index("| late |") < text.index("| billing |")
    assert "written; 700 is beyond the end of the backup at 650" in text
    assert '"a\\nb": orders-7 at 5: it is not in the backup' in text


def test_the_reason_of_a_partition_is_its_first_mismatch() -> None:
    target = TARGETS.partitions[0].target
    mismatches = [Mismatch(target, "a setting was changed"), Mismatch(target, "records are missing")]
    rows = restored_rows(replace(RESULT, mismatches=mismatches), TARGETS, {0: 1.5, 1: 0.5})
    assert ["a setting was changed", "", ""] == [row["mismatch"] for row in rows]


def _position(group: str) -> TranslatedPosition:
    return TranslatedPosition(
        group=group,
        source_topic="orders",
        source_partition=0,
        source_offset=4,
        target_topic="copy",
        target_partition=0,
        target_offset=2,
        metadata="",
    )
