"""Makes the golden repository of a set with retention: `python -m tests.golden.make_retention`.

It has a base, incremental points, a consolidated point that joins them, a point that expired and came back, points that
expired and were removed with their data, an expired point, and a hold. As with the other golden repositories, only a
new format version is a reason to run this, into a folder of its own.
"""

from __future__ import annotations

from pathlib import Path

from tasks.engine.consolidate import consolidate_locally
from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.engine.holds import add_hold, release_hold
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import prune_locally, unexpire
from tasks.store.memory.memory_store import MemoryStore
from tests.golden.expected import expected_record, write_golden
from tests.simulation.rules.small_world import DAY_MS, SET, SmallWorld

FOLDER = Path(__file__).with_name("format-1-retention")
ORDERS = ("orders", 0)


def history() -> tuple[SmallWorld, dict[int, list[list[object]]]]:
    """The world, and by point the records of `orders`-0 that it has to yield."""
    world = SmallWorld()
    world.store = MemoryStore("golden", now_ms=world.clock.now_ms)
    world.topic()
    expected: dict[int, list[list[object]]] = {}

    def made(seq: int) -> int:
        log = world.source.log(ORDERS)
        expected[seq] = [
            expected_record(record.offset, record.timestamp, record.key, record.value, record.headers)
            for record in log.visible_records()
        ]
        world.clock.advance(DAY_MS)
        return seq

    def prune(policy: RetentionPolicy) -> None:
        prune_locally(world.context(world.source), SET, policy)
        world.clock.advance(DAY_MS)

    first = made(world.back_up_changes().seq)
    for number in range(LEAST_OBJECTS):
        world.send(records=2)
        producer = world.source.transactional_producer()
        producer.send(ORDERS, world.records(2))
        (producer.abort if number % 2 else producer.commit)()
        made(world.back_up_changes().seq)
    done = consolidate_locally(world.context(world.source), SET, workers=1)
    assert done is not None
    made(done.after.seq)
    add_hold(world.repository, SET, "case-7", [first], reason="audit", by="legal")
    add_hold(world.repository, SET, "case-8", None, reason="audit", by="legal")
    release_hold(world.repository, SET, "case-8", reason="over", by="legal")
    prune(RetentionPolicy(keep_last=2, minimum_points=3))
    unexpire(world.repository, SET, min(world.repository.state(SET).expired))
    prune(RetentionPolicy(keep_daily=9, grace="24h"))
    prune(RetentionPolicy(keep_daily=9, grace="24h"))
    world.send(records=1)
    made(world.back_up_changes().seq)
    prune(RetentionPolicy(keep_last=1, minimum_points=3, grace="52w"))
    return world, expected


def main() -> None:
    """Write the repository and what its live points have to yield."""
    world, expected = history()
    live = {str(seq): expected[seq] for seq in world.repository.state(SET).points}
    write_golden(FOLDER, world.store, live)


if __name__ == "__main__":
    main()
