"""Every known error code is classified exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from kafka import errors as kafka_errors

from tasks.broker import error_classes
from tasks.broker.error_codes import ErrorCode

NOT_RETRIED = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "the caller decides: the topic is absent, or gone",
    ErrorCode.FETCH_SESSION_ID_NOT_FOUND: "this program uses no fetch sessions",
    ErrorCode.INVALID_FETCH_SESSION_EPOCH: "this program uses no fetch sessions",
    ErrorCode.ELECTION_NOT_NEEDED: "this program requests no elections",
    ErrorCode.UNKNOWN_TOPIC_ID: "the topic is gone",
    ErrorCode.INCONSISTENT_TOPIC_ID: "only fetches by topic id get it, and `fetch` handles it there",
    ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR: "this program uses no fetch sessions",
    ErrorCode.SHARE_SESSION_NOT_FOUND: "only share consumers get it",
    ErrorCode.INVALID_SHARE_SESSION_EPOCH: "only share consumers get it",
}
"""Codes that Kafka calls retriable and that are not retried, with the reason."""


def test_every_code_is_in_exactly_one_class() -> None:
    classes: list[Iterable[int]] = [
        {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION},
        error_classes.SPECIAL,
        error_classes.RETRYABLE,
        error_classes.FORBIDDEN,
        error_classes.NOT_AUTHENTICATED,
        error_classes.MISCONFIGURED,
        error_classes.UNSUPPORTED,
        error_classes.PERMANENT,
    ]
    found = Counter(code for codes in classes for code in codes)

    assert set(ErrorCode) == found.keys()
    assert [] == [code for code, count in found.items() if count > 1]


def test_every_code_that_kafka_calls_retriable_is_retried_or_has_a_reason() -> None:
    declared = {code for code, kind in kafka_errors.kafka_errors.items() if code is not None and kind.retriable}

    assert NOT_RETRIED.keys() == declared - error_classes.RETRYABLE
    assert len(declared) > 20
