"""What Prefect costs: the flow `snapshot-backup` beside the command that does the same work.

A run of the flow costs a fixed time, a time for each task run, and nothing for each byte. Each is measured as the
difference to the command, or the ratio, in one run on the same topic.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import Cost, difference, peak, ratio, run, side_by_side
from tests.bench.report import Row
from tests.bench.snapshot_flow import BLOCKS
from tests.support.processes import marked
from tests.support.producing import create_topic

if TYPE_CHECKING:
    from tests.bench.__main__ import Bench

WORKERS = 4
SEVERAL_TASKS = 256
LARGE_TIMES = 4
"""How much larger than the benchmark's topic the one is on which a cost for each byte would show."""


class FlowRunner:
    """Runs the flow against a Prefect server of the benchmark's own. Every run makes the first point of a new set."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._numbers = itertools.count(1)

    def backup(self, topic: str, workers: int = WORKERS) -> Cost:
        """The cost is that of the flow's process, not of the server."""
        command = [sys.executable, "-m", "tests.bench.snapshot_flow", f"set-{next(self._numbers)}", topic, str(workers)]
        return run(command, log=self._log, environment=self._environment)

    def server_cpu_s(self) -> float:
        """CPU seconds of the server so far, while nothing else runs in its environment."""
        return sum(_cpu_s(pid) for pid in marked(f"PREFECT_HOME={self._environment['PREFECT_HOME']}"))


def _cpu_s(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


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


def overhead(bench: Bench, records: int, partitions: int) -> Iterator[Row]:
    """The rows about the flow. `records` and `partitions` are those of the benchmark's topic."""
    with prefect(bench.folder, bench.kafka.bootstrap_servers, bench.log) as flow:
        fixed = _Compared.on(bench, flow, "empty", partitions=1, records=0, repeats=5)
        several = _Compared.on(bench, flow, "several", partitions=SEVERAL_TASKS, records=100 * SEVERAL_TASKS, repeats=3)
        more_tasks = SEVERAL_TASKS - 1  # the empty topic has one task too
        yield Row("flow `snapshot-backup`, fixed: wall seconds more than the command", fixed.more("wall_s"), 4)
        yield Row("flow, fixed: CPU seconds more than the command", fixed.more("cpu_s"))
        yield Row(
            "flow, per task run: wall ms", 1000 * (several.more("wall_s") - fixed.more("wall_s")) / more_tasks, 40
        )
        yield Row("flow, per task run: CPU ms", 1000 * (several.more("cpu_s") - fixed.more("cpu_s")) / more_tasks)
        yield Row("flow, per task run: CPU ms of the server", 1000 * (several.server_s - fixed.server_s) / more_tasks)
        yield Row("flow, an empty topic: MiB of memory (Prefect's own share)", peak(fixed.flows))
        crowd = _Compared.on(bench, flow, "crowd", partitions=2000, records=200_000, repeats=3)
        yield Row("flow, 2,000 small partitions: wall / the command", ratio(crowd.flows, crowd.commands, "wall_s"), 4)
        yield Row("flow, 2,000 small partitions: MiB of memory, 4 workers", peak(crowd.flows), 350)
        size = LARGE_TIMES * records
        large = _Compared.on(bench, flow, "large-raw", partitions=partitions, records=size, repeats=2)
        what = f"flow, raw topic of {size:,} records"
        yield Row(f"{what}: wall / the command", ratio(large.flows, large.commands, "wall_s"), 1.1)
        yield Row(f"{what}: MiB of memory, 4 workers", peak(large.flows), 350)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The flow and the command on the same topic, in turns. `server_s`: CPU seconds of the server for each run."""

    flows: Sequence[Cost]
    commands: Sequence[Cost]
    server_s: float

    @classmethod
    def on(
        cls, bench: Bench, flow: FlowRunner, topic: str, *, partitions: int, records: int, repeats: int
    ) -> _Compared:
        """Measure on a new topic with so many records, which is deleted afterwards."""
        create_topic(bench.kafka.bootstrap, topic, partitions=partitions)
        if records:
            bench.client("load", topic, partitions, records, "none")
        before = flow.server_cpu_s()
        flows, commands = side_by_side(
            lambda: flow.backup(topic), lambda: bench.backup(topic, WORKERS), repeats=repeats
        )
        compared = cls(flows, commands, (flow.server_cpu_s() - before) / repeats)
        bench.delete(topic)
        return compared

    def more(self, figure: str) -> float:
        """The flow's figure above the command's."""
        return difference(self.flows, self.commands, figure)
