"""Requests that a writer had sent when it died: they may still reach their leaders.

Source: KAFKA.md A1: batches of a dead client appeared in the log up to 100 ms later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from tasks.broker.admin_values import TopicPartition
from tests.simulation.kafka.clock import SimulatedClock
from tests.simulation.kafka.refusals import Refused

LANDING_MS = 100


class InFlight(NamedTuple):
    """A produced batch on its way; it names the topic, not its id."""

    place: TopicPartition
    data: bytes


class Wire:
    """Batches in flight whose writer is gone. They land in order 100 ms later, or when `land` is called."""

    def __init__(self, append: Callable[[TopicPartition, bytes], object], clock: SimulatedClock) -> None:
        self._append = append
        self._clock = clock
        self.in_flight: list[InFlight] = []

    def leave(self, batches: list[InFlight]) -> None:
        """These are on their way, and their writer is gone."""
        if batches:
            self.in_flight += batches
            self._clock.after(LANDING_MS, self.land)

    def land(self) -> None:
        """They arrive now; a leader may refuse one."""
        batches, self.in_flight = self.in_flight, []
        for batch in batches:
            with contextlib.suppress(Refused):
                self._append(batch.place, batch.data)

    def drop(self) -> None:
        """They are lost."""
        self.in_flight.clear()
