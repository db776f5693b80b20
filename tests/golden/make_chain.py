"""Makes a golden repository of a chain: `python -m tests.golden.make_chain FOLDER`.

It is the repository that a fixed history leaves behind, over a simulated Kafka. `format-1-chain` has incremental
points: an overtaken stored offset, a topic that was created again, an unclean election, and a run that was finished by
another one. `format-1-cycles` has continuous points: so many that index objects are joined and the table begins anew,
and a log that continues on a new lineage over offsets of the old one. `expected.json` has the records that the source
had, which the simulated Kafka knows without the program. As with the other golden repository, only a new format version
is a reason to run this, into a folder of its own.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.golden.expected import expected_record
from tests.simulation.histories.cluster_steps import (
    CreateTopic,
    DeleteRecords,
    DeleteTopic,
    Elect,
    Produce,
    Transaction,
)
from tests.simulation.histories.continuous_step import Continuous
from tests.simulation.histories.generate import STORY, HistoryStep
from tests.simulation.histories.restore_step import Restore, Validate
from tests.simulation.histories.run import run
from tests.simulation.histories.world import World

CYCLES: tuple[HistoryStep, ...] = (
    CreateTopic(0, 2, 0),
    CreateTopic(1, 1, 1),
    Produce(0, 0, 4, 3, 4),
    Produce(1, 0, 4, 3, 3),
    Continuous(tuple(Produce(number % 2, 0, 1, 2, number % 5) for number in range(17))),
    Elect(0, 0, 1),
    Transaction(0, 1, 12, 0),
    Transaction(0, 2, 2, 1),
    Continuous((Transaction(1, 1, 2, 2), Transaction(0, 2, 3, 0))),
    DeleteTopic(1),
    CreateTopic(1, 1, 0),
    Transaction(1, 1, 3, 0),
    Continuous(),
    Transaction(0, 1, 3, 0),
    DeleteRecords(0, 0, 4),
    Transaction(0, 1, 3, 0),
    Continuous(),
    *(Restore(number) for number in range(25)),
    Validate(-1),
)

STORIES: Mapping[str, tuple[HistoryStep, ...]] = {"format-1-chain": STORY, "format-1-cycles": CYCLES}


def expected_of(world: World) -> dict[str, dict[str, list[list[object]]]]:
    """By point and by `topic/topic id/partition`: every record that the point has to yield, in the order of offsets."""
    return {
        str(seq): {
            f"{source.topic}/{source.topic_id}/{source.partition}": [
                expected_record(offset, timestamp, key, value, headers)
                for offset, (timestamp, key, value, headers) in sorted(expected.required.items())
            ]
            for source, expected in sorted(partitions.items())
        }
        for seq, partitions in sorted(world.model.points.items())
    }


def main(name: str) -> None:
    """Write the repository and what its points have to yield."""
    folder = Path(__file__).with_name(name)
    world = run(STORIES[name])
    shutil.rmtree(folder, ignore_errors=True)
    for info in world.disk.list(""):
        if not info.key.startswith(("probe/", "restores/", "pins/")):
            path = folder / info.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(world.disk.get(info.key)[0])
    text = json.dumps(expected_of(world), indent=None, separators=(",", ":"))
    (folder / "expected.json").write_text(text.replace('"],["', '"],\n["') + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
