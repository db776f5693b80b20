"""Administrative requests about many keys (topics, groups, partitions) at once: how keys are divided over requests, and
how long each key is retried, also after a quota is used up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, KafkaBackupError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

Answers = dict[K, V | KafkaBackupError]
"""For each key its value, or its error."""

_LONGEST_WAIT_MS = 2_000
_FIRST_NOTICE_MS = 2_000
"""A wait for a quota is logged if it is at least this long."""


@dataclass(slots=True)
class Attempt:
    """One attempt to send the requests of an operation. `number` begins with 1. `throttle_time_ms` is the longest wait
    that the answers of this attempt demand before the next request."""

    cluster: Cluster
    number: int = 1
    throttle_time_ms: int = 0

    def any_broker(self) -> Connection:
        """A connection to any broker."""
        return self.cluster.any_connection()

    def controller(self) -> Connection:
        """A connection to the broker to which changes of topics are sent."""
        return self.cluster.controller()

    def broker(self, node_id: int) -> Connection:
        """A connection to this broker. Requests the metadata first if it does not contain the broker."""
        if not self.cluster.knows(node_id):
            self.cluster.refresh_brokers()
        return self.cluster.connection(node_id)

    def call(self, connection: Connection, request: Any, lowest: int, highest: int) -> Any:
        """Send the request in the newest version from `lowest` to `highest` that the broker supports, and return its
        answer. Raises `UnsupportedError` if the broker supports none of them, and the connection's errors."""
        request.API_VERSION = connection.pick(request.API_KEY, lowest, highest)
        return self.received(connection.call(request, self.cluster.stop))

    def received(self, answer: Any) -> Any:
        """Keep the throttle time of an answer, and return the answer."""
        self.throttle_time_ms = max(self.throttle_time_ms, answer.throttle_time_ms or 0)
        return answer


Send = Callable[[Attempt, list[K]], Mapping[K, V | KafkaBackupError]]
"""Sends requests about the given keys and returns the answer for each. An error that it raises is the answer for
all."""

Split = Callable[[Sequence[K]], Iterable[list[K]]]
"""Divides keys into lists, one for each call of `Send`."""


def together(keys: Sequence[K]) -> Iterable[list[K]]:
    """A `Split` with all keys in one list."""
    yield list(keys)


def by_number(most: int) -> Split[Any]:
    """A `Split` into lists with at most `most` keys."""

    def split(keys: Sequence[K]) -> Iterable[list[K]]:
        for start in range(0, len(keys), most):
            yield list(keys[start : start + most])

    return split


def by_weight(weight: Callable[[Any], int], most: int) -> Split[Any]:
    """A `Split` into lists whose weights have a sum of at most `most`. A key with a larger weight is in a list of its
    own."""

    def split(keys: Sequence[K]) -> Iterable[list[K]]:
        chunk: list[K] = []
        total = 0
        for key in keys:
            own = weight(key)
            if chunk and total + own > most:
                yield chunk
                chunk, total = [], 0
            chunk.append(key)
            total += own
        if chunk:
            yield chunk

    return split


def answer_each(
    cluster: Cluster,
    keys: Sequence[K],
    send: Send[K, V],
    action: Callable[[K], Action],
    *,
    split: Split[K],
    deadline_ms: Callable[[], int],
    stop: threading.Event,
) -> Answers[K, V]:
    """A value or an error for every key, in the order of `keys`.

    Keys with a retryable error are sent again until `deadline_ms()` has passed since an attempt that answered at least
    one key, so a request can be sent more than once. If a quota is used up, the next attempt waits as long as the
    broker demands. Raises only `InterruptedRunError`, soon after `stop` is set.
    """
    answers: Answers[K, V] = {}
    pending = list(keys)
    deadline = RetryDeadline(deadline_ms, stop, longest_wait_ms=_LONGEST_WAIT_MS)
    attempt = Attempt(cluster)
    subject = f"the cluster to {action(pending[0])}" if pending else ""
    with cluster.options.contact.operation(subject) as waiting:
        while pending:
            answers.update(_sent(attempt, pending, send, action, split))
            missing = [key for key in pending if _is_retryable(answers[key])]
            if len(missing) < len(pending):
                deadline = RetryDeadline(deadline_ms, stop, longest_wait_ms=_LONGEST_WAIT_MS)
            pending = missing
            if not pending:
                break
            waiting.failed(answers[pending[0]])
            if not _wait(deadline, attempt, pending, len(keys), answers, action):
                break
            attempt = Attempt(cluster, attempt.number + 1)
    return {key: answers[key] for key in keys}


def values_or_raise(answers: Mapping[K, V | KafkaBackupError]) -> dict[K, V]:
    """The values of all keys. Raises the first error if there is one."""
    found: dict[K, V] = {}
    for key, answer in answers.items():
        if isinstance(answer, KafkaBackupError):
            raise answer
        found[key] = answer
    return found


def _sent(
    attempt: Attempt, keys: Sequence[K], send: Send[K, V], action: Callable[[K], Action], split: Split[K]
) -> Answers[K, V]:
    """The answers to one attempt. After a lost connection the remaining keys are not sent, because each request could
    wait as long."""
    answers: Answers[K, V] = {}
    lost: KafkaBackupError | None = None
    try:
        if attempt.number > 1:
            attempt.cluster.refresh_brokers()  # another broker can be the controller, or have another address
    except BrokerUnavailableError as error:
        lost = error
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return dict.fromkeys(keys, error)
    for chunk in split(keys):
        if lost is None:
            try:
                answers.update(send(attempt, chunk))
                continue
            except InterruptedRunError:
                raise
            except BrokerUnavailableError as error:
                lost = error
            except KafkaBackupError as error:
                answers.update(dict.fromkeys(chunk, error))
                continue
        answers.update({key: lost_error(action(key), lost) for key in chunk})
    return answers


def lost_error(action: Action, error: KafkaBackupError) -> KafkaBackupError:
    """The error of an action whose connection failed: the given error, with the action in front of its message."""
    if not isinstance(error, BrokerUnavailableError) or str(error).startswith(f"Cannot {action}"):
        return error
    return BrokerUnavailableError(f"Cannot {action}: {error}", code=error.code)


def _wait(
    deadline: RetryDeadline,
    attempt: Attempt,
    pending: Sequence[K],
    total: int,
    answers: Mapping[K, object],
    action: Callable[[K], Action],
) -> bool:
    """Wait before the next attempt and return True. Returns False after the deadline."""
    is_limited = any(
        isinstance(error := answers[key], BrokerUnavailableError) and error.code == ErrorCode.THROTTLING_QUOTA_EXCEEDED
        for key in pending
    )
    if not is_limited or not attempt.throttle_time_ms:
        return deadline.wait()
    if attempt.throttle_time_ms >= _FIRST_NOTICE_MS:
        reason = f"cannot yet {action(pending[0])} ({len(pending)} of {total} to do)"
        attempt.cluster.options.contact.report("a quota of the cluster on changes of topics", reason)
    return deadline.wait_for(attempt.throttle_time_ms)


def _is_retryable(answer: object) -> bool:
    return isinstance(answer, KafkaBackupError) and answer.retryable
