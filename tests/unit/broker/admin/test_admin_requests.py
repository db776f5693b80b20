"""Requests about many things at once: each key gets its own value or error, and only retryable errors are retried."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from tasks.broker.admin.admin_requests import Answers, call_each, completed_future, future_of, values_or_raise
from tasks.broker.error_codes import ErrorCode
from tasks.broker.translation import Action
from tasks.model.errors import (
    AccessError,
    BrokerError,
    BrokerUnavailableError,
    ConfigError,
    InterruptedRunError,
    KafkaBackupError,
)

LOADING = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
FORBIDDEN = ErrorCode.TOPIC_AUTHORIZATION_FAILED


class ScriptedClient:
    """Gives each key its answers in turn: a code is an error, a string is a result. `sent` are the keys per request."""

    def __init__(self, **answers: list[ErrorCode | str]) -> None:
        self.answers = answers
        self.sent: list[list[str]] = []
        self.stop = threading.Event()

    def send(self, keys: list[str]) -> Mapping[str, Future[Any]]:
        self.sent.append(keys)
        return {key: self._next(key) for key in keys}

    def _next(self, key: str) -> Future[Any]:
        answer = self.answers[key].pop(0)
        if isinstance(answer, str):
            return completed_future(answer)
        future: Future[Any] = Future()
        future.set_exception(KafkaException(KafkaError(answer)))
        return future

    def call_all(self, *, deadline_ms: int = 30_000) -> Answers[str, str]:
        def convert(key: str, result: Any) -> str:
            return f"{key}={result}"

        return call_each(
            list(self.answers), self.send, convert, _action, timeout_s=1, deadline_ms=deadline_ms, stop=self.stop
        )


def _action(key: str) -> Action:
    return Action("describe", f"topic {key}")


def _once(keys: list[str], send: Any, convert: Any) -> Answers[str, str]:
    return call_each(keys, send, convert, _action, timeout_s=1, deadline_ms=0, stop=threading.Event())


def test_only_keys_with_a_retryable_error_are_sent_again() -> None:
    client = ScriptedClient(a=["x"], b=[LOADING, LOADING, "y"], c=[FORBIDDEN])

    found = client.call_all()

    assert client.sent == [["a", "b", "c"], ["b"], ["b"]]
    assert (found["a"], found["b"]) == ("a=x", "b=y")
    assert isinstance(found["c"], AccessError)
    assert list(found) == ["a", "b", "c"]


def test_after_the_deadline_the_last_error_is_the_answer() -> None:
    found = ScriptedClient(a=[LOADING, "late"], b=["x"]).call_all(deadline_ms=0)

    assert isinstance(found["a"], BrokerUnavailableError)
    assert (found["a"].code, found["b"]) == (LOADING, "b=x")
    with pytest.raises(BrokerUnavailableError, match="Cannot describe topic a"):
        values_or_raise(found)


def test_stop_ends_the_retries() -> None:
    client = ScriptedClient(a=[LOADING] * 100)
    client.stop.set()

    with pytest.raises(InterruptedRunError):
        client.call_all()
    assert client.sent == [["a"]]


def test_stop_ends_the_wait_for_a_future() -> None:
    client = ScriptedClient(a=[])
    client.stop.set()

    with pytest.raises(InterruptedRunError):
        call_each(
            ["a"], lambda keys: {"a": Future()}, _no_result, _action, timeout_s=60, deadline_ms=0, stop=client.stop
        )


def _no_result(key: str, result: Any) -> str:
    raise AssertionError("the future has no result")


def test_without_keys_nothing_is_sent() -> None:
    client = ScriptedClient()
    assert client.call_all() == {}
    assert client.sent == []


def test_an_error_while_sending_fails_every_key_of_the_request_and_an_error_for_one_key_fails_only_it() -> None:
    def fail() -> Future[Any]:
        raise ValueError("'group_id' cannot be empty")

    def send(keys: list[str]) -> Mapping[str, Future[Any]]:
        if "all" in keys:
            fail()
        return {key: future_of(fail) if key == "bad" else completed_future("x") for key in keys}

    def convert(key: str, result: Any) -> str:
        return str(result)

    alone = _once(["good", "bad"], send, convert)
    both = _once(["all", "good"], send, convert)

    assert alone["good"] == "x"
    errors: list[str | KafkaBackupError] = [alone["bad"], *both.values()]
    for error in errors:
        assert isinstance(error, ConfigError)
        assert "cannot be empty" in str(error)
    assert len(errors) == 3


def test_an_error_while_converting_a_result_is_the_error_of_its_key() -> None:
    def convert(key: str, result: Any) -> str:
        raise BrokerError("one partition failed", code=ErrorCode.MESSAGE_TOO_LARGE)

    found = _once(["a"], lambda keys: {"a": completed_future(1)}, convert)

    assert isinstance(found["a"], BrokerError)
    assert found["a"].code == ErrorCode.MESSAGE_TOO_LARGE
