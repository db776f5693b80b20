"""Translates the options of a connection into the properties of librdkafka."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tasks.broker.auth.security import Security
from tasks.broker.auth.tls import check_files
from tasks.broker.auth.tokens import current_token
from tasks.broker.raw.connection import ConnectionOptions
from tasks.model.errors import KafkaBackupError

_FILES: Final = {
    "ssl_ca_location": "ssl.ca.location",
    "ssl_certificate_location": "ssl.certificate.location",
    "ssl_key_location": "ssl.key.location",
}
_LONGEST_BACKOFF_MS: Final = 2_000
_FETCH_BYTES: Final = 4 << 20
_QUEUED_KIB: Final = 16 << 10
"""The most records that librdkafka keeps ready, in KiB. More would only use memory."""

_QUEUED_RECORDS: Final = 50_000
_FULL_QUEUE_PAUSE_MS: Final = 5
"""librdkafka waits so long before it fetches again after its queue was full. Its default of one second is longer than
the time in which the queue is emptied."""


def client_settings(options: ConnectionOptions, on_token_error: Callable[[KafkaBackupError], None]) -> dict[str, Any]:
    """The properties of every client, with secrets: pass them only to the client, and never to a log.

    `on_token_error` is called with the error if no OAuth token can be obtained, in the thread that polls the client.
    Raises `ConfigError` if a file of the configuration cannot be used.
    """
    check_files(options.security)
    return {
        "bootstrap.servers": ",".join(options.bootstrap_servers),
        "client.id": options.client_id,
        "client.rack": options.rack,
        "socket.timeout.ms": options.request_timeout_ms,
        "reconnect.backoff.max.ms": _LONGEST_BACKOFF_MS,
        **_security(options.security, on_token_error),
    }


def consumer_settings() -> dict[str, Any]:
    """The properties of the client that reads records, in addition to those of every client.

    confluent-kafka requires a group id. The group is not created: partitions are assigned, and nothing is committed.
    """
    return {
        "group.id": "kafka-backup-second-reader",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed",
        "check.crcs": True,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 100,
        "fetch.message.max.bytes": _FETCH_BYTES,
        "queued.max.messages.kbytes": _QUEUED_KIB,
        "queued.min.messages": _QUEUED_RECORDS,
        "fetch.queue.backoff.ms": _FULL_QUEUE_PAUSE_MS,
    }


def _security(security: Security, on_token_error: Callable[[KafkaBackupError], None]) -> dict[str, Any]:
    settings: dict[str, Any] = {"security.protocol": security.security_protocol}
    if security.has_tls:
        settings |= _tls(security)
    if security.sasl_mechanism is not None:
        settings["sasl.mechanism"] = security.sasl_mechanism
    if security.sasl_mechanism == "OAUTHBEARER":
        settings["oauth_cb"] = _token_callback(security, on_token_error)
    elif security.sasl_password is not None:
        settings["sasl.username"] = security.sasl_username
        settings["sasl.password"] = security.sasl_password.get_secret_value()
    return settings


def _tls(security: Security) -> dict[str, Any]:
    named = {theirs: getattr(security, ours) for ours, theirs in _FILES.items()}
    settings = {name: path for name, path in named.items() if path is not None}
    if security.ssl_key_password is not None:
        settings["ssl.key.password"] = security.ssl_key_password.get_secret_value()
    return {**settings, "ssl.endpoint.identification.algorithm": "https"}


def _token_callback(security: Security, on_error: Callable[[KafkaBackupError], None]) -> Callable[[str], Any]:
    """librdkafka's callback for tokens: (token, expiry in Unix seconds, principal, extensions). Brokers do not use the
    principal."""
    extensions = security.oauth_extensions

    def token(_: str) -> tuple[Any, ...]:
        try:
            found = current_token(security)
        except KafkaBackupError as error:
            on_error(error)
            raise
        return (found.value, found.expires_s, "", extensions) if extensions else (found.value, found.expires_s)

    return token
