"""A shorter wait for new topics: the tests of this folder wait for topics that do not exist."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _short_wait_for_new_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.broker.raw.cluster.NEW_TOPIC_GRACE_MS", 200)
