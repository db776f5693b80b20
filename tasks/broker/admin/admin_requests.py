"""Ask Kafka about many things at once, and again about those whose answer was only "not now", until a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential, wait_random

from tasks.broker.translation import Action, translated
from tasks.model.errors import InterruptedRunError, KafkaBackupError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Answers = dict[K, V | KafkaBackupError]
_GRACE_S = 5.0
"""How much longer than the client's own timeout to wait for it to report."""

_GLANCE_S = 0.2
"""How often to look at `stop` while waiting."""


def call_each(
    keys: Sequence[K],
    request: Callable[[list[K]], Mapping[K, Future[Any]]],
    read: Callable[[K, Any], V],
    action: Callable[[K], Action],
    *,
    timeout_s: float,
    deadline_s: float,
    stop: threading.Event | None = None,
) -> Answers[K, V]:
    """An answer or an error for every key, in the order of `keys`; never raises what a key can carry.

    `request` sends for the keys it is given; `read` makes a value of a key's result, or raises one of our errors.
    Keys whose error is retryable are asked again with growing pauses until `deadline_s` has passed; a request may
    therefore be sent more than once. Raises `InterruptedRunError` soon after `stop` is set.
    """
    stop = stop or threading.Event()
    answers: Answers[K, V] = {}
    pending = list(keys)

    def ask_pending() -> list[K]:
        nonlocal pending
        answers.update(_one_round(pending, request, read, action, timeout_s, stop))
        pending = [key for key in pending if _is_retryable(answers[key])]
        return pending

    Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(deadline_s),
        wait=wait_exponential(multiplier=0.05, max=2) + wait_random(0, 0.05),
        sleep=pause_until(stop),
        retry_error_callback=lambda state: None,  # what is still an error says so itself
    )(ask_pending)
    return {key: answers[key] for key in keys}


def pause_until(stop: threading.Event) -> Callable[[float], None]:
    """A pause of so many seconds that `stop` ends with `InterruptedRunError`."""

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise InterruptedRunError("Stopped on request.")

    return pause


def values(answers: Mapping[K, V | KafkaBackupError]) -> dict[K, V]:
    """The answers, or the first error raised."""
    found: dict[K, V] = {}
    for key, answer in answers.items():
        if isinstance(answer, KafkaBackupError):
            raise answer
        found[key] = answer
    return found


def _one_round(
    keys: list[K],
    request: Callable[[list[K]], Mapping[K, Future[Any]]],
    read: Callable[[K, Any], V],
    action: Callable[[K], Action],
    timeout_s: float,
    stop: threading.Event,
) -> Answers[K, V]:
    if not keys:
        return {}
    try:
        with translated(action(keys[0])):
            futures = request(keys)
    except KafkaBackupError as error:
        return dict.fromkeys(keys, error)
    return {key: _settled(key, futures[key], read, action(key), timeout_s, stop) for key in keys}


def _settled(
    key: K,
    future: Future[Any],
    read: Callable[[K, Any], V],
    action: Action,
    timeout_s: float,
    stop: threading.Event,
) -> V | KafkaBackupError:
    try:
        with translated(action):
            _await(future, timeout_s + _GRACE_S, stop)
            result = future.result(0)
        return read(key, result)
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return error


def _await(future: Future[Any], timeout_s: float, stop: threading.Event) -> None:
    """Return when the future is settled or the time is over."""
    ends = time.monotonic() + timeout_s
    while not wait([future], min(_GLANCE_S, max(0.0, ends - time.monotonic()))).done and time.monotonic() < ends:
        if stop.is_set():
            raise InterruptedRunError("Stopped on request.")


def _is_retryable(answer: object) -> bool:
    return isinstance(answer, KafkaBackupError) and answer.retryable
