"""Makes the golden repository of a set with a maximum age: `python -m tests.golden.make_drops`.

It has incremental points from which two drops took data, one of them while a point was held. As with the other golden
repositories, only a new format version is a reason to run this, into a folder of its own.
"""

from __future__ import annotations

from pathlib import Path

from tasks.engine.holds import add_hold, release_hold
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import prune_locally
from tasks.store.memory.memory_store import MemoryStore
from tests.golden.expected import expected_record, write_golden
from tests.simulation.rules.small_world import DAY_MS, SET, SmallWorld

FOLDER = Path(__file__).with_name("format-1-drops")
ORDERS = ("orders", 0)
DAYS = 8
POLICY = RetentionPolicy(keep_last=DAYS, maximum_age="4d")


def history() -> tuple[SmallWorld, dict[int, list[list[object]]]]:
    """The world, and by point the records of `orders`-0 that it has to yield: each day has four of them. The point of
    the third day is held, and still has everything."""
    world = SmallWorld()
    world.store = MemoryStore("golden", now_ms=world.clock.now_ms)
    world.topic(records=0)
    made: dict[int, list[list[object]]] = {}
    for _ in range(DAYS):
        world.send(records=4)
        seq = world.back_up_changes().seq
        log = world.source.log(ORDERS)
        made[seq] = [
            expected_record(record.offset, record.timestamp, record.key, record.value, record.headers)
            for record in log.visible_records()
        ]
        world.clock.advance(DAY_MS)
    third, fourth = sorted(made)[2:4]
    add_hold(world.repository, SET, "case-7", [third], reason="audit", by="legal")
    add_hold(world.repository, SET, "case-8", [fourth], reason="audit", by="legal")
    prune_locally(world.context(world.source), SET, POLICY)
    release_hold(world.repository, SET, "case-8", reason="over", by="legal")
    prune_locally(world.context(world.source), SET, POLICY)
    return world, {seq: records if seq == third else records[4 * (DAYS - 4) :] for seq, records in made.items()}


def main() -> None:
    """Write the repository and what its live points have to yield."""
    world, expected = history()
    live = {str(seq): expected[seq] for seq in world.repository.state(SET).points}
    write_golden(FOLDER, world.store, live)


if __name__ == "__main__":
    main()
