"""Backups of a throwaway Kafka driven as one process does it, and both sides of a restore to compare."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.batches.header import iter_headers, read_header
from tasks.broker.admin.admin import Admin
from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG
from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.log_values import OutgoingBatch
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.offsets import list_offsets
from tasks.broker.raw.produce import produce
from tasks.engine.incremental import incremental_locally
from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection
from tasks.engine.progress import Progress, silent
from tasks.engine.restore import RestoreResult, restore_locally
from tasks.engine.restore_steps import Preview
from tasks.engine.run_context import ClusterContext
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.engine.validate import validate_locally
from tasks.engine.validation.damage import DamageFinding
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.names import new_run_id
from tasks.repository.partition_table import Row
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import GroupsState, read_state
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tests.support.reading import SeenRecord, read_all

Content = tuple[int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]
"""What a restore must bring back of a record: timestamp, key, value, headers."""


def now_ms() -> int:
    """The clock of the repositories."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, kw_only=True)
class Backups:
    """One set in one repository, and the cluster it is taken of and restored to."""

    bootstrap_servers: tuple[str, ...]
    security: Security = UNPROTECTED
    rack: str = ""
    request_timeout_ms: int = 30_000
    store: ObjectStore = field(default_factory=MemoryStore)
    set_name: str = "set"
    workers: int = 2

    @property
    def connection(self) -> ConnectionOptions:
        """How the engine reaches the cluster."""
        return ConnectionOptions(
            bootstrap_servers=self.bootstrap_servers,
            security=self.security,
            rack=self.rack,
            request_timeout_ms=self.request_timeout_ms,
        )

    @property
    def repository(self) -> Repository:
        """The repository, made when it is first asked for."""
        return Repository.open_or_create(self.store, now_ms)

    def context(self, *, stop: threading.Event | None = None, progress: Progress = silent) -> ClusterContext:
        """What the engine's steps need, on this repository and this cluster."""
        return ClusterContext(
            repository=self.repository,
            cluster=KafkaAccess(self.connection),
            stop=stop or threading.Event(),
            progress=progress,
        )

    def back_up(
        self,
        topics: Sequence[str],
        *,
        options: BackupOptions | None = None,
        progress: Progress = silent,
        stop: threading.Event | None = None,
        waiting: Callable[[str], None] = lambda owner: None,
    ) -> PointEntry:
        """One snapshot of these topics, with group positions unless `options` say otherwise."""
        context = self.context(stop=stop, progress=progress)
        point, _ = snapshot_locally(context, self._request(topics, options), workers=self.workers, waiting=waiting)
        return point.entry

    def back_up_changes(self, topics: Sequence[str], *, options: BackupOptions | None = None) -> PointEntry:
        """One incremental run of these topics, with group positions unless `options` say otherwise."""
        return incremental_locally(self.context(), self._request(topics, options), workers=self.workers)[0].entry

    def _request(self, topics: Sequence[str], options: BackupOptions | None) -> SnapshotRequest:
        return SnapshotRequest(
            set_name=self.set_name,
            run=new_run_id(now_ms()),
            topics=TopicSelection(include=tuple(topics)),
            options=options or BackupOptions(consumer_group_snapshot=True),
            most_bins=4 * self.workers,
        )

    def restore(
        self,
        mapping: Mapping[str, str],
        *,
        seq: int | None = None,
        progress: Progress = silent,
        previewed: Callable[[Preview], None] = lambda preview: None,
        **options: object,
    ) -> RestoreResult:
        """Restore the mapped topics from the newest point, or from that of `seq`; `options` are `RestoreOptions`."""
        chosen = RestoreOptions.model_validate({"topic_mapping": dict(mapping), **options})
        request = RestoreRequest(
            restore=new_run_id(now_ms()),
            topics=TopicSelection(include=tuple(mapping)),
            options=chosen,
            most_bins=4 * self.workers,
        )
        reference = PointReference(self.set_name, seq=seq)
        return restore_locally(
            self.context(progress=progress), reference, request, workers=self.workers, previewed=previewed
        )

    def findings(self, point: PointEntry) -> tuple[DamageFinding, ...]:
        """What a full validation has against the point."""
        reference = PointReference(self.set_name, seq=point.seq)
        return validate_locally(self.context(), reference, level="full").findings

    def row(self, point: PointEntry, topic: str, partition: int = 0) -> Row:
        """The point's row of a partition."""
        rows = RestorePoint(self.store, point).rows.values()
        [row] = [row for row in rows if (row.topic, row.partition) == (topic, partition)]
        return row

    def lines(self, point: PointEntry, topic: str, partition: int = 0) -> Sequence[IndexLine]:
        """The index lines that count for a partition."""
        row = self.row(point, topic, partition)
        return RestorePoint(self.store, point).lines([row])[row.source]

    def stored_batches(self, point: PointEntry, topic: str, partition: int = 0) -> list[bytes]:
        """Every stored batch of a partition, as the repository has it."""
        reader = FrameReader(self.store)
        logs = (log for line in self.lines(point, topic, partition) for _, log in reader.frames(line))
        return [batch for log in logs for batch in whole_batches(log)]

    def groups(self, point: PointEntry) -> GroupsState:
        """The point's groups."""
        assert point.groups is not None
        return read_state(self.store, point.groups, GroupsState)

    def partition(self, topic: str, partition: int = 0) -> Partition:
        """The partition of the topic that has the name now."""
        with Admin(self.connection) as admin:
            [described] = admin.describe_topics([topic])
        return Partition(topic, described.topic_id, partition)

    def fetched_batches(self, topic: str, partition: int = 0) -> list[bytes]:
        """Every batch that the leader serves up to its last stable offset, as it serves them."""
        source = self.partition(topic, partition)
        with Cluster(self.connection) as cluster:
            end = list_offsets(cluster, [source], "last_stable").offsets[source]
            position = list_offsets(cluster, [source], "earliest").offsets[source]
            fetcher = Fetcher(cluster, stop=threading.Event())
            found: list[bytes] = []
            while position < end:
                fetcher.send(source, position, None)
                for batch in whole_batches(fetcher.receive().records):
                    position = read_header(batch, 0).next_offset
                    found.append(batch)
            return found

    def produce_batches(self, topic: str, batches: Sequence[bytes], *, partition: int = 0) -> None:
        """Append finished batches as they are: what no client library would send."""
        target = self.partition(topic, partition)
        with Cluster(self.connection) as cluster:
            end = list_offsets(cluster, [target], "latest").offsets[target]
            outgoing = _expected(batches, end)
            stop = threading.Event()
            produce(cluster, {target: outgoing}, timeout_ms=30_000, stop=stop, on_acknowledged=lambda part, batch: None)


def _expected(batches: Sequence[bytes], end: int) -> Iterator[OutgoingBatch]:
    for batch in batches:
        count = read_header(batch, 0).record_count
        yield OutgoingBatch(data=batch, records=count, expected_offset=end)
        end += count


def whole_batches(records: bytes) -> list[bytes]:
    """The whole batches in a stretch of log."""
    return [records[at : at + header.size_bytes] for at, header in iter_headers(records)]


def content(record: SeenRecord) -> Content:
    """What must be equal on both sides."""
    return record.timestamp, record.key, record.value, record.headers


def contents(bootstrap: str, topic: str, partition: int = 0) -> list[Content]:
    """The partition's committed records in order, as librdkafka delivers them."""
    return [content(record) for record in read_all(bootstrap, topic, partition)]


def own_settings(bootstrap_servers: tuple[str, ...], topic: str) -> dict[str, str | None]:
    """What is set on the topic itself."""
    with Admin(ConnectionOptions(bootstrap_servers=bootstrap_servers)) as admin:
        entries = admin.topic_configs([topic])[topic]
    return {entry.name: entry.value for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}
