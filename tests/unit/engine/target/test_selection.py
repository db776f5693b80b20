"""Selection: a restore takes everything that was selected, and refuses what is ambiguous."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from tasks.engine.target.selection import ChosenTopic, choose, incarnations
from tasks.model.errors import RefusedError
from tasks.model.partition import Incarnation
from tasks.repository.partition_table import Row
from tasks.repository.state_objects import TopicState


def _row(topic: str, partition: int, topic_id: str = "1") -> Row:
    return Row(topic=topic, topic_id=topic_id, partition=partition, first=0, next=1)


ROWS = [_row("orders", 1), _row("orders", 0), _row("clicks", 0)]


def _choose(
    names: list[str],
    rows: Collection[Row] = ROWS,
    mapping: Mapping[str, str] | None = None,
    partitions: Collection[int] | None = None,
    topic_ids: Mapping[str, str] | None = None,
) -> list[ChosenTopic]:
    states = {
        Incarnation(row.topic, row.topic_id): TopicState(
            topic=row.topic, topic_id=row.topic_id, partitions=2, replication_factor=1
        )
        for row in rows
        if row.topic != "stateless"
    }
    targets = {name: (mapping or {}).get(name, name) for name in names}
    return choose(rows, states, names, targets=targets, partitions=partitions, topic_ids=topic_ids)


def test_chosen_topics_have_their_partitions_in_order_and_their_target() -> None:
    chosen = _choose(["orders", "clicks"], mapping={"orders": "restored"})
    assert [("restored", [0, 1]), ("clicks", [0])] == [
        (topic.target, [row.partition for row in topic.rows]) for topic in chosen
    ]


def test_only_the_selected_partitions_are_chosen() -> None:
    chosen = _choose(["orders", "clicks"], partitions=[1])
    assert [("orders", [1])] == [(topic.state.topic, [row.partition for row in topic.rows]) for topic in chosen]


def test_a_selected_partition_that_no_topic_has_is_refused() -> None:
    with pytest.raises(RefusedError, match="no chosen topic has partition 5, 7"):
        _choose(["orders"], partitions=[0, 7, 5])


def test_two_incarnations_of_a_topic_are_refused_and_listed() -> None:
    rows = [*ROWS, _row("orders", 0, topic_id="2")]
    with pytest.raises(RefusedError, match=r"2 incarnations of it: 1 \(2 offsets\), 2 \(1 offsets\).* 2 of them"):
        _choose(["orders"], rows)
    assert [Incarnation("orders", "1"), Incarnation("orders", "2")] == incarnations(rows)["orders"]
    assert ["clicks"] == [topic.state.topic for topic in _choose(["clicks"], rows)]


def test_the_incarnation_with_the_named_id_is_chosen_and_an_unknown_id_is_refused_with_the_known_ones() -> None:
    rows = [*ROWS, _row("orders", 0, topic_id="2")]
    assert ["2"] == [topic.state.topic_id for topic in _choose(["orders"], rows, topic_ids={"orders": "2"})]
    with pytest.raises(
        RefusedError, match=r"topic orders with the id 3\. It contains 1 \(2 offsets\), 2 \(1 offsets\)"
    ):
        _choose(["orders"], rows, topic_ids={"orders": "3"})


def test_an_id_of_a_topic_that_is_not_restored_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"topic_ids names order, .* Did you mean orders"):
        _choose(["orders"], topic_ids={"order": "1"})


def test_records_without_the_settings_of_their_topic_are_refused() -> None:
    with pytest.raises(RefusedError, match=r"of topic .* but not its settings"):
        _choose(["stateless"], [_row("stateless", 0)])
