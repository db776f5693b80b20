"""The world of a history: a source cluster, a target cluster, a repository, one clock, and the model beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from tasks.engine.run_context import ClusterContext
from tasks.repository.names import new_run_id
from tasks.repository.repository import Repository
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tests.simulation.histories.model import Model
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.kafka.clock import SimulatedClock, SimulatedStop
from tests.simulation.kafka.producers import TransactionalProducer

SET = "set"
NODES = 3
OMITTED_ANSWERS = 0.3
"""So that ranges are read with and without a shared answer in every history."""


@dataclass
class World:
    """`log` has what happened, a line per step. `struck` counts the strikes that have happened."""

    version: str = "4.3.1"
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    disk: MemoryStore = field(default_factory=lambda: MemoryStore("history"))
    model: Model = field(default_factory=Model)
    log: list[str] = field(default_factory=list)
    transactions: list[TransactionalProducer] = field(default_factory=list)
    struck: int = 0

    def __post_init__(self) -> None:
        self.source = SimulatedKafka(
            version=self.version,
            nodes=NODES,
            segment_batches=2,
            positions_partitions=1,
            omitted_answers=OMITTED_ANSWERS,
            seed=1,
            clock=self.clock,
        )
        self.target = SimulatedKafka(nodes=NODES, positions_partitions=1, seed=2, clock=self.clock)
        self.producer = self.source.producer()
        self._names = count()
        self._values = count()

    def context(self, cluster: SimulatedKafka, store: ObjectStore | None = None) -> ClusterContext:
        """What the program's use cases need; a new process each time."""
        return ClusterContext(
            repository=Repository.open_or_create(store or self.disk, self.clock.now_ms),
            cluster=cluster.access(),
            stop=SimulatedStop(self.clock),
            clock=self.clock.monotonic_s,
        )

    def run_id(self) -> str:
        """The next id of a run or a restore."""
        return new_run_id(self.clock.now_ms())

    def new_name(self, stem: str) -> str:
        """A name that nothing has yet."""
        return f"{stem}-{next(self._names)}"

    def new_value(self) -> bytes:
        """A value that no record has yet, so that a record is known by it."""
        return b"%d" % next(self._values)

    def topic(self, number: int) -> str | None:
        """One of the ordinary topics of the source, whichever there are; None without any."""
        names = sorted(name for name, topic in self.source.topics.by_name.items() if not topic.is_internal)
        return names[number % len(names)] if names else None

    def place(self, topic: int, partition: int) -> tuple[str, int] | None:
        """One of the partitions of one of the topics."""
        name = self.topic(topic)
        if name is None:
            return None
        return name, partition % len(self.source.topics.by_name[name].partitions)
