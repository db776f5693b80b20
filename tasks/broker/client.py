"""The confluent-kafka client behind `Admin`, and how it is asked: translated, repeated, explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

from tasks.broker.asking import Answers, K, V, ask_each, values
from tasks.broker.translation import Attempt, error_for, translated
from tasks.model.errors import AccessError, BrokerUnavailableError, KafkaBackupError

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


class AskingClient:
    """Holds the library's client and asks it. Nothing connects before the first question."""

    def __init__(
        self,
        bootstrap_servers: Sequence[str],
        *,
        timeout_ms: int = 30_000,
        deadline_ms: int = 60_000,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.bootstrap_servers = tuple(bootstrap_servers)
        self.location = f"the cluster at {','.join(self.bootstrap_servers)}"
        self.timeout_s = timeout_ms / 1000
        self.deadline_s = deadline_ms / 1000
        self._trouble: KafkaError | None = None
        self.sdk = self._connect(extra or {})

    def _connect(self, extra: Mapping[str, str]) -> AdminClient:
        from confluent_kafka.admin import AdminClient

        conf: dict[str, str | int | float | bool] = {
            "bootstrap.servers": ",".join(self.bootstrap_servers),
            "client.id": "kafka-backup",
            # Most questions go to the broker that the client takes for the controller. When that one dies, only newer
            # metadata names another, and the client, which knows no topics, would not ask for it before it is told to.
            "topic.metadata.refresh.interval.ms": 1_000,
            "reconnect.backoff.ms": 500,
            "reconnect.backoff.max.ms": 2_000,
            "log_level": 0,  # else librdkafka writes to stderr by itself; failures reach the caller as errors
        }
        with translated(Attempt("use the client settings for", self.location)):
            return AdminClient({**conf, **extra}, error_cb=self._note)

    def _note(self, error: KafkaError) -> None:
        if error.code() != error._ALL_BROKERS_DOWN:  # it says less than the one before
            self._trouble = error

    def close(self) -> None:
        """Let the connections go. May be called again; no other method afterwards."""
        self.sdk.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ask_each(
        self,
        keys: Sequence[K],
        request: Callable[[list[K]], Mapping[K, Future[Any]]],
        read: Callable[[K, Any], V],
        attempt: Callable[[K], Attempt],
    ) -> Answers[K, V]:
        """`asking.ask_each` with this client's timeout and deadline; an unreachable cluster's error says why."""
        self._trouble = None
        answers = ask_each(keys, request, read, attempt, timeout_s=self.timeout_s, deadline_s=self.deadline_s)
        return {key: self._explained(answer, attempt(key)) for key, answer in answers.items()}

    def ask(self, attempt: Attempt, request: Callable[[], Future[T]]) -> T:
        """The answer to one question, or its error raised."""

        def read(key: str, result: Any) -> T:
            return result  # type: ignore[no-any-return]

        return values(self.ask_each(["it"], lambda keys: {"it": request()}, read, lambda key: attempt))["it"]

    def await_that(self, is_so: Callable[[], bool], complaint: str) -> None:
        """Return when the brokers show something that they have already accepted; they lag behind one another."""

        def give_up(state: object) -> None:
            raise BrokerUnavailableError(complaint)

        Retrying(
            retry=retry_if_result(lambda answer: not answer),
            stop=stop_after_delay(self.deadline_s),
            wait=wait_exponential(multiplier=0.01, max=0.5),
            retry_error_callback=give_up,
        )(is_so)

    def _explained(self, answer: V | KafkaBackupError, attempt: Attempt) -> V | KafkaBackupError:
        """The client answers `timed out` when it could not connect; the reason came by its own way."""
        if not isinstance(answer, BrokerUnavailableError) or (answer.code is not None and answer.code >= 0):
            return answer
        self.sdk.poll(0)
        if self._trouble is None:
            return answer
        cause = error_for(self._trouble, attempt)
        return cause if isinstance(cause, AccessError) else BrokerUnavailableError(str(cause), code=answer.code)
