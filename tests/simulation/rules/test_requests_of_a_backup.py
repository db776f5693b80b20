"""The number of requests of a backup. It does not grow with the number of earlier points or of workers."""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.engine.snapshot import snapshot_locally
from tasks.repository.leases import Lease
from tests.simulation.kafka.faults import Step
from tests.simulation.rules.small_world import SET, SmallWorld
from tests.support.counting_store import CountingStore

TOPICS = 10
PARTITIONS_EACH = 100
BINS = 4
FETCHES = ("reader.first_answers", "fetcher.send", "fetcher.receive")


class CountedWorld(SmallWorld):
    """A cluster of 1,000 partitions. The requests to its store, and the calls of its ports, are counted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.has_points = False
        self.store = self.counting = CountingStore(self.store)
        for number in range(TOPICS):
            self.topic(f"topic-{number}", partitions=PARTITIONS_EACH, records=1)

    def counts(self, workers: int) -> tuple[Counter[str], Counter[str]]:
        """(store requests by operation, port calls by name) of one snapshot in a process of its own.

        Reading the log, which takes at most as many requests as there are entries between two checkpoints, is left out.
        """
        context, calls = self.context(self.source), Counter[str]()
        if self.has_points:
            context.repository.state(SET)

        def note(step: Step) -> None:
            if not step.has_happened:
                calls[step.call] += 1

        self.counting.requests.clear()
        self.source.interceptor = note
        snapshot_locally(context, self.request(), workers=workers)
        self.has_points = True
        return Counter(one.operation for one in self.counting.requests), calls


@pytest.mark.parametrize("between", [1, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_a_backup_of_an_unchanged_cluster_takes_the_same_requests_every_time(
    between: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many for 1,000 partitions in 4 bins, however many points there are, and for any number of workers."""
    monkeypatch.setattr(Lease, "renew", lambda lease: None)  # a slow run would renew its lease
    world = CountedWorld()
    world.counts(1)
    second, second_calls = world.counts(1)
    for _ in range(between):
        world.counts(1)

    last, last_calls = world.counts(4)

    assert {"get": 18, "put_if_absent": 12, "compare_and_swap": 3, "put": 1} == second == last
    assert second_calls == last_calls
    assert (BINS, 0, 0) == tuple(second_calls[call] for call in FETCHES), (
        "250 partitions share a request to each leader"
    )
    assert second_calls.total() <= 20 + BINS
