"""Turns the errors of librdkafka into errors of this program, and records those that it reports outside a call."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError

from tasks.broker.error_codes import ErrorCode
from tasks.broker.translation import Action, error_for_code
from tasks.model.errors import (
    AccessError,
    BrokerError,
    BrokerUnavailableError,
    KafkaBackupError,
    OffsetOutOfRangeError,
    TopicGoneError,
)

_GONE = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_ID,
    }
)
_UNAVAILABLE = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._WAIT_COORD,
        KafkaError._SSL,
    }
)
_REFUSED_CERTIFICATE = "certificate verify failed"

_log = logging.getLogger(__name__)


def client_error(error: KafkaError, action: Action) -> KafkaBackupError:
    """The error of this program for one of librdkafka's."""
    code, text = error.code(), f"Cannot {action}: librdkafka reports: {error.str().rstrip('.')} ({error.name()})."
    if code in _GONE:
        return TopicGoneError(f"Cannot {action}: the cluster has no such topic or partition.")
    if code == KafkaError._AUTO_OFFSET_RESET:
        return OffsetOutOfRangeError(text)
    if code == KafkaError._AUTHENTICATION or (code == KafkaError._SSL and _REFUSED_CERTIFICATE in error.str()):
        return AccessError(text)
    if code in _UNAVAILABLE:
        return BrokerUnavailableError(text)
    return error_for_code(code, action, error.str()) if code > 0 else BrokerError(text)


class ClientReports:
    """The errors and log lines of librdkafka's clients for one thread. `raise_permanent` raises a permanent error that
    a client has reported; `reason` is the last error that can pass."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self._permanent: KafkaBackupError | None = None
        self.reason: BrokerUnavailableError | None = None

    def on_error(self, error: KafkaError) -> None:
        """The callback for errors. Errors about the group have no effect on a reader without a group."""
        if error.code() == ErrorCode.GROUP_AUTHORIZATION_FAILED:
            return
        self.on_token_error(client_error(error, self._action))

    def on_token_error(self, error: KafkaBackupError) -> None:
        """Record an error of this program."""
        if isinstance(error, BrokerUnavailableError):
            self.reason = error
        elif self._permanent is None:
            self._permanent = error

    def raise_permanent(self) -> None:
        """Raises the first permanent error, if there was one."""
        if self._permanent is not None:
            raise self._permanent

    def log(self, level: int, message: str, *arguments: object) -> None:
        """Called by confluent-kafka for each log line. They are written at the level DEBUG, because errors that matter
        are raised, and the others pass."""
        _log.debug(message, *arguments)
