"""The simulated cluster as the engine reaches it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.kafka.admin import SimulatedAdmin
from tests.simulation.kafka.calls import Client
from tests.simulation.kafka.outside import SimulatedProbe
from tests.simulation.kafka.reader import SimulatedLogReader
from tests.simulation.kafka.record_reader import SimulatedRecordReader
from tests.simulation.kafka.writer import SimulatedLogWriter

if TYPE_CHECKING:
    from tests.simulation.kafka.cluster import SimulatedKafka


@dataclass(frozen=True, slots=True)
class SimulatedAccess:
    """The `ClusterAccess` of a simulated cluster, for one user. `deadline_ms` is simulated time."""

    kafka: SimulatedKafka
    user: str
    deadline_ms: int

    @contextmanager
    def reader(self, stop: threading.Event) -> Iterator[SimulatedLogReader]:
        """See `ClusterAccess.reader`."""
        yield SimulatedLogReader(self._client(stop))

    @contextmanager
    def writer(self, stop: threading.Event) -> Iterator[SimulatedLogWriter]:
        """See `ClusterAccess.writer`."""
        yield SimulatedLogWriter(self._client(stop))

    @contextmanager
    def record_reader(self, stop: threading.Event) -> Iterator[SimulatedRecordReader]:
        """See `ClusterAccess.record_reader`."""
        yield SimulatedRecordReader(self._client(stop))

    @contextmanager
    def admin(self, stop: threading.Event) -> Iterator[SimulatedAdmin]:
        """See `ClusterAccess.admin`."""
        yield SimulatedAdmin(self._client(stop))

    def probe(self, stop: threading.Event) -> SimulatedProbe:
        """See `ClusterAccess.probe`."""
        return SimulatedProbe(self.kafka, self.user, stop)

    def _client(self, stop: threading.Event) -> Client:
        return Client(self.kafka, self.user, self.deadline_ms, stop)
