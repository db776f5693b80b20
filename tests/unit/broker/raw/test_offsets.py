"""ListOffsets: one request per leader, passing trouble asked again, and no answer for a topic created again."""

from __future__ import annotations

import pytest

from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.offsets import list_offsets
from tasks.model.errors import AccessError, BrokerUnavailableError, TopicGoneError, UnsupportedError
from tests.unit.broker.scripted_broker import API_VERSIONS, Asked, ScriptedBroker, options, versions
from tests.unit.broker.scripts import FIRST, LIST_OFFSETS, SECOND, World, offsets


def test_each_leader_is_asked_once_for_all_its_partitions() -> None:
    partitions = [FIRST._replace(partition=number) for number in range(10)]
    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        World({partition: 1 + partition.partition % 2 for partition in partitions}, one, two)
        one.answers[LIST_OFFSETS] = two.answers[LIST_OFFSETS] = offsets(lambda number, time: (0, 100 * time + number))

        answers = list_offsets(cluster, partitions, "earliest")

    assert {partition: -200 + partition.partition for partition in partitions} == answers.offsets
    assert {} == answers.failures
    assert (1, 1) == (len(one.of(LIST_OFFSETS)), len(two.of(LIST_OFFSETS)))


def test_a_moved_leader_is_looked_up_and_asked() -> None:
    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        world = World({FIRST: 1, SECOND: 1}, one, two)

        def moved(number: int, time: int) -> tuple[int, int]:
            world.leaders[SECOND] = 2
            return (6, -1) if number == 1 else (0, 5)

        one.answers[LIST_OFFSETS] = offsets(moved)
        two.answers[LIST_OFFSETS] = offsets(lambda number, time: (0, 7))

        answers = list_offsets(cluster, [FIRST, SECOND], "latest")

    assert {FIRST: 5, SECOND: 7} == answers.offsets


def test_a_topic_created_again_while_it_was_asked_for_has_no_answer() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        world = World({FIRST: 1}, broker)

        def created_again(number: int, time: int) -> tuple[int, int]:
            world.leaders = {FIRST._replace(topic_id="AAAAAAAAAAAAAAAAAAAAAQ"): 1}
            return 0, 99

        broker.answers[LIST_OFFSETS] = offsets(created_again)
        answers = list_offsets(cluster, [FIRST], "latest")

    assert {} == answers.offsets
    assert isinstance(answers.failures[FIRST], TopicGoneError)


def test_one_partition_that_fails_does_not_take_the_others_along() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address, retry_deadline_ms=300)) as cluster:
        World({FIRST: 1, SECOND: 1, FIRST._replace(partition=2): -1, FIRST._replace(partition=3): 1}, broker)
        codes = {0: (0, 5), 1: (29, -1), 3: (78, -1)}
        broker.answers[LIST_OFFSETS] = offsets(lambda number, time: codes[number])

        answers = list_offsets(cluster, [FIRST._replace(partition=number) for number in range(4)], "last_stable")

    assert {FIRST: 5} == answers.offsets
    assert [(1, AccessError), (2, BrokerUnavailableError), (3, BrokerUnavailableError)] == sorted(
        ((partition.partition, type(error)) for partition, error in answers.failures.items()), key=lambda pair: pair[0]
    )


def test_the_newest_timestamp_is_not_asked_of_a_broker_that_would_take_it_for_an_offset() -> None:
    def old(asked: Asked) -> object:
        return versions({LIST_OFFSETS: (0, 6)})(asked)

    with ScriptedBroker({API_VERSIONS: old}) as broker, Cluster(options(broker.address)) as cluster:
        World({FIRST: 1}, broker)
        with pytest.raises(UnsupportedError):
            list_offsets(cluster, [FIRST], "max_timestamp")
