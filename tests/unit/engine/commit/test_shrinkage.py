"""What a new point contains less than the newest point before it."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.engine.commit.shrinkage import find_shrinkage
from tasks.model.partition import Partition
from tasks.repository.partition_table import Row
from tasks.repository.shrinkage import Shrinkage, ShrinkageCounts


def _row(topic: str, end: int = 10, *, topic_id: str = "", partition: int = 0, first: int = 0) -> Row:
    return Row(topic=topic, topic_id=topic_id or f"id-of-{topic}", partition=partition, first=first, next=end)


def _found(
    older: Sequence[Row], new: Sequence[Row], *, records: tuple[int, int] = (10, 10), not_selected: tuple[str, ...] = ()
) -> Shrinkage | None:
    rows: dict[Partition, Row] = {row.source: row for row in older}
    return find_shrinkage(1, rows, new, records_before=records[0], records=records[1], not_selected=not_selected)


def _counts(**counts: int) -> ShrinkageCounts:
    return ShrinkageCounts.model_validate({"point": 1, "records_before": 10, "records": 10, **counts})


def test_a_point_that_contains_no_less_has_no_shrinkage() -> None:
    assert _found([_row("a")], [_row("a", 12), _row("new")], records=(10, 14)) is None


def test_missing_topics_are_gone_unless_the_run_did_not_select_them() -> None:
    found = _found([_row("a"), _row("b"), _row("c")], [_row("c")], not_selected=("b",))
    assert found is not None
    assert (("a",), ("b",), (), ()) == (found.gone, found.not_selected, found.created_again, found.ended_earlier)


def test_a_topic_with_another_id_was_created_again_and_does_not_end_earlier() -> None:
    found = _found([_row("a", topic_id="old")], [_row("a", 1, topic_id="new")], records=(300, 1))
    assert found is not None
    assert (("a",), ()) == (found.created_again, found.ended_earlier)


def test_the_topic_id_zero_identifies_no_topic() -> None:
    zero = "A" * 22
    assert _found([_row("a", topic_id=zero)], [_row("a", topic_id="new")]) is None
    assert _found([_row("a", topic_id="old")], [_row("a", topic_id=zero)]) is None


def test_a_partition_that_ends_earlier_or_is_missing_names_its_topic() -> None:
    found = _found([_row("cut"), _row("less"), _row("less", partition=1)], [_row("cut", 9), _row("less")])
    assert found is not None
    assert ("cut", "less") == found.ended_earlier


def test_records_that_retention_deleted_are_counted_and_not_notable() -> None:
    found = _found([_row("a")], [_row("a", 12, first=6)], records=(10, 6))
    assert found is not None
    assert "fewer records than fc@1: 10 → 6 records" == found.counts.text("fc")
    assert not found.counts.is_notable


def test_fewer_than_half_of_the_records_and_every_missing_topic_are_notable() -> None:
    assert [True, False] == [_counts(records=left).is_notable for left in (4, 5)]
    kinds = ("gone", "created_again", "not_selected", "ended_earlier")
    assert [True] * 4 == [_counts(**{kind: 1}).is_notable for kind in kinds]


def test_the_sentence_counts_topics_and_records() -> None:
    wiped = _counts(gone=4, created_again=1, records_before=300, records=1)
    assert "4 topics of fc@1 are gone, 1 was created again; 300 → 1 records" == wiped.text("fc")
    assert "1 topic of fc@1 is gone" == _counts(gone=1, records=12).text("fc")
    others = _counts(created_again=2, not_selected=1, ended_earlier=2)
    assert "2 topics of fc@1 were created again, 1 is not selected, 2 end earlier" == others.text("fc")


def test_only_the_incarnation_that_a_restore_takes_is_compared() -> None:
    ended, live = _row("a", 90, topic_id="old").model_copy(update={"is_live": False}), _row("a", 1, topic_id="new")
    found = _found([_row("a", 90, topic_id="old")], [ended, live])
    assert found is not None
    assert (("a",), ()) == (found.created_again, found.ended_earlier)
    assert _found([ended, live], [ended, live]) is None
    assert _found([ended], [ended]) is None, "a topic that was deleted keeps its rows"
