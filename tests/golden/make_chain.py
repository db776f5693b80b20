"""Makes the golden repository of a chain of incremental runs: `python -m tests.golden.make_chain`.

It is the repository that the fixed history `STORY` leaves behind, over a simulated Kafka: an overtaken stored offset, a
topic that was created again, an unclean election, and a run that was finished by another one. `expected.json` has the
records that the source had, which the simulated Kafka knows without the program. As with the other golden repository,
only a new format version is a reason to run this, into a folder of its own.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.golden.expected import expected_record
from tests.simulation.histories.generate import STORY
from tests.simulation.histories.run import run
from tests.simulation.histories.world import World

FOLDER = Path(__file__).with_name("format-1-chain")


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


def main() -> None:
    """Write the repository and what its points have to yield."""
    world = run(STORY)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for info in world.disk.list(""):
        if not info.key.startswith(("probe/", "restores/", "pins/")):
            path = FOLDER / info.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(world.disk.get(info.key)[0])
    text = json.dumps(expected_of(world), indent=None, separators=(",", ":"))
    (FOLDER / "expected.json").write_text(text.replace('"],["', '"],\n["') + "\n")


if __name__ == "__main__":
    main()
