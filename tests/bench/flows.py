"""What Prefect costs: the flow `snapshot-backup` beside the command that does the same work.

`python -m tests.bench.flows NAME TOPIC WORKERS` is one run of the flow in a process of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Cost, run

BLOCKS = "bench"


class FlowRunner:
    """Runs the flow against a Prefect server of the benchmark's own."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log

    def backup(self, name: str, topic: str, workers: int) -> Cost:
        """One point of the set `name`; the cost is that of the flow's process, not of the server."""
        command = [sys.executable, "-m", "tests.bench.flows", name, topic, str(workers)]
        return run(command, log=self._log, environment=self._environment)


@contextmanager
def prefect(folder: Path, bootstrap_servers: Sequence[str], log: Path) -> Iterator[FlowRunner]:
    """A Prefect server in `folder` that knows the cluster, and a repository there."""
    from tests.support.prefect_server import PrefectServer

    with PrefectServer(folder / "prefect") as server:
        documents = {
            "kafka-cluster": {BLOCKS: {"bootstrap_servers": list(bootstrap_servers)}},
            "local-repository": {BLOCKS: {"path": str(folder / "repository")}},
        }
        file = folder / "blocks.yaml"
        file.write_text(json.dumps(documents), encoding="utf-8")
        server.run("prefect", "block", "register", "-m", "blocks")
        server.run("python", "-m", "deployments.blocks", str(file))
        yield FlowRunner(server.environment, log)


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
