"""Strikes: what happens in the middle of a backup or a restore, at the n-th call of the store or of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore
from tests.simulation.histories.cluster_steps import ClusterStep
from tests.simulation.histories.struck_store import StruckStore
from tests.simulation.histories.world import World
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.kafka.faults import AnswerLost, Step
from tests.support.faults import Crashed

Kind = Literal[
    "none", "crash-store", "crash-cluster", "lose-store", "lose-cluster", "change", "second-writer", "rival", "end"
]
"""none · the process dies at a write of the store, or at a call of the cluster · answers of the store, or of the
cluster, are lost · the cluster changes · another writer runs a whole backup meanwhile and finds the first one without a
heartbeat (second-writer), or alive (rival) · a continuous backup is told to end."""


DATA_CALLS = ("reader.first_answers", "fetcher.receive", "batch.land")


@dataclass(frozen=True)
class Strike:
    """`at` counts calls from 1, of all calls or only of those that move data; a strike beyond the last one does not
    happen. `is_after`: the call had its effect. `is_repeated`: after as many calls more it strikes again, and so on."""

    kind: Kind = "none"
    at: int = 1
    is_after: bool = False
    is_at_data: bool = False
    change: ClusterStep | None = None
    is_repeated: bool = False

    @property
    def is_harmless(self) -> bool:
        """Whether a backup that is struck so has to succeed."""
        return self.kind in ("none", "lose-store", "lose-cluster", "rival", "end")

    def store(self, world: World) -> ObjectStore:
        """The repository's store as the struck process has it: with retries, as the program opens it."""
        return RetryingStore(StruckStore(world, self.kind, self.at, is_after=self.is_after), sleep=lambda seconds: None)

    @contextmanager
    def on(self, world: World, kafka: SimulatedKafka, act: Callable[[], None]) -> Iterator[None]:
        """Strike the cluster's calls while the body runs. `act` makes the change, or is the other writer."""
        kafka.interceptor = _Striker(world, self, act)
        try:
            yield
        finally:
            kafka.interceptor = lambda step: None


UNDISTURBED = Strike()


class _Striker:
    """Counts the calls of the cluster. Calls that the strike itself makes are not counted."""

    def __init__(self, world: World, strike: Strike, act: Callable[[], None]) -> None:
        self._world = world
        self._strike = strike
        self._act = act
        self._calls = 0
        self._is_dead = False
        self._is_striking = False

    def __call__(self, step: Step) -> None:
        if self._is_dead:
            raise Crashed("this process is dead")
        if step.has_happened != self._strike.is_after or self._is_striking:
            return
        if self._strike.is_at_data and not step.call.startswith(DATA_CALLS):
            return
        if self._strike.kind == "lose-cluster" and step.call == "writer.produce":
            return  # many requests; the answer of each is lost at `batch.land`
        self._calls += 1
        is_next = self._strike.is_repeated and self._calls % self._strike.at == 0
        if self._calls == self._strike.at or is_next:
            self._hit(step)

    def _hit(self, step: Step) -> None:
        match self._strike.kind:
            case "crash-cluster":
                self._is_dead = True
                self._world.struck += 1
                raise Crashed(f"crashed {step}")
            case "lose-cluster":
                self._world.struck += 1
                raise AnswerLost(str(step))
            case "change" | "second-writer" | "rival" | "end":
                self._is_striking = True
                self._world.struck += 1
                try:
                    self._act()
                finally:
                    self._is_striking = False
            case _:
                pass
