"""Requests for changes stay below a controller's limits, and wait for its quotas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kafka.protocol.admin import CreatePartitionsResponse

from tasks.broker.admin.admin import Admin
from tasks.broker.admin_values import ConfigChange, NewTopicSpec
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.model.errors import BrokerUnavailableError
from tests.unit.broker.admin.scripted_controller import LIMIT, ScriptedController
from tests.unit.broker.scripted_broker import ReceivedRequest, options

SETTINGS = {f"setting.{number}": "1" for number in range(8)}
SLOW_ANSWER_MS = 120_000
"""The scripted controller describes 50,000 partitions in Python, which takes seconds on a busy machine."""


@contextmanager
def admin_of(controller: ScriptedController, *, deadline_ms: int = SLOW_ANSWER_MS) -> Iterator[Admin]:
    connection = options(controller.broker.address, request_timeout_ms=SLOW_ANSWER_MS)
    with controller.broker, Admin(connection, deadline_ms=deadline_ms) as admin:
        yield admin


def _specs(topics: int, partitions: int) -> list[NewTopicSpec]:
    return [
        NewTopicSpec(name=f"t{number}", partitions=partitions, replication_factor=1, configs=SETTINGS)
        for number in range(topics)
    ]


SIZES = [(1_100, 1), (11, 1_000), (1, 9_999), pytest.param(2, 25_000, marks=pytest.mark.exhaustive)]


@pytest.mark.parametrize(("topics", "partitions"), SIZES)
def test_topics_are_created_changed_and_deleted_within_the_limit_of_a_request(topics: int, partitions: int) -> None:
    controller = ScriptedController()
    specs = _specs(topics, partitions)
    names = [spec.name for spec in specs]
    change = ConfigChange(to_set={f"other.{number}": "2" for number in range(20)}, to_delete=[*SETTINGS])
    with admin_of(controller) as admin:
        assert dict.fromkeys(names) == admin.create_topics(specs, validate_only=True)
        assert {} == controller.topics
        assert dict.fromkeys(names) == admin.create_topics(specs)
        made = {name: (topic.partitions, dict(topic.settings)) for name, topic in controller.topics.items()}
        assert dict.fromkeys(names) == admin.alter_topics(dict.fromkeys(names, change))
        changed = [topic.settings for topic in controller.topics.values()]
        assert dict.fromkeys(names) == admin.delete_topics(names)

    assert dict.fromkeys(names, (partitions, SETTINGS)) == made
    assert [change.to_set] * topics == changed
    assert {} == controller.topics
    assert max(controller.weights) <= LIMIT / 2
    assert len(controller.broker.received) < 40 + 2 * topics * partitions // 1_000, "many topics share a request"


def test_thousands_of_partitions_are_created_in_steps_that_each_wait_for_leaders() -> None:
    controller = ScriptedController(leaderless=2)
    specs = _specs(5, 600)
    with admin_of(controller) as admin:
        assert {None} == set(admin.create_topics(specs).values())

    assert [0] * 5 == controller.waiting
    assert [0] * 5 == [topic.leaderless for topic in controller.topics.values()]


def test_a_topic_that_cannot_get_its_last_partitions_says_so() -> None:
    controller = ScriptedController()
    controller.broker.answers[ApiKey.CREATE_PARTITIONS] = _refused
    with admin_of(controller) as admin:
        [error] = admin.create_topics(_specs(1, 9_000)).values()

    assert "Topic t0 was created and has fewer than 7,991 partitions" in str(error)


def _refused(received: ReceivedRequest) -> object:
    result = CreatePartitionsResponse.CreatePartitionsTopicResult
    return CreatePartitionsResponse(
        throttle_time_ms=0, results=[result(name="t0", error_code=ErrorCode.INVALID_REPLICA_ASSIGNMENT)]
    )


def test_topics_are_created_in_the_end_if_a_quota_allows_a_few_at_a_time() -> None:
    controller = ScriptedController(mutations=4, refill=5)
    specs = _specs(12, 3)
    with admin_of(controller, deadline_ms=5_000) as admin:
        assert {None} == set(admin.create_topics(specs, validate_only=True).values())
        assert {None} == set(admin.create_topics(specs).values())

    assert [spec.name for spec in specs] == [*controller.topics]


def test_a_quota_that_stays_used_up_is_named_for_each_topic() -> None:
    controller = ScriptedController(mutations=4, refill=0)
    with admin_of(controller, deadline_ms=200) as admin:
        answers = admin.create_topics(_specs(4, 3))

    assert [None, None] == [answers["t0"], answers["t1"]]
    for name in ("t2", "t3"):
        error = answers[name]
        assert isinstance(error, BrokerUnavailableError)
        assert f"Cannot create topic {name}: a quota of the cluster on changes of topics is used up" in str(error)
