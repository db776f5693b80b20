"""The confluent-kafka client behind `Admin`: created when first used, with translated errors, retries and `stop`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from tasks.broker.admin.admin_requests import Answers, K, T, V, call_each, values_or_raise
from tasks.broker.admin.client_settings import client_settings
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, error_for, translated
from tasks.model.errors import AccessError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError
    from confluent_kafka.admin import AdminClient

_FIRST_POLL_MS = 10
_LONGEST_POLL_MS = 500


class AdminConnection:
    """Owns a confluent-kafka client and sends its requests. Connects when the first request is sent."""

    def __init__(
        self, connection: ConnectionOptions, *, deadline_ms: int = 60_000, stop: threading.Event | None = None
    ) -> None:
        self.connection = connection
        self.location = f"the cluster at {','.join(connection.bootstrap_servers)}"
        self.timeout_s = connection.request_timeout_ms / 1000
        self.deadline_ms = deadline_ms
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._is_checked = False
        self._connection_error: KafkaError | None = None
        self._sdk: AdminClient | None = None

    @property
    def sdk(self) -> AdminClient:
        """The confluent-kafka client. The first call creates it, and waits for an OAuth token if one is needed."""
        with self._lock:
            if self._sdk is None:
                self._sdk = self._create_client()
            return self._sdk

    def _create_client(self) -> AdminClient:
        from confluent_kafka.admin import AdminClient

        conf: dict[str, Any] = {
            "bootstrap.servers": ",".join(self.connection.bootstrap_servers),
            "client.id": self.connection.client_id,
            # librdkafka sends most requests to the broker that its metadata names as controller. After that broker
            # died, a client without topics requests new metadata only at this interval.
            "topic.metadata.refresh.interval.ms": 1_000,
            "reconnect.backoff.ms": 500,
            "reconnect.backoff.max.ms": 2_000,
            "log_level": 0,  # otherwise librdkafka writes to stderr; the caller gets all failures as errors
        }
        with translated(Action("use the client settings for", self.location)):
            settings = {**conf, **client_settings(self.connection.security)}
            return AdminClient(settings, error_cb=self._keep_connection_error)

    def _keep_connection_error(self, error: KafkaError) -> None:
        if error.code() != error._ALL_BROKERS_DOWN:  # it follows another error, which contains the cause
            self._connection_error = error

    def close(self) -> None:
        """Close the connections. May be called twice; no other method may be called afterwards."""
        with self._lock:
            if self._sdk is not None:
                self._sdk.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def call_each(
        self,
        keys: Sequence[K],
        send: Callable[[list[K]], Mapping[K, Future[Any]]],
        convert: Callable[[K, Any], V],
        action: Callable[[K], Action],
    ) -> Answers[K, V]:
        """`admin_requests.call_each` with this client's timeout, deadline and `stop`.

        When no broker can be reached, the error of every key contains the cause.
        """
        try:
            self._check_connection()
        except InterruptedRunError:
            raise
        except BrokerUnavailableError as error:
            return {key: BrokerUnavailableError(f"Cannot {action(key)}: {error}", code=error.code) for key in keys}
        except KafkaBackupError as error:
            return dict.fromkeys(keys, error)
        self._connection_error = None
        answers = call_each(
            keys, send, convert, action, timeout_s=self.timeout_s, deadline_ms=self.deadline_ms, stop=self._stop
        )
        return {key: self._with_cause(answer, action(key)) for key, answer in answers.items()}

    def _check_connection(self) -> None:
        """Before the first request, wait until a raw connection to a broker succeeds.

        librdkafka retries permanent errors (wrong password, certificate or protocol) until its timeout, cannot be
        interrupted and reports them poorly. A raw connection reports them at once and checks `stop`.
        """
        if self._is_checked:
            return
        options = replace(self.connection, retry_deadline_ms=self.deadline_ms)
        with Cluster(options, stop=self._stop) as cluster:
            cluster.check_reachable(is_writing=False)
        self._is_checked = True

    def call(self, action: Action, send: Callable[[], Future[T]]) -> T:
        """The result of one request. Raises its error."""

        def convert(key: str, result: Any) -> T:
            return result  # type: ignore[no-any-return]

        return values_or_raise(self.call_each([""], lambda keys: {"": send()}, convert, lambda key: action))[""]

    def await_that(self, condition: Callable[[], bool], message: str) -> None:
        """Return when `condition` returns true: brokers learn of an accepted change one after the other.

        Raises `BrokerUnavailableError(message)` after the deadline.
        """
        deadline = RetryDeadline(
            self.deadline_ms, self._stop, first_wait_ms=_FIRST_POLL_MS, longest_wait_ms=_LONGEST_POLL_MS
        )
        while not condition():
            deadline.pause(BrokerUnavailableError(message))

    def _with_cause(self, answer: V | KafkaBackupError, action: Action) -> V | KafkaBackupError:
        """librdkafka answers `timed out` when it cannot connect, and reports the cause to `error_cb` only."""
        if not isinstance(answer, BrokerUnavailableError) or (answer.code is not None and answer.code >= 0):
            return answer
        self.sdk.poll(0)
        if self._connection_error is None:
            return answer
        cause = error_for(self._connection_error, action)
        return cause if isinstance(cause, AccessError) else BrokerUnavailableError(str(cause), code=answer.code)
