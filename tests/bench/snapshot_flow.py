"""One run of `snapshot-backup` in a process of its own: `python -m tests.bench.snapshot_flow SET TOPIC WORKERS`.

It imports nothing that the flow itself does not need.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

BLOCKS = "bench"
"""The name of the blocks of cluster and repository."""


def main(arguments: Sequence[str]) -> None:
    """Raises unless the point is complete."""
    from flows.backup import snapshot_backup
    from tasks.engine.options import BackupOptions, TopicSelection

    name, topic, workers = arguments
    state = snapshot_backup(
        name,
        BLOCKS,
        BLOCKS,
        topics=TopicSelection(include=(topic,)),
        options=BackupOptions(max_concurrent_partitions=int(workers)),
        return_state=True,
    )
    assert "Completed" == state.name, state


if __name__ == "__main__":
    main(sys.argv[1:])
