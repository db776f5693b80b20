"""Every error of confluent-kafka ends as one of ours whose class says what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest
from confluent_kafka import KafkaError, KafkaException
from kafka import errors as kafka_errors

from tasks.broker import translation
from tasks.broker.translation import (
    Attempt,
    Permission,
    error_for,
    error_for_code,
    is_forbidden,
    is_unknown_topic,
    translated,
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

ATTEMPT = Attempt("describe", "topic orders")
NOT_RETRIED = {
    3: "an unknown topic is an answer: absent, or gone",
    70: "fetch sessions are not used here",
    71: "fetch sessions are not used here",
    84: "no election is asked for here",
    100: "an unknown topic id means that the topic is gone",
    103: "only fetches by topic id get it",
    106: "fetch sessions are not used here",
    122: "only share consumers get it",
    123: "only share consumers get it",
}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, BrokerUnavailableError),
        (KafkaError.NOT_CONTROLLER, BrokerUnavailableError),
        (KafkaError.UNSTABLE_OFFSET_COMMIT, BrokerUnavailableError),
        (KafkaError._TRANSPORT, BrokerUnavailableError),
        (KafkaError._TIMED_OUT, BrokerUnavailableError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AccessError),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, AccessError),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, AccessError),
        (KafkaError.SASL_AUTHENTICATION_FAILED, AccessError),
        (KafkaError._AUTHENTICATION, AccessError),
        (KafkaError.INVALID_CONFIG, ConfigError),
        (KafkaError.INVALID_REPLICATION_FACTOR, ConfigError),
        (KafkaError._INVALID_ARG, ConfigError),
        (KafkaError.UNSUPPORTED_VERSION, UnsupportedError),
        (KafkaError.OFFSET_OUT_OF_RANGE, OffsetOutOfRangeError),
        (KafkaError.UNKNOWN_TOPIC_ID, TopicGoneError),
        (KafkaError.OFFSET_METADATA_TOO_LARGE, BrokerError),
        (KafkaError.UNKNOWN, BrokerError),
        (32_000, BrokerError),
    ],
)
def test_the_class_of_an_error_says_what_to_do(code: int, expected: type[KafkaBackupError]) -> None:
    error = error_for(KafkaError(code), ATTEMPT)

    assert type(error) is expected
    assert "describe topic orders" in str(error)
    assert getattr(error, "code", code) == code


def test_whatever_kafka_calls_retriable_is_retried_here() -> None:
    declared = {code for code, kind in kafka_errors.kafka_errors.items() if kind.retriable and code >= 0}

    left_out = {code for code in declared if not error_for_code(code, ATTEMPT).retryable}

    assert NOT_RETRIED.keys() == left_out
    assert len(declared) > 20


def test_every_code_that_the_libraries_know_stands_in_one_place_of_the_table() -> None:
    """A new release with a new code fails here, and someone decides what it means."""
    named = [getattr(KafkaError, name) for name in dir(KafkaError) if name.isupper()]
    known = {code for code in named if isinstance(code, int)} | {code for code in kafka_errors.kafka_errors if code}
    places: list[Iterable[int]] = [
        translation._RETRIABLE,
        translation._FORBIDDEN,
        translation._NOT_AUTHENTICATED,
        translation._MISCONFIGURED,
        translation._UNSUPPORTED,
        translation._FINAL,
        translation.UNKNOWN_TOPIC,
        {translation.UNKNOWN_MEMBER, translation._OUT_OF_RANGE, translation._UNKNOWN_TOPIC_ID},
    ]
    found = Counter(code for place in places for code in place)

    assert set() == known - found.keys()
    assert [] == [code for code, count in found.items() if count > 1]
    assert len(known) > 180


def test_what_is_not_allowed_says_what_an_acl_would_have_to_allow() -> None:
    needs = (Permission("Describe", "Group", "payments"), Permission("Describe", "Topic", "orders"))
    attempt = Attempt("read the positions of", "group payments", needs)

    assert "Not allowed to read the positions of group payments: that needs Describe on Group payments " in str(
        error_for_code(30, attempt)
    )
    assert "that needs Describe on Topic orders (TOPIC_AUTHORIZATION_FAILED)." in str(error_for_code(29, attempt))
    assert [True, True, False, False] == [is_forbidden(error_for_code(c, attempt)) for c in (29, 30, 58, 3)]
    cluster = Attempt("list", "ACLs", (Permission("Describe", "Cluster"),))
    assert "that needs Describe on Cluster kafka-cluster" in str(error_for_code(31, cluster))


def test_a_message_is_one_sentence_with_kafkas_name_and_the_reason_given() -> None:
    assert str(error_for_code(40, ATTEMPT, "Invalid value x for configuration segment.ms")) == (
        "Cannot describe topic orders: Invalid value x for configuration segment.ms (INVALID_CONFIG)."
    )
    assert str(error_for_code(29, ATTEMPT)) == (
        "Not allowed to describe topic orders: Topic authorization failed (TOPIC_AUTHORIZATION_FAILED)."
    )


def test_an_active_group_is_told_apart_and_says_what_to_do() -> None:
    assert "stop its consumers" in str(error_for_code(25, Attempt("commit", "the offset of group g")))


def test_a_topic_that_is_unknown_to_client_or_broker_is_recognized() -> None:
    assert [is_unknown_topic(error_for_code(c, ATTEMPT)) for c in (3, -188, -190, 29)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), BrokerUnavailableError),
        (FutureTimeoutError(), BrokerUnavailableError),
        (TypeError("expected a string"), ConfigError),
        (ValueError("duplicate"), ConfigError),
    ],
)
def test_no_foreign_exception_passes(raised: Exception, expected: type[KafkaBackupError]) -> None:
    with pytest.raises(expected, match="describe topic orders") as caught, translated(ATTEMPT):
        raise raised
    assert caught.value.__cause__ is raised


def test_our_own_errors_pass_as_they_are() -> None:
    own = BrokerError("mine", code=87)
    with pytest.raises(BrokerError) as caught, translated(ATTEMPT):
        raise own
    assert caught.value is own
