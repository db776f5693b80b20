"""Requests about many things at once through confluent-kafka, with retries for each thing until a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, translated
from tasks.model.errors import InterruptedRunError, KafkaBackupError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

Answers = dict[K, V | KafkaBackupError]
"""For each key its value, or its error."""

_EXTRA_WAIT_S = 5.0
"""How much longer than the client's own timeout a future is awaited: the client reports the timeout itself."""

_STOP_CHECK_S = 0.2
"""How often a wait for a future checks `stop`."""

_LONGEST_WAIT_MS = 2_000


def call_each(
    keys: Sequence[K],
    send: Callable[[list[K]], Mapping[K, Future[Any]]],
    convert: Callable[[K, Any], V],
    action: Callable[[K], Action],
    *,
    timeout_s: float,
    deadline_ms: int,
    stop: threading.Event,
) -> Answers[K, V]:
    """Return a value or an error for every key, in the order of `keys`.

    `send` sends requests for the keys it gets and returns a future for each. `convert` turns a key's result into its
    value, or raises one of this program's errors. Keys with a retryable error are sent again until `deadline_ms` has
    passed, so a request can be sent more than once. Raises only `InterruptedRunError`, soon after `stop` is set.
    """
    answers: Answers[K, V] = {}
    deadline = RetryDeadline(deadline_ms, stop, longest_wait_ms=_LONGEST_WAIT_MS)
    pending = list(keys)
    while pending:
        answers.update(_call_once(pending, send, convert, action, timeout_s, stop))
        pending = [key for key in pending if _is_retryable(answers[key])]
        if pending and not deadline.wait():
            break
    return {key: answers[key] for key in keys}


def values_or_raise(answers: Mapping[K, V | KafkaBackupError]) -> dict[K, V]:
    """The values of all keys. Raises the first error instead if there is one."""
    found: dict[K, V] = {}
    for key, answer in answers.items():
        if isinstance(answer, KafkaBackupError):
            raise answer
        found[key] = answer
    return found


def completed_future(value: T) -> Future[T]:
    """A future with this result, for calls that block instead of returning a future."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def future_of(call: Callable[[], Future[T]]) -> Future[T]:
    """The future that `call` returns, or a future with the exception that it raises.

    So an exception raised while sending for one key does not fail the other keys.
    """
    try:
        return call()
    except Exception as error:
        future: Future[T] = Future()
        future.set_exception(error)
        return future


def _call_once(
    keys: list[K],
    send: Callable[[list[K]], Mapping[K, Future[Any]]],
    convert: Callable[[K, Any], V],
    action: Callable[[K], Action],
    timeout_s: float,
    stop: threading.Event,
) -> Answers[K, V]:
    try:
        with translated(action(keys[0])):
            futures = send(keys)
    except KafkaBackupError as error:
        return dict.fromkeys(keys, error)
    return {key: _answer(key, futures[key], convert, action(key), timeout_s, stop) for key in keys}


def _answer(
    key: K,
    future: Future[Any],
    convert: Callable[[K, Any], V],
    action: Action,
    timeout_s: float,
    stop: threading.Event,
) -> V | KafkaBackupError:
    try:
        with translated(action):
            _wait_until_done(future, timeout_s + _EXTRA_WAIT_S, stop)
            result = future.result(0)
        return convert(key, result)
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return error


def _wait_until_done(future: Future[Any], timeout_s: float, stop: threading.Event) -> None:
    """Return when the future is done or the timeout has passed."""
    ends = time.monotonic() + timeout_s
    while not wait([future], min(_STOP_CHECK_S, max(0.0, ends - time.monotonic()))).done and time.monotonic() < ends:
        if stop.is_set():
            raise InterruptedRunError("Stopped on request.")


def _is_retryable(answer: object) -> bool:
    return isinstance(answer, KafkaBackupError) and answer.retryable
