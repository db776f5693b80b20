"""Ask Kafka about many things at once, and again about those whose answer was only "not now", until a deadline."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential, wait_random

from tasks.broker.translation import Attempt, translated
from tasks.model.errors import KafkaBackupError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Answers = dict[K, V | KafkaBackupError]
_GRACE_S = 5.0
"""How much longer than the client's own timeout to wait for it to report."""


def ask_each(
    keys: Sequence[K],
    request: Callable[[list[K]], Mapping[K, Future[Any]]],
    read: Callable[[K, Any], V],
    attempt: Callable[[K], Attempt],
    *,
    timeout_s: float,
    deadline_s: float,
) -> Answers[K, V]:
    """An answer or an error for every key, in the order of `keys`; never raises what a key can carry.

    `request` sends for the keys it is given; `read` makes a value of a key's result, or raises one of our errors.
    Keys whose error is retryable are asked again with growing pauses until `deadline_s` has passed; a request may
    therefore be sent more than once.
    """
    answers: Answers[K, V] = {}
    pending = list(keys)

    def ask_pending() -> list[K]:
        nonlocal pending
        answers.update(_one_round(pending, request, read, attempt, timeout_s))
        pending = [key for key in pending if _is_retryable(answers[key])]
        return pending

    Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(deadline_s),
        wait=wait_exponential(multiplier=0.05, max=2) + wait_random(0, 0.05),
        retry_error_callback=lambda state: None,  # what is still an error says so itself
    )(ask_pending)
    return {key: answers[key] for key in keys}


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
    attempt: Callable[[K], Attempt],
    timeout_s: float,
) -> Answers[K, V]:
    if not keys:
        return {}
    try:
        with translated(attempt(keys[0])):
            futures = request(keys)
    except KafkaBackupError as error:
        return dict.fromkeys(keys, error)
    return {key: _settled(key, futures[key], read, attempt(key), timeout_s) for key in keys}


def _settled(
    key: K, future: Future[Any], read: Callable[[K, Any], V], attempt: Attempt, timeout_s: float
) -> V | KafkaBackupError:
    try:
        with translated(attempt):
            result = future.result(timeout_s + _GRACE_S)
        return read(key, result)
    except KafkaBackupError as error:
        return error


def _is_retryable(answer: object) -> bool:
    return isinstance(answer, KafkaBackupError) and answer.retryable
