"""Shorter waits for the tests of this folder: what they wait for never comes."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _short_newborn_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.broker.raw.cluster.NEW_TOPIC_GRACE_MS", 200)
