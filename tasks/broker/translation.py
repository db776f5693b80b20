"""Turns Kafka's error codes into errors of this program: the messages, with the action, its object and the permissions
that are missing.

`error_classes` defines the class for each code. This module adds the message: what failed, on what, and which
permission is missing.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from tasks.broker.error_classes import (
    FORBIDDEN,
    MISCONFIGURED,
    NOT_AUTHENTICATED,
    RETRYABLE,
    UNSUPPORTED,
)
from tasks.broker.error_codes import ErrorCode, kafka_name
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
from tasks.model.quoting import quoted

_REASONS = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "the cluster has no such topic or partition",
    ErrorCode.UNSTABLE_OFFSET_COMMIT: "an open transaction is about to replace a position",
    ErrorCode.THROTTLING_QUOTA_EXCEEDED: "a quota of the cluster on changes of topics is used up",
    ErrorCode.UNKNOWN_MEMBER_ID: "the group has members, and this program is none of them",
}
"""The meaning of the codes whose names in Kafka are not clear."""


class Permission(NamedTuple):
    """A permission in Kafka's words, as an ACL grants it: `Read on Topic orders`."""

    operation: str
    kind: Literal["Topic", "Group", "Cluster"]
    name: str = "kafka-cluster"

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {quoted(self.name)}"


SEES_ALL_GROUPS = Permission("Describe", "Cluster")
"""Without this permission, brokers leave groups out of their lists and report no error."""


class Action(NamedTuple):
    """An action on the cluster, for error messages: a verb and an object (`describe`, `topic orders`), and the
    permissions that it needs."""

    verb: str
    resource: str
    needs: tuple[Permission, ...] = ()

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def error_for_code(code: int, action: Action, reason: str | None = None) -> KafkaBackupError:
    """The error for one of Kafka's codes. Its class tells an operator what to do next. `reason` is the broker's message
    for this code, if it sent one."""
    name = kafka_name(code) or f"error code {code}"
    is_clear = reason and code != ErrorCode.THROTTLING_QUOTA_EXCEEDED  # Kafka's sentence does not say which quota
    text = f"{(reason if is_clear and reason else _reason(code)).rstrip('.')} ({name})."
    if code in FORBIDDEN:
        needed = " and ".join(str(one) for one in action.needs if one.kind == FORBIDDEN[ErrorCode(code)])
        why = f"that needs {needed} ({name})." if needed else text
        return AccessError(f"Not allowed to {action}: {why}", code=code)
    if code in NOT_AUTHENTICATED:
        return AccessError(f"Cannot {action}: {text}", code=code)
    if code in MISCONFIGURED:
        return ConfigError(f"Cannot {action}: {text}")
    if code in UNSUPPORTED:
        return UnsupportedError(f"Cannot {action}: {text}")
    return _broker_error(code, f"Cannot {action}: {text}")


def _reason(code: int) -> str:
    """The meaning of a code in words: `Topic authorization failed` for `TOPIC_AUTHORIZATION_FAILED`."""
    name = kafka_name(code)
    if name is None:
        return "the broker reports an error that this version does not know"
    return _REASONS.get(ErrorCode(code)) or name.replace("_", " ").capitalize()


def _broker_error(code: int, message: str) -> BrokerError:
    if code in RETRYABLE:
        return BrokerUnavailableError(message, code=code)
    if code == ErrorCode.OFFSET_OUT_OF_RANGE:
        return OffsetOutOfRangeError(message, code=code)
    if code == ErrorCode.UNKNOWN_TOPIC_ID:
        return TopicGoneError(message, code=code)
    if code == ErrorCode.UNKNOWN_MEMBER_ID:
        return BrokerError(f"{message} The group has active members: stop its consumers first.", code=code)
    return BrokerError(message, code=code)


def is_forbidden(error: object) -> bool:
    """Whether an answer is the error of a missing permission. Credentials that a broker does not accept are another
    error."""
    return isinstance(error, AccessError) and error.code in FORBIDDEN


def is_unknown_topic(error: object) -> bool:
    """Whether an answer is the error of a topic name, or of a partition, that the broker does not know."""
    return isinstance(error, BrokerError) and error.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
