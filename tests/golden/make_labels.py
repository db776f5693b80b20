"""Makes the golden repository of a set with labels and marks: `python -m tests.golden.make_labels`.

It has points with labels, labels that were changed and removed later, points that were removed and others that the
policy kept for their labels, marks, a mark that was removed and its offsets deleted, and a freeze that is over. As with
the other golden repositories, only a new format version is a reason to run this, into a folder of its own.
"""

from __future__ import annotations

from pathlib import Path

from tasks.engine.freeze import freeze_repository, thaw_repository
from tasks.engine.labels import change_labels
from tasks.engine.marks import remove_mark, set_mark
from tasks.engine.options import BackupOptions, RetentionPolicy, TopicSelection
from tasks.engine.prune import prune_locally
from tasks.store.memory.memory_store import MemoryStore
from tests.golden.expected import expected_record, write_golden
from tests.simulation.rules.small_world import DAY_MS, SET, SmallWorld

FOLDER = Path(__file__).with_name("format-1-labels")
ORDERS = ("orders", 0)


def history() -> tuple[SmallWorld, dict[str, object]]:
    """The world, and what a reader has to find: by live point its labels and the records of `orders`-0, and by mark its
    partitions."""
    world = SmallWorld()
    world.store = MemoryStore("golden", now_ms=world.clock.now_ms)
    world.topic(partitions=2, records=3)
    records: dict[int, list[list[object]]] = {}
    marks: dict[str, list[list[object]]] = {}

    def back_up(**labels: str) -> int:
        world.send(records=2)
        seq = world.back_up_changes(labels=labels).seq
        records[seq] = [
            expected_record(record.offset, record.timestamp, record.key, record.value, record.headers)
            for record in world.source.log(ORDERS).visible_records()
        ]
        world.clock.advance(DAY_MS)
        return seq

    def mark(name: str, note: str | None = None) -> None:
        context = world.context(world.source)
        set_mark(context, SET, name, topics=TopicSelection(), options=BackupOptions(), note=note)
        ids = {topic: found.topic_id for topic, found in world.source.topics.by_name.items()}
        logs = [(ORDERS[0], partition, world.source.log((ORDERS[0], partition))) for partition in range(2)]
        marks[name] = [[topic, ids[topic], partition, log.log_start, log.end] for topic, partition, log in logs]

    def prune() -> None:
        policy = RetentionPolicy(keep_last=1, keep_tag=("release", "env=prod"))
        prune_locally(world.context(world.source), SET, policy)
        world.clock.advance(DAY_MS)

    first, second = back_up(release="1.2.3", env="test"), back_up(env="test")
    mark("before-migration", note="release 1.2.4 | ü")
    third, fourth = back_up(env="prod"), back_up()
    mark("gone")
    change_labels(world.repository, SET, first, {"incident/id": "4711", "release": "1.2.4"}, ["env"])
    change_labels(world.repository, SET, fourth, {"env": "prod", "query": "a=b"}, [])
    change_labels(world.repository, SET, third, {}, ["env"])
    last = back_up()
    freeze_repository(world.context(world.source), reason="incident", by="ops")
    mark("incident")
    thaw_repository(world.repository, reason="over", by="ops")
    remove_mark(world.repository, SET, "gone")
    prune()
    prune()
    prune()
    assert [first, fourth, last] == list(world.repository.state(SET).points), (second, third)
    labels = {first: {"incident/id": "4711", "release": "1.2.4"}, fourth: {"env": "prod", "query": "a=b"}, last: {}}
    del marks["gone"]
    expected = {
        "points": {str(seq): {"labels": found, "records": records[seq]} for seq, found in labels.items()},
        "marks": marks,
    }
    return world, expected


def main() -> None:
    """Write the repository and what its live points and marks have to yield."""
    world, expected = history()
    write_golden(FOLDER, world.store, expected)


if __name__ == "__main__":
    main()
