"""Fixtures of the rules."""

from __future__ import annotations

import pytest

from tests.simulation.rules.small_world import SmallWorld


@pytest.fixture
def world() -> SmallWorld:
    """An empty source, an empty target and an empty repository."""
    return SmallWorld()
