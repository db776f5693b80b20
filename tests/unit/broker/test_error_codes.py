"""Numbers and names of error codes are those that Kafka and the libraries use."""

from __future__ import annotations

from confluent_kafka import KafkaError
from kafka import errors as kafka_errors

from tasks.broker.error_codes import ErrorCode, kafka_name

LIBRDKAFKA = {
    name: code for name in dir(KafkaError) if name.isupper() and isinstance(code := getattr(KafkaError, name), int)
}
KAFKA_PYTHON = {kind.message: code for code, kind in kafka_errors.kafka_errors.items() if code is not None}
OTHER_NAMES = {
    "UNKNOWN": "UNKNOWN_SERVER_ERROR",
    "NO_ERROR": "NONE",
    "INVALID_MSG": "CORRUPT_MESSAGE",
    "UNKNOWN_TOPIC_OR_PART": "UNKNOWN_TOPIC_OR_PARTITION",
    "INVALID_MSG_SIZE": "INVALID_FETCH_SIZE",
    "NOT_LEADER_FOR_PARTITION": "NOT_LEADER_OR_FOLLOWER",
    "MSG_SIZE_TOO_LARGE": "MESSAGE_TOO_LARGE",
    "MESSAGE_SIZE_TOO_LARGE": "MESSAGE_TOO_LARGE",
    "STALE_CTRL_EPOCH": "STALE_CONTROLLER_EPOCH",
    "TOPIC_EXCEPTION": "INVALID_TOPIC_EXCEPTION",
    "INVALID_TOPIC": "INVALID_TOPIC_EXCEPTION",
    "INVALID_REPLICATION_ASSIGNMENT": "INVALID_REPLICA_ASSIGNMENT",
}
"""Names of the libraries that differ from Kafka's `Errors`."""


def test_every_code_of_the_protocol_has_kafkas_number_and_name() -> None:
    """A new release of a library with a new code fails here. Somebody then classifies the code in `error_classes`."""
    theirs = {(name, code) for name, code in (*LIBRDKAFKA.items(), *KAFKA_PYTHON.items()) if code >= -1}

    assert {(code.name, code.value) for code in ErrorCode} == {(OTHER_NAMES.get(n, n), c) for n, c in theirs}
    assert list(range(-1, 134)) == sorted(ErrorCode)


def test_the_name_of_a_code_is_kafkas_and_an_unknown_code_has_none() -> None:
    assert "NOT_LEADER_OR_FOLLOWER" == kafka_name(6)
    assert "UNKNOWN_SERVER_ERROR" == kafka_name(-1)
    assert [None, None] == [kafka_name(32_000), kafka_name(-195)]
