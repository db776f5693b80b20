"""ListOffsets: one request per leader, retries of retryable errors, and no offset for a re-created topic."""

from __future__ import annotations

import pytest

from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.offsets import list_offsets
from tasks.model.errors import AccessError, BrokerUnavailableError, TopicGoneError, UnsupportedError
from tasks.model.partition import Partition
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options, versions
from tests.unit.broker.scripts import FIRST, SECOND, ScriptedMetadata, offsets


def test_each_leader_gets_one_request_for_all_its_partitions() -> None:
    partitions = [FIRST._replace(partition=number) for number in range(10)]
    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        ScriptedMetadata({partition: 1 + partition.partition % 2 for partition in partitions}, one, two)
        for broker in (one, two):
            broker.answers[ApiKey.LIST_OFFSETS] = offsets(lambda number, time: (ErrorCode.NONE, 100 * time + number))

        answers = list_offsets(cluster, partitions, "earliest")

    assert {partition: -200 + partition.partition for partition in partitions} == answers.offsets
    assert {} == answers.failures
    assert (1, 1) == (len(one.requests(ApiKey.LIST_OFFSETS)), len(two.requests(ApiKey.LIST_OFFSETS)))


@pytest.mark.parametrize(("sent", "kept"), [(7, {FIRST: 7}), (-1, {})], ids=["known", "not known"])
def test_the_leader_epoch_is_kept_if_the_leader_sends_it(sent: int, kept: dict[Partition, int]) -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        broker.answers[ApiKey.LIST_OFFSETS] = offsets(lambda number, time: (ErrorCode.NONE, 5), leader_epoch=sent)
        answers = list_offsets(cluster, [FIRST], "latest")
    assert ({FIRST: 5}, kept) == (answers.offsets, answers.leader_epochs)


def test_a_moved_leader_is_looked_up_and_gets_the_request() -> None:
    with ScriptedBroker() as one, ScriptedBroker() as two, Cluster(options(one.address)) as cluster:
        metadata = ScriptedMetadata({FIRST: 1, SECOND: 1}, one, two)

        def moved(number: int, time: int) -> tuple[int, int]:
            metadata.leaders[SECOND] = 2
            return (ErrorCode.NOT_LEADER_OR_FOLLOWER, -1) if number == 1 else (ErrorCode.NONE, 5)

        one.answers[ApiKey.LIST_OFFSETS] = offsets(moved)
        two.answers[ApiKey.LIST_OFFSETS] = offsets(lambda number, time: (ErrorCode.NONE, 7))

        answers = list_offsets(cluster, [FIRST, SECOND], "latest")

    assert {FIRST: 5, SECOND: 7} == answers.offsets


def test_a_topic_that_is_re_created_during_the_request_has_no_offset() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        metadata = ScriptedMetadata({FIRST: 1}, broker)

        def created_again(number: int, time: int) -> tuple[int, int]:
            metadata.leaders = {FIRST._replace(topic_id="AAAAAAAAAAAAAAAAAAAAAQ"): 1}
            return ErrorCode.NONE, 99

        broker.answers[ApiKey.LIST_OFFSETS] = offsets(created_again)
        answers = list_offsets(cluster, [FIRST], "latest")

    assert {} == answers.offsets
    assert isinstance(answers.failures[FIRST], TopicGoneError)


def test_a_failed_partition_does_not_fail_the_others() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address, retry_deadline_ms=300)) as cluster:
        ScriptedMetadata({FIRST: 1, SECOND: 1, FIRST._replace(partition=2): -1, FIRST._replace(partition=3): 1}, broker)
        answered = {
            0: (ErrorCode.NONE, 5),
            1: (ErrorCode.TOPIC_AUTHORIZATION_FAILED, -1),
            3: (ErrorCode.OFFSET_NOT_AVAILABLE, -1),
        }
        broker.answers[ApiKey.LIST_OFFSETS] = offsets(lambda number, time: answered[number])

        answers = list_offsets(cluster, [FIRST._replace(partition=number) for number in range(4)], "last_stable")

    assert {FIRST: 5} == answers.offsets
    assert [(1, AccessError), (2, BrokerUnavailableError), (3, BrokerUnavailableError)] == sorted(
        ((partition.partition, type(error)) for partition, error in answers.failures.items()), key=lambda pair: pair[0]
    )


def test_max_timestamp_is_not_requested_from_a_broker_that_does_not_know_it() -> None:
    def old(request: ReceivedRequest) -> object:
        return versions({ApiKey.LIST_OFFSETS: (0, 6)})(request)

    with ScriptedBroker({ApiKey.API_VERSIONS: old}) as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        with pytest.raises(UnsupportedError):
            list_offsets(cluster, [FIRST], "max_timestamp")
