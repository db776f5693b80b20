"""The confluent-kafka client behind `Admin`, and how it is asked: translated, repeated, explained."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

from tasks.broker.admin.admin_requests import Answers, K, V, call_each, pause_until, values
from tasks.broker.admin.client_settings import client_settings
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.translation import Action, error_for, translated
from tasks.model.errors import AccessError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError
    from confluent_kafka.admin import AdminClient

T = TypeVar("T")


def done(value: T) -> Future[T]:
    """An answer that is already there, for questions that block instead of returning a future."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def started(call: Callable[[], Future[T]]) -> Future[T]:
    """The future that `call` returns; when it raises instead, one with that error, so that only its own key has it."""
    try:
        return call()
    except Exception as error:
        future: Future[T] = Future()
        future.set_exception(error)
        return future


class AdminConnection:
    """Holds the library's client and asks it. Nothing connects before the first question."""

    def __init__(
        self, connection: ConnectionOptions, *, deadline_ms: int = 60_000, stop: threading.Event | None = None
    ) -> None:
        self.connection = connection
        self.location = f"the cluster at {','.join(connection.bootstrap_servers)}"
        self.timeout_s = connection.request_timeout_ms / 1000
        self.deadline_s = deadline_ms / 1000
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._is_reached = False
        self._trouble: KafkaError | None = None
        self._sdk: AdminClient | None = None

    @property
    def sdk(self) -> AdminClient:
        """The library's client, made when it is first needed: making one waits for a token where it needs one."""
        with self._lock:
            if self._sdk is None:
                self._sdk = self._make()
            return self._sdk

    def _make(self) -> AdminClient:
        from confluent_kafka.admin import AdminClient

        conf: dict[str, Any] = {
            "bootstrap.servers": ",".join(self.connection.bootstrap_servers),
            "client.id": self.connection.client_id,
            # Most questions go to the broker that the client takes for the controller. When that one dies, only newer
            # metadata names another, and the client, which knows no topics, would not ask for it before it is told to.
            "topic.metadata.refresh.interval.ms": 1_000,
            "reconnect.backoff.ms": 500,
            "reconnect.backoff.max.ms": 2_000,
            "log_level": 0,  # else librdkafka writes to stderr by itself; failures reach the caller as errors
        }
        with translated(Action("use the client settings for", self.location)):
            return AdminClient({**conf, **client_settings(self.connection.security)}, error_cb=self._note)

    def _note(self, error: KafkaError) -> None:
        if error.code() != error._ALL_BROKERS_DOWN:  # it says less than the one before
            self._trouble = error

    def close(self) -> None:
        """Let the connections go. May be called again; no other method afterwards."""
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
        request: Callable[[list[K]], Mapping[K, Future[Any]]],
        read: Callable[[K, Any], V],
        action: Callable[[K], Action],
    ) -> Answers[K, V]:
        """`asking.call_each` with this client's timeout and deadline; an unreachable cluster's error says why."""
        try:
            self._reach()
        except InterruptedRunError:
            raise
        except BrokerUnavailableError as error:
            return {key: BrokerUnavailableError(f"Cannot {action(key)}: {error}", code=error.code) for key in keys}
        except KafkaBackupError as error:
            return dict.fromkeys(keys, error)
        self._trouble = None
        answers = call_each(
            keys, request, read, action, timeout_s=self.timeout_s, deadline_s=self.deadline_s, stop=self._stop
        )
        return {key: self._explained(answer, action(key)) for key, answer in answers.items()}

    def _reach(self) -> None:
        """Before the first question wait until a broker lets us in. The library tries on where that cannot help, takes
        no hint to stop, and has no clear words; a raw connection has all that."""
        if self._is_reached:
            return
        options = replace(self.connection, retry_deadline_ms=round(self.deadline_s * 1000))
        with Cluster(options, stop=self._stop) as cluster:
            cluster.node_ids()
        self._is_reached = True

    def call(self, action: Action, request: Callable[[], Future[T]]) -> T:
        """The answer to one question, or its error raised."""

        def read(key: str, result: Any) -> T:
            return result  # type: ignore[no-any-return]

        return values(self.call_each(["it"], lambda keys: {"it": request()}, read, lambda key: action))["it"]

    def await_that(self, is_so: Callable[[], bool], complaint: str) -> None:
        """Return when the brokers show something that they have already accepted; they lag behind one another."""

        def give_up(state: object) -> None:
            raise BrokerUnavailableError(complaint)

        Retrying(
            retry=retry_if_result(lambda answer: not answer),
            stop=stop_after_delay(self.deadline_s),
            wait=wait_exponential(multiplier=0.01, max=0.5),
            sleep=pause_until(self._stop),
            retry_error_callback=give_up,
        )(is_so)

    def _explained(self, answer: V | KafkaBackupError, action: Action) -> V | KafkaBackupError:
        """The client answers `timed out` when it could not connect; the reason came by its own way."""
        if not isinstance(answer, BrokerUnavailableError) or (answer.code is not None and answer.code >= 0):
            return answer
        self.sdk.poll(0)
        if self._trouble is None:
            return answer
        cause = error_for(self._trouble, action)
        return cause if isinstance(cause, AccessError) else BrokerUnavailableError(str(cause), code=answer.code)
