"""Errors of confluent-kafka become ours here, and nowhere else.

`KafkaError.retriable()` is False for most that are (COORDINATOR_LOAD_IN_PROGRESS, NOT_CONTROLLER, a dead connection),
so the decision is by code. Codes ≥ 0 are Kafka's, negative ones librdkafka's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

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

UNKNOWN_TOPIC = frozenset({3, -188, -190})
TOPIC_EXISTS = 36
UNKNOWN_MEMBER = 25
_OUT_OF_RANGE = 1
_UNKNOWN_TOPIC_ID = 100

_RETRIABLE = frozenset(
    {
        *(5, 6, 7, 8, 9, 13),  # leader not available, not leader, timed out, broker or replica not available, network
        *(14, 15, 16, 41),  # coordinator loading, not available, elsewhere; controller elsewhere
        *(19, 20, 51, 56),  # too few replicas, concurrent transactions, storage error
        *(72, 74, 75, 78, 80, 83),  # listener, leader epochs, offset not available, leaders being elected
        *(88, 89),  # a transaction's offsets are pending; quota
        *(-137, -153, -164, -166, -180, -182, -185, -187, -192, -193, -195),  # the same, seen by the client itself
    }
)
_FORBIDDEN = {29: "Topic", 30: "Group", 31: "Cluster", 53: "TransactionalId", 65: "DelegationToken"}
"""Codes of missing permissions, and the kind of resource that each is about."""

_NOT_AUTHENTICATED = frozenset({33, 34, 58, -169, -181})
_MISCONFIGURED = frozenset({17, 37, 38, 39, 40, 44, -186})
_UNSUPPORTED = frozenset({35, 43, -165, -170})
_FINAL = frozenset(
    {
        *(-1, 0, 2, 4, 10, 11, 12, 18, 32, 42, 48, 54, 55, 76, 87),  # the request or its records are not accepted
        *(21, 45, 46, 47, 49, 50, 52, 59, 90, 105, 120),  # of producers and their transactions
        *(22, 23, 24, 26, 27, 28, 68, 69, 79, 81, 82, 86, 110, 111, 112, 113, 128),  # of groups and their members
        *(36, 60, 73, 85, 91, 92),  # what is to be changed stands otherwise
        *(61, 62, 63, 64, 66, 67, 93, 97),  # delegation tokens and credentials, which nobody here hands out
        *(70, 71, 84, 103, 106, 121, 122, 123, 124, 133),  # sessions and elections, which nobody here asks for
        *(57, 77, 94, 95, 96, 98, 99, 101, 102, 104, 107, 108, 109),  # between brokers
        *(114, 115, 116, 117, 118, 119, 125, 126, 127, 129, 130, 131, 132),  # between brokers, telemetry, streams
        *range(-199, -195),  # of the library itself: what it was given, or was doing, cannot go on
        *(-194, -191, -189, -184, -183, -179, -178, -177, -176, -175, -174, -173, -172, -171, -168, -167),
        *range(-163, -153),
        *range(-152, -137),
    }
)
"""Neither waiting nor another configuration mends these. A code that stands nowhere is taken for one of them."""


class Permission(NamedTuple):
    """What an ACL would have to allow, in Kafka's words: `Read on Topic orders`."""

    operation: str
    kind: Literal["Topic", "Group", "Cluster"]
    name: str = "kafka-cluster"

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}"


SEES_ALL_GROUPS = Permission("Describe", "Cluster")
"""Without it brokers leave groups out of their lists, and do not say so."""


class Attempt(NamedTuple):
    """What was tried, for messages: a verb and the thing, e.g. `describe` and `topic orders`; and what one must be
    allowed to do for it."""

    verb: str
    resource: str
    needs: tuple[Permission, ...] = ()

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


@contextmanager
def translated(attempt: Attempt) -> Iterator[None]:
    """Whatever confluent-kafka raises inside becomes an error of ours that says what was tried."""
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as error:
        raise error_for(error.args[0], attempt) from error
    except FutureTimeoutError as error:
        raise BrokerUnavailableError(f"Cannot {attempt}: Kafka did not answer in time.") from error
    except (TypeError, ValueError) as error:  # the client checks its arguments so
        raise ConfigError(f"Cannot {attempt}: {error}") from error


def error_for(error: KafkaError, attempt: Attempt) -> KafkaBackupError:
    """The error of ours for what the client reported; its class says what to do next."""
    return error_for_code(error.code(), attempt, error.str())


def error_for_code(code: int, attempt: Attempt, reason: str | None = None) -> KafkaBackupError:
    """The error of ours for one of Kafka's codes (≥ 0) or librdkafka's (negative). `reason`: what was said with it."""
    from confluent_kafka import KafkaError

    known = KafkaError(code)
    name, reason = known.name(), reason or known.str()
    text = f"{reason.removeprefix('Broker: ').removeprefix('Local: ').rstrip('.')} ({name.removeprefix('_')})."
    if code in _FORBIDDEN:
        needed = " and ".join(str(one) for one in attempt.needs if one.kind == _FORBIDDEN[code])
        why = f"that needs {needed} ({name})." if needed else text
        return AccessError(f"Not allowed to {attempt}: {why}", code=code)
    if code in _NOT_AUTHENTICATED:
        return AccessError(f"Cannot {attempt}: {text}", code=code)
    if code in _MISCONFIGURED:
        return ConfigError(f"Cannot {attempt}: {text}")
    if code in _UNSUPPORTED:
        return UnsupportedError(f"Cannot {attempt}: {text}")
    return _broker_error(code, f"Cannot {attempt}: {text}")


def _broker_error(code: int, message: str) -> BrokerError:
    if code in _RETRIABLE:
        return BrokerUnavailableError(message, code=code)
    if code == _OUT_OF_RANGE:
        return OffsetOutOfRangeError(message, code=code)
    if code == _UNKNOWN_TOPIC_ID:
        return TopicGoneError(message, code=code)
    if code == UNKNOWN_MEMBER:
        return BrokerError(f"{message} The group has active members: stop its consumers first.", code=code)
    return BrokerError(message, code=code)


def is_forbidden(error: object) -> bool:
    """Whether the broker knows who asks, and does not allow it."""
    return isinstance(error, AccessError) and error.code in _FORBIDDEN


def is_unknown_topic(error: object) -> bool:
    """Whether the broker does not know a topic of this name."""
    return isinstance(error, BrokerError) and error.code in UNKNOWN_TOPIC
