"""Fixtures that every test may ask for: a real Kafka for the session, and names that no other test uses."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator

import pytest

from tests.support.kafka import DEFAULT_VERSION, KafkaCluster, MissingToolError, require_tools

KAFKA_VERSION = os.environ.get("KAFKA_VERSION", DEFAULT_VERSION)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where no Kafka can be started, tests marked `kafka` are skipped with the reason, and fail in CI."""
    if item.get_closest_marker("kafka") is None or (reason := _why_no_kafka()) is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _why_no_kafka() -> str | None:
    try:
        require_tools(KAFKA_VERSION)
    except MissingToolError as error:
        return str(error)
    return None


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    """One Kafka node for all tests of the session, of the version in the environment variable KAFKA_VERSION.

    Tests share it: they use names of their own, and do not stop it.
    """
    with KafkaCluster(KAFKA_VERSION) as cluster:
        yield cluster


@pytest.fixture
def topic_name(request: pytest.FixtureRequest) -> str:
    """A name for this test's topic; also a stem for further names, since no other test's name starts with it."""
    test = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name)[:60].strip("-")
    return f"{test}-{uuid.uuid4().hex[:8]}"
