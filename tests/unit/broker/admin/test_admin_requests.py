"""Asking about many things at once, and again."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from tasks.broker.admin.admin_requests import call_each, values
from tasks.broker.admin.client import done, started
from tasks.broker.translation import Action
from tasks.model.errors import AccessError, BrokerError, BrokerUnavailableError, ConfigError, KafkaBackupError

LOADING, FORBIDDEN, TOO_LARGE = 14, 29, 10


class Answers:
    """A broker that gives each key its answers in turn: a number is an error code, a string a result."""

    def __init__(self, **answers: list[int | str]) -> None:
        self.answers = answers
        self.asked: list[list[str]] = []

    def request(self, keys: list[str]) -> Mapping[str, Future[Any]]:
        self.asked.append(keys)
        return {key: self._next(key) for key in keys}

    def _next(self, key: str) -> Future[Any]:
        answer = self.answers[key].pop(0)
        if isinstance(answer, str):
            return done(answer)
        future: Future[Any] = Future()
        future.set_exception(KafkaException(KafkaError(answer)))
        return future

    def ask(self, *, deadline_s: float = 30) -> dict[str, str | KafkaBackupError]:
        def read(key: str, result: Any) -> str:
            return f"{key}={result}"

        return call_each(list(self.answers), self.request, read, _action, timeout_s=1, deadline_s=deadline_s)


def _action(key: str) -> Action:
    return Action("describe", f"topic {key}")


def test_only_what_was_not_now_is_asked_again() -> None:
    broker = Answers(a=["x"], b=[LOADING, LOADING, "y"], c=[FORBIDDEN])

    found = broker.ask()

    assert broker.asked == [["a", "b", "c"], ["b"], ["b"]]
    assert (found["a"], found["b"]) == ("a=x", "b=y")
    assert isinstance(found["c"], AccessError)
    assert list(found) == ["a", "b", "c"]


def test_after_the_deadline_the_last_answer_stands() -> None:
    found = Answers(a=[LOADING, "late"], b=["x"]).ask(deadline_s=0)

    assert isinstance(found["a"], BrokerUnavailableError)
    assert (found["a"].code, found["b"]) == (LOADING, "b=x")
    with pytest.raises(BrokerUnavailableError, match="Cannot describe topic a"):
        values(found)


def test_nothing_is_sent_for_nothing() -> None:
    broker = Answers()
    assert broker.ask() == {}
    assert broker.asked == []


def test_an_error_raised_while_sending_belongs_to_every_key_and_one_raised_for_a_key_to_it_alone() -> None:
    def refuse() -> Future[Any]:
        raise ValueError("'group_id' cannot be empty")

    def request(keys: list[str]) -> Mapping[str, Future[Any]]:
        if "all" in keys:
            refuse()
        return {key: started(refuse) if key == "bad" else done("x") for key in keys}

    def ask(*keys: str) -> dict[str, str | KafkaBackupError]:
        return call_each(list(keys), request, lambda key, result: str(result), _action, timeout_s=1, deadline_s=0)

    alone, both = ask("good", "bad"), ask("all", "good")

    assert alone["good"] == "x"
    for error in (alone["bad"], *both.values()):
        assert isinstance(error, ConfigError)
        assert "cannot be empty" in str(error)


def test_what_reading_an_answer_raises_is_that_keys_error() -> None:
    def read(key: str, result: Any) -> str:
        raise BrokerError("one partition failed", code=TOO_LARGE)

    found = call_each(["a"], lambda keys: {"a": done(1)}, read, _action, timeout_s=1, deadline_s=0)

    assert isinstance(found["a"], BrokerError)
    assert found["a"].code == TOO_LARGE
