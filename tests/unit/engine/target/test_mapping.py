"""The targets of a restore: names by rules, partitions by numbers, and several sources only where a rule says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tasks.engine.options import RestoreOptions
from tasks.engine.target.mapping import ChosenTarget, chosen_targets, mapped_topics, ranks
from tasks.engine.target.selection import ChosenTopic
from tasks.model.errors import RefusedError
from tasks.repository.partition_table import Row
from tasks.repository.state_objects import TopicState


def _topic(name: str, target: str, partitions: int = 2) -> ChosenTopic:
    state = TopicState(topic=name, topic_id="1", partitions=partitions, replication_factor=1)
    rows = [Row(topic=name, topic_id="1", partition=number, first=0, next=1) for number in range(partitions)]
    return ChosenTopic(state, tuple(rows), target)


def _targets(topics: list[ChosenTopic], **options: Any) -> list[ChosenTarget]:
    return chosen_targets(topics, RestoreOptions.model_validate(options))


def test_a_rule_with_the_name_counts_before_patterns_and_the_first_pattern_before_the_others() -> None:
    mapping = {"orders-*": "copy-*", "~orders-(.*)": "other-$1", "orders-us": "america"}
    expected = {"orders-eu": "copy-eu", "orders-us": "america", "clicks": "clicks"}
    assert expected == mapped_topics(["clicks", "orders-eu", "orders-us"], mapping)


@pytest.mark.parametrize("pattern", ["missing", "missing-*", "~missing.*"])
def test_a_rule_that_maps_no_topic_is_refused(pattern: str) -> None:
    with pytest.raises(RefusedError, match="which this restore does not include"):
        mapped_topics(["orders"], {pattern: "copy"})


def test_a_target_that_is_not_the_name_of_a_topic_is_refused_with_its_source() -> None:
    with pytest.raises(RefusedError, match=r"gives orders the target '\.', which is not the name of a topic"):
        mapped_topics(["orders"], {"~orders(x?)": ".$1"})


def test_a_topic_is_not_written_into_another_that_only_keeps_its_name() -> None:
    with pytest.raises(RefusedError, match=r"sends orders-eu to orders, and orders itself .* rule orders: orders\."):
        mapped_topics(["orders", "orders-eu"], {"orders-eu": "orders"})
    both = {"orders": "orders", "orders-eu": "orders"}
    assert both == mapped_topics(["orders", "orders-eu"], both)


def test_two_topics_that_change_names_are_not_written_together() -> None:
    swapped = {"a": "b", "b": "a"}
    assert swapped == mapped_topics(["a", "b"], swapped)


def test_topics_with_one_target_are_together_and_it_has_the_partitions_of_the_largest() -> None:
    [one, other] = _targets([_topic("a", "all", 2), _topic("b", "b", 1), _topic("c", "all", 5)])
    assert ("all", ["a", "c"], 5) == (one.name, [topic.state.topic for topic in one.topics], one.partitions)
    assert ("b", "b", 1) == (other.name, other.state.topic, other.partitions)


@pytest.mark.parametrize(
    ("mapping", "expected"), [({}, 3), ({0: 7}, 8), ({0: 0, 1: 0, 2: 0}, 1), ({2: 3}, 4), ({0: 1, 1: 0}, 3)]
)
def test_a_target_has_as_many_partitions_as_its_mapping_needs(mapping: Mapping[int, int], expected: int) -> None:
    [target] = _targets([_topic("orders", "copy", 3)], partition_mapping=mapping)
    assert expected == target.partitions


def test_a_partition_is_not_written_into_another_that_only_keeps_its_number() -> None:
    with pytest.raises(RefusedError, match=r"sends partition 1 of orders to 0, and partition 0 .* rule 0: 0\."):
        _targets([_topic("orders", "copy")], partition_mapping={1: 0})
    assert 1 == _targets([_topic("orders", "copy")], partition_mapping={0: 0, 1: 0})[0].partitions


def test_topics_have_the_rank_of_the_first_pattern_that_matches_them() -> None:
    assert {"payments": 0, "orders-eu": 1, "orders": 1, "clicks": 2} == ranks(
        ["payments", "orders-eu", "orders", "clicks"], ["payments", "orders*"]
    )
