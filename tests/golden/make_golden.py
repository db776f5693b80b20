"""Makes the golden repository anew, from a real Kafka: `python -m tests.golden.make_golden`.

Only a new format version is a reason to run it, and then into a folder of its own: old repositories stay as they are,
because they prove that they can still be read. `expected.json` is what librdkafka delivered of the same topics.

Sets: `daily` (zstd) with a point, a void, a second point, a note, and a partial point whose `audit` is the earlier
one's; `orders-lz4` and `orders-none` with a point each.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.raw.connection import ConnectionOptions
from tasks.engine.backup_steps import capture_bins, commit_run
from tasks.engine.capture.capture_result import CaptureFailure, CaptureResult
from tasks.engine.commit.runs import void_run
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.run_context import ClusterContext
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.repository.entries import NoteEntry
from tasks.repository.names import new_run_id
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState
from tasks.store.local.local_store import LocalStore
from tests.golden import source
from tests.golden.expected import expected_record
from tests.support.kafka import KafkaCluster
from tests.support.reading import read_all

FOLDER = Path(__file__).with_name("format-1")
Records = dict[str, list[list[object]]]
"""By `topic/partition`."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Golden:
    """The repository in the making, and what its points have to yield."""

    repository: Repository
    kafka: KafkaCluster
    expected: dict[str, dict[int, Records]] = field(default_factory=dict)

    @property
    def context(self) -> ClusterContext:
        """What the engine's steps need."""
        options = ConnectionOptions(bootstrap_servers=self.kafka.bootstrap_servers)
        return ClusterContext(repository=self.repository, cluster=KafkaAccess(options))

    def request(
        self, set_name: str, topics: Sequence[str] = (), compression: Literal["zstd", "lz4", "none"] = "zstd"
    ) -> SnapshotRequest:
        return SnapshotRequest(
            set_name=set_name,
            run=new_run_id(now_ms()),
            topics=TopicSelection(include=tuple(topics)),
            options=BackupOptions(consumer_group_snapshot=True, compression=compression),
            most_bins=3,
        )

    def add_point(self, request: SnapshotRequest) -> None:
        """A point, and what librdkafka reads before and after it, which must be the same."""
        before = self.read(request.topics.include)
        restore_point, _ = snapshot_locally(self.context, request, workers=2)
        point = restore_point.entry
        if point.status != "complete" or before != self.read(request.topics.include):
            raise SystemExit(f"{request.set_name}@{point.seq} is {point.status}, or its source changed meanwhile")
        self.expected.setdefault(request.set_name, {})[point.seq] = before

    def add_partial_point(self, request: SnapshotRequest, failed: str) -> None:
        """A point for which the partitions of the topic `failed` could not be captured: they keep what they had."""
        [*_, earlier] = self.expected[request.set_name].values()
        plan = plan_snapshot(self.context, request)
        captured = capture_bins(self.context, plan, workers=2)
        point = commit_run(self.repository, plan, [_with_failure(bin_, failed) for bin_ in captured]).entry
        kept = {name: records for name, records in earlier.items() if name.split("/")[0] == failed}
        self.expected[request.set_name][point.seq] = self.read(request.topics.include) | kept

    def add_void(self, request: SnapshotRequest) -> None:
        """A run that planned and then ended without a point."""
        plan_snapshot(self.context, request)
        void_run(self.repository, request.set_name, request.run, "its writer ended without a point")

    def add_note(self, set_name: str, text: str) -> None:
        """An entry that changes nothing."""
        self.repository.log(set_name).append(lambda state: _note(self.repository, set_name, state, text))

    def read(self, topics: Sequence[str]) -> Records:
        """The records of all partitions by librdkafka."""
        return {
            f"{topic}/{partition}": [
                expected_record(
                    seen.offset,
                    seen.timestamp,
                    seen.key,
                    seen.value,
                    [(name.encode(), content) for name, content in seen.headers],
                )
                for seen in read_all(self.kafka.bootstrap, topic, partition)
            ]
            for topic, partitions in sorted(source.PARTITIONS.items())
            if not topics or topic in topics
            for partition in range(partitions)
        }


def _with_failure(captured: CaptureResult, topic: str) -> CaptureResult:
    failures = [
        CaptureFailure(source=range_.source, reason="the leader did not answer in time")
        for range_ in captured.ranges
        if range_.source.topic == topic
    ]
    return replace(captured, failures=(*captured.failures, *failures))


def _note(repository: Repository, set_name: str, state: SetState, text: str) -> NoteEntry:
    return NoteEntry(
        **repository.next_entry(set_name, state),
        newest_point=state.newest_point,
        point=state.newest_point,
        text=text,
    )


def main() -> None:
    """Write `format-1/`: the repository and the records it holds."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    store = LocalStore(FOLDER / "repository", create=True)
    with KafkaCluster() as kafka:
        golden = Golden(Repository.open_or_create(store, now_ms), kafka)
        source.fill(kafka.bootstrap, kafka.log_dir())
        golden.add_point(golden.request("daily"))
        golden.add_void(golden.request("daily"))
        source.extend_orders(kafka.bootstrap)
        golden.add_point(golden.request("daily"))
        golden.add_note("daily", "a drill restored this point")
        source.extend_audit(kafka.bootstrap, 6)
        golden.add_partial_point(golden.request("daily"), "audit")
        golden.add_point(golden.request("orders-lz4", ["orders"], "lz4"))
        golden.add_point(golden.request("orders-none", ["orders", "payments"], "none"))
    _remove_traces(FOLDER / "repository")
    (FOLDER / "expected.json").write_text(_json(golden.expected) + "\n")


def _remove_traces(repository: Path) -> None:
    """What the local store keeps for itself is no part of the format, and empty folders are no part of a commit."""
    shutil.rmtree(repository / ".locks", ignore_errors=True)
    for folder in sorted((path for path in repository.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _json(value: object, depth: int = 4) -> str:
    """Sets, points, partitions and records: one record per line, so that differences can be read."""
    if depth and isinstance(value, dict):
        return (
            "{\n"
            + ",\n".join(f"{json.dumps(str(name))}:{_json(part, depth - 1)}" for name, part in value.items())
            + "}"
        )
    if depth and isinstance(value, list):
        return "[\n" + ",\n".join(_json(part, depth - 1) for part in value) + "]"
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
