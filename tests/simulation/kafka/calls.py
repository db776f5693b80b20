"""One client's way to the cluster: each call passes the interceptor, and is repeated while its trouble may pass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from tasks.broker.raw.cluster import no_leader_error
from tasks.broker.translation import Action, Permission
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError, TopicGoneError
from tasks.model.partition import Partition
from tests.simulation.kafka.clock import SimulatedDeadline
from tests.simulation.kafka.faults import AnswerLost, Step
from tests.simulation.kafka.permissions import CLUSTER
from tests.simulation.kafka.refusals import Refused
from tests.simulation.kafka.topics import LedPartition

if TYPE_CHECKING:
    from tests.simulation.kafka.cluster import SimulatedKafka

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its user, its deadline in simulated time, and the event that stops it."""

    kafka: SimulatedKafka
    user: str
    deadline_ms: int
    stop: threading.Event

    def intercept(self, call: str, subject: str, *, has_happened: bool) -> None:
        """Call the interceptor for this step."""
        self.kafka.interceptor(Step(call, subject, has_happened))

    def deadline(self) -> SimulatedDeadline:
        """The time for one operation, from now on."""
        return SimulatedDeadline(self.kafka.clock, self.deadline_ms, self.stop)

    def call(self, call: str, subject: str, act: Callable[[int], T]) -> T:
        """The result of `act`, which gets the number of the attempt, from 1.

        A lost answer, and `BrokerUnavailableError` from `act`, is waited out until the deadline.
        """
        deadline = self.deadline()
        attempt = 0
        while True:
            attempt += 1
            try:
                self.intercept(call, subject, has_happened=False)
                result = self._acted(act, attempt)
                if not isinstance(result, _Trouble):
                    self.intercept(call, subject, has_happened=True)
                    return result
                error: KafkaBackupError = result.error
            except AnswerLost as lost:
                error = BrokerUnavailableError(f"Cannot {call} {subject}: {lost}")
            deadline.pause(error)

    def _acted(self, act: Callable[[int], T], attempt: int) -> T | _Trouble:
        try:
            with self.kafka.lock:
                self.kafka.brokers.require_one()
                return act(attempt)
        except BrokerUnavailableError as error:
            return _Trouble(error)

    def call_each(
        self, call: str, keys: Sequence[K], act: Callable[[K, int], T], attempt: Callable[[K], Action]
    ) -> dict[K, T | KafkaBackupError]:
        """An answer or an error for every key, in order. Errors that may pass are waited out until the deadline."""
        deadline = self.deadline()
        answers: dict[K, T | KafkaBackupError] = {}
        pending, number = list(keys), 0
        while pending:
            number += 1
            try:
                self.intercept(call, ", ".join(map(str, pending)), has_happened=False)
                for key in pending:
                    answers[key] = self._answer(key, act, number, attempt(key))
                self.intercept(call, ", ".join(map(str, pending)), has_happened=True)
            except AnswerLost as lost:
                answers |= {key: BrokerUnavailableError(f"Cannot {attempt(key)}: {lost}") for key in pending}
            pending = [key for key in pending if _is_passing(answers[key])]
            try:
                for key in pending[:1]:
                    deadline.pause(_error(answers[key]))
            except BrokerUnavailableError:
                break
        return {key: answers[key] for key in keys}

    def _answer(self, key: K, act: Callable[[K, int], T], number: int, attempt: Action) -> T | KafkaBackupError:
        try:
            with self.kafka.lock:
                self.kafka.brokers.require_one()
                return act(key, number)
        except Refused as refused:
            return refused.as_error(attempt)
        except BrokerUnavailableError as error:
            return BrokerUnavailableError(f"Cannot {attempt}: {error}", code=error.code)
        except KafkaBackupError as error:
            return error

    # ── before a request goes to a leader ───────────────────────────────────────────────────────────────────────────

    def leader_of(self, partition: Partition) -> LedPartition:
        """The partition by its topic's id. Raises `TopicGoneError`, `AccessError`, `BrokerUnavailableError`."""
        topic = self.kafka.topics.by_name.get(partition.topic)
        if topic is None or topic.topic_id != partition.topic_id:
            raise TopicGoneError(f"Topic {partition.incarnation} was deleted, or deleted and created again.")
        self.require(Permission("Describe", "Topic", partition.topic), "describe", f"topic {partition.topic}")
        led = self.kafka.topics.place((partition.topic, partition.partition))
        if led is None or led.leader is None:
            raise no_leader_error(partition)
        return led

    def require(self, permission: Permission, verb: str, resource: str) -> None:
        """Raises `AccessError` unless the user may do this."""
        try:
            self.kafka.permissions.require(self.user, permission)
        except Refused as refused:
            raise refused.as_error(Action(verb, resource, (permission,))) from None

    def may(self, operation: str, kind: Literal["Topic", "Group", "Cluster"], name: str = CLUSTER) -> bool:
        """True if the user may do this."""
        return self.allows(Permission(operation, kind, name))

    def allows(self, permission: Permission) -> bool:
        """True if the user has this permission."""
        return self.kafka.permissions.allows(self.user, permission)


@dataclass(frozen=True, slots=True)
class _Trouble:
    error: BrokerUnavailableError


def _is_passing(answer: object) -> bool:
    return isinstance(answer, KafkaBackupError) and answer.retryable


def _error(answer: object) -> KafkaBackupError:
    assert isinstance(answer, KafkaBackupError)
    return answer
