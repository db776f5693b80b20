"""Kafka's and librdkafka's errors become errors of this program here, and nowhere else.

`error_classes` says which class a code becomes. This module adds the message: what failed, on what, and which
permission is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from tasks.broker.error_classes import (
    FORBIDDEN,
    MISCONFIGURED,
    NOT_AUTHENTICATED,
    RETRYABLE,
    UNKNOWN_TOPIC,
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

if TYPE_CHECKING:
    from confluent_kafka import KafkaError


class Permission(NamedTuple):
    """A permission in Kafka's words, as an ACL grants it: `Read on Topic orders`."""

    operation: str
    kind: Literal["Topic", "Group", "Cluster"]
    name: str = "kafka-cluster"

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}"


SEES_ALL_GROUPS = Permission("Describe", "Cluster")
"""Without this permission brokers leave groups out of their lists and report no error."""


class Action(NamedTuple):
    """An action on the cluster, for error messages: a verb and an object (`describe`, `topic orders`), and the
    permissions that it needs."""

    verb: str
    resource: str
    needs: tuple[Permission, ...] = ()

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


@contextmanager
def translated(action: Action) -> Iterator[None]:
    """Every exception that confluent-kafka raises inside becomes an error of this program that names the action."""
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as error:
        raise error_for(error.args[0], action) from error
    except FutureTimeoutError as error:
        raise BrokerUnavailableError(f"Cannot {action}: Kafka did not answer in time.") from error
    except (TypeError, ValueError) as error:  # confluent-kafka raises these when it checks its arguments
        raise ConfigError(f"Cannot {action}: {error}") from error


def error_for(error: KafkaError, action: Action) -> KafkaBackupError:
    """The error for a `KafkaError` of confluent-kafka. Its class says what an operator does next."""
    return error_for_code(error.code(), action, error.str())


def error_for_code(code: int, action: Action, reason: str | None = None) -> KafkaBackupError:
    """The error for one of Kafka's codes (≥ -1) or librdkafka's (< -1). `reason`: the message that came with it."""
    from confluent_kafka import KafkaError

    known = KafkaError(code)
    name = kafka_name(code) or known.name().removeprefix("_")
    reason = reason or known.str()
    text = f"{reason.removeprefix('Broker: ').removeprefix('Local: ').rstrip('.')} ({name})."
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
    """Whether the broker knows the user and does not allow the action."""
    return isinstance(error, AccessError) and error.code in FORBIDDEN


def is_unknown_topic(error: object) -> bool:
    """Whether the broker does not know a topic of this name."""
    return isinstance(error, BrokerError) and error.code in UNKNOWN_TOPIC
