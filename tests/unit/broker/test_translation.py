"""Every error of Kafka becomes an error of this program whose class says what to do."""

from __future__ import annotations

import pytest

from tasks.broker.error_classes import PERMANENT, RETRYABLE
from tasks.broker.error_codes import ErrorCode
from tasks.broker.translation import (
    Action,
    Permission,
    error_for_code,
    is_forbidden,
    is_unknown_topic,
)
from tasks.model.errors import (
    AccessError,
    BrokerError,
    BrokerUnavailableError,
    ConfigError,
    KafkaBackupError,
    OffsetOutOfRangeError,
    TopicGoneError,
    UnsupportedError,
)

ACTION = Action("describe", "topic orders")
UNKNOWN_CODE = 32_000


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, BrokerUnavailableError),
        (ErrorCode.NOT_CONTROLLER, BrokerUnavailableError),
        (ErrorCode.UNSTABLE_OFFSET_COMMIT, BrokerUnavailableError),
        (ErrorCode.TOPIC_AUTHORIZATION_FAILED, AccessError),
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, AccessError),
        (ErrorCode.CLUSTER_AUTHORIZATION_FAILED, AccessError),
        (ErrorCode.SASL_AUTHENTICATION_FAILED, AccessError),
        (ErrorCode.INVALID_CONFIG, ConfigError),
        (ErrorCode.INVALID_REPLICATION_FACTOR, ConfigError),
        (ErrorCode.UNSUPPORTED_VERSION, UnsupportedError),
        (ErrorCode.OFFSET_OUT_OF_RANGE, OffsetOutOfRangeError),
        (ErrorCode.UNKNOWN_TOPIC_ID, TopicGoneError),
        (ErrorCode.OFFSET_METADATA_TOO_LARGE, BrokerError),
        (ErrorCode.UNKNOWN_SERVER_ERROR, BrokerError),
        (UNKNOWN_CODE, BrokerError),
    ],
)
def test_the_class_of_an_error_says_what_to_do(code: int, expected: type[KafkaBackupError]) -> None:
    error = error_for_code(code, ACTION)

    assert type(error) is expected
    assert "describe topic orders" in str(error)
    assert getattr(error, "code", code) == code


def test_retryable_codes_become_retryable_errors_and_permanent_codes_do_not() -> None:
    assert all(error_for_code(code, ACTION).retryable for code in RETRYABLE)
    assert not any(error_for_code(code, ACTION).retryable for code in (*PERMANENT, UNKNOWN_CODE))


def test_a_missing_permission_is_named_as_an_acl_grants_it() -> None:
    needs = (Permission("Describe", "Group", "payments"), Permission("Describe", "Topic", "orders"))
    action = Action("read the positions of", "group payments", needs)
    of_group = error_for_code(ErrorCode.GROUP_AUTHORIZATION_FAILED, action)
    of_topic = error_for_code(ErrorCode.TOPIC_AUTHORIZATION_FAILED, action)
    of_cluster = error_for_code(
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED, Action("list", "ACLs", (Permission("Describe", "Cluster"),))
    )

    assert "Not allowed to read the positions of group payments: that needs Describe on Group payments " in str(
        of_group
    )
    assert "that needs Describe on Topic orders (TOPIC_AUTHORIZATION_FAILED)." in str(of_topic)
    assert "that needs Describe on Cluster kafka-cluster" in str(of_cluster)


def test_only_missing_permissions_count_as_forbidden() -> None:
    forbidden = (ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    others = (ErrorCode.SASL_AUTHENTICATION_FAILED, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    assert all(is_forbidden(error_for_code(code, ACTION)) for code in forbidden)
    assert not any(is_forbidden(error_for_code(code, ACTION)) for code in others)


def test_a_message_is_one_sentence_with_kafkas_name_and_the_given_reason() -> None:
    assert "Cannot describe topic orders: Invalid value x for configuration segment.ms (INVALID_CONFIG)." == str(
        error_for_code(ErrorCode.INVALID_CONFIG, ACTION, "Invalid value x for configuration segment.ms")
    )
    assert "Not allowed to describe topic orders: Topic authorization failed (TOPIC_AUTHORIZATION_FAILED)." == str(
        error_for_code(ErrorCode.TOPIC_AUTHORIZATION_FAILED, ACTION)
    )
    assert "(NOT_LEADER_OR_FOLLOWER)." in str(error_for_code(ErrorCode.NOT_LEADER_OR_FOLLOWER, ACTION))
    assert "error that this version does not know (error code 32000)." in str(error_for_code(UNKNOWN_CODE, ACTION))


def test_the_error_of_an_active_group_says_to_stop_its_consumers() -> None:
    error = error_for_code(ErrorCode.UNKNOWN_MEMBER_ID, Action("commit", "the offset of group g"))

    assert "stop its consumers" in str(error)


def test_a_topic_that_the_broker_does_not_know_is_recognized() -> None:
    assert is_unknown_topic(error_for_code(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ACTION))
    assert not is_unknown_topic(error_for_code(ErrorCode.TOPIC_AUTHORIZATION_FAILED, ACTION))


def test_a_group_whose_name_breaks_lines_is_named_in_one_line() -> None:
    error = error_for_code(
        ErrorCode.GROUP_AUTHORIZATION_FAILED, Action("read", "x", (Permission("Read", "Group", "two\nlines"),))
    )

    assert 'needs Read on Group "two\\nlines" ' in str(error)
