"""A small world for one rule: two simulated clusters, a repository, and the program's use cases on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, TypeVar

import pytest

from tasks.batches.records import Record
from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.broker.ports import ClusterAdmin
from tasks.cli.exit_codes import exit_code_of
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.incremental import incremental_locally
from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection
from tasks.engine.restore import RestoreResult, restore_locally
from tasks.engine.restore_steps import Preview, preview_restore
from tasks.engine.run_context import ClusterContext
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import SnapshotRequest
from tasks.engine.target.finalize import finalize_restore
from tasks.engine.target.findings import Finding
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.engine.validate import validate_locally
from tasks.model.errors import KafkaBackupError
from tasks.repository.names import new_run_id
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import restore_ids
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import ObjectStore
from tests.simulation.histories.model import Content, content
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.kafka.clock import SimulatedClock, SimulatedStop
from tests.simulation.kafka.faults import Faults
from tests.simulation.kafka.permissions import ANONYMOUS

SET = "set"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MAPPING: Mapping[str, str] = {"orders": "copy"}
WITH_POSITIONS: Mapping[str, Any] = {"consumer_group_strategy": "header-based", "reset_consumer_offsets": True}

ErrorT = TypeVar("ErrorT", bound=KafkaBackupError)


def kafka(
    clock: SimulatedClock,
    *,
    seed: int,
    version: str = "4.3.1",
    nodes: int = 1,
    settings: Mapping[str, str] | None = None,
    has_authorizer: bool = False,
    omitted_answers: float = 0.0,
    segment_batches: int = 1,
) -> SimulatedKafka:
    """A cluster whose every segment has one batch, so that every fetch answer has one batch too, or another number of
    them at most."""
    return SimulatedKafka(
        version=version,
        nodes=nodes,
        settings=settings,
        segment_batches=segment_batches,
        positions_partitions=1,
        has_authorizer=has_authorizer,
        omitted_answers=omitted_answers,
        seed=seed,
        clock=clock,
    )


@dataclass
class SmallWorld:
    """`source` is backed up into the set "set" of `store`, and `target` is restored into. Both may be replaced.

    `faults` strike the calls of the source, `target_faults` those of the target. Nothing sleeps: waits are simulated.
    """

    store: ObjectStore = field(default_factory=lambda: MemoryStore("rules"))
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    faults: Faults = field(default_factory=Faults)
    target_faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.source = kafka(self.clock, seed=1)
        self.target = kafka(self.clock, seed=2)
        self._records = count()

    @property
    def repository(self) -> Repository:
        """The repository, made when it is first needed."""
        return Repository.open_or_create(self.store, self.clock.now_ms)

    def context(self, cluster: SimulatedKafka, *, user: str = ANONYMOUS) -> ClusterContext:
        """What the use cases need, as a new process makes it."""
        cluster.interceptor = self.target_faults if cluster is self.target else self.faults
        return ClusterContext(
            repository=self.repository,
            cluster=cluster.access(user=user),
            stop=SimulatedStop(self.clock),
            clock=self.clock.monotonic_s,
        )

    @contextmanager
    def admin(self, *, user: str = ANONYMOUS) -> Iterator[ClusterAdmin]:
        """An administrative client of the target."""
        with self.context(self.target, user=user).admin() as admin:
            yield admin

    # ── the clusters ────────────────────────────────────────────────────────────────────────────────────────────────

    def topic(
        self,
        name: str = "orders",
        *,
        partitions: int = 1,
        records: int = 10,
        configs: Mapping[str, str] | None = None,
        cluster: SimulatedKafka | None = None,
    ) -> None:
        """A topic with so many records in every partition; of the source unless told otherwise."""
        chosen = cluster or self.source
        chosen.create_topic(name, partitions, configs=configs)
        for partition in range(partitions if records else 0):
            self.send((name, partition), records, cluster=chosen)

    def send(
        self,
        place: TopicPartition = ("orders", 0),
        records: int = 10,
        *,
        per_batch: int = 5,
        age_ms: int = 0,
        cluster: SimulatedKafka | None = None,
    ) -> None:
        """Records of an ordinary producer, in batches of `per_batch`."""
        producer = (cluster or self.source).producer()
        for first in range(0, records, per_batch):
            producer.send(place, self.records(min(per_batch, records - first), age_ms=age_ms))

    def records(self, number: int, *, age_ms: int = 0) -> list[Record]:
        """Records that no other is equal to."""
        stamp = self.clock.now_ms() - age_ms
        numbers = islice(self._records, number)
        return [Record(0, stamp, b"key-%d" % one, b"value %d" % one) for one in numbers]

    def commit(self, group: str, positions: Mapping[TopicPartition, int], *, metadata: str = "") -> None:
        """Positions of a group on the source."""
        self.source.groups.commit(
            group,
            [
                CommittedOffset(topic=topic, partition=partition, offset=offset, metadata=metadata)
                for (topic, partition), offset in positions.items()
            ],
        )

    def contents(self, name: str, partition: int = 0, *, cluster: SimulatedKafka | None = None) -> list[Content]:
        """The committed records of a partition; of the target unless told otherwise."""
        log = (cluster or self.target).log((name, partition))
        return [content(record) for record in log.visible_records()]

    def own_settings(self, name: str) -> dict[str, str]:
        """What is set on a topic of the target itself."""
        return dict(self.target.topics.by_name[name].settings.own)

    def offsets(self, name: str, partition: int = 0) -> tuple[int, int]:
        """(log start, end) of a partition of the target."""
        log = self.target.log((name, partition))
        return log.log_start, log.end

    # ── the program ─────────────────────────────────────────────────────────────────────────────────────────────────

    def request(self, *topics: str, **options: object) -> SnapshotRequest:
        """A snapshot of these topics, of all without any."""
        return SnapshotRequest(
            set_name=SET,
            run=new_run_id(self.clock.now_ms()),
            topics=TopicSelection(include=topics),
            options=BackupOptions.model_validate({"consumer_group_snapshot": True, **options}),
            most_bins=4,
        )

    def back_up(self, *topics: str, user: str = ANONYMOUS, **options: object) -> RestorePoint:
        """One snapshot, with group positions unless `options` say otherwise."""
        return self.run_backup(*topics, user=user, **options)[0]

    def run_backup(
        self, *topics: str, user: str = ANONYMOUS, **options: object
    ) -> tuple[RestorePoint, list[CaptureResult]]:
        """One snapshot, and what it captured."""
        return snapshot_locally(self.context(self.source, user=user), self.request(*topics, **options), workers=1)

    def back_up_changes(self, *topics: str, user: str = ANONYMOUS, **options: object) -> RestorePoint:
        """One incremental run, with group positions unless `options` say otherwise."""
        context = self.context(self.source, user=user)
        return incremental_locally(context, self.request(*topics, **options), workers=1)[0]

    def restore_request(self, mapping: Mapping[str, str] = MAPPING, **options: object) -> RestoreRequest:
        """A restore of the mapped topics; `options` are `RestoreOptions`."""
        return RestoreRequest(
            restore=new_run_id(self.clock.now_ms()),
            topics=TopicSelection(include=tuple(mapping)),
            options=RestoreOptions.model_validate({"topic_mapping": dict(mapping), **options}),
            most_bins=4,
        )

    def restore(
        self,
        mapping: Mapping[str, str] = MAPPING,
        *,
        seq: int | None = None,
        user: str = ANONYMOUS,
        previewed: Callable[[Preview], None] = lambda preview: None,
        is_new: bool = False,
        **options: object,
    ) -> RestoreResult:
        """Restore the mapped topics from the newest point, or from that of `seq`. A restore of the same that died is
        continued unless `is_new`."""
        context = self.context(self.target, user=user)
        request = self.restore_request(mapping, **options)
        return restore_locally(
            context, PointReference(SET, seq=seq), request, workers=1, is_new=is_new, previewed=previewed
        )

    def preview(
        self, mapping: Mapping[str, str] = MAPPING, *, user: str = ANONYMOUS, seq: int | None = None, **options: object
    ) -> Preview:
        """Plan a restore and look at the target, no more."""
        context = self.context(self.target, user=user)
        point = context.repository.point(PointReference(SET, seq=seq))
        with context.admin() as admin:
            return preview_restore(context, admin, point, self.restore_request(mapping, **options))

    def finalize(self, restore: str) -> list[str]:
        """Finalize a restore; the topics that changed."""
        with self.admin() as admin:
            return [topic.target for topic in finalize_restore(self.repository, restore, admin)]

    def point(self, seq: int | None = None) -> RestorePoint:
        """A point of the set, the newest by default. Raises `NotFoundError`."""
        return self.repository.point(PointReference(SET, seq=seq))

    def restores(self) -> Sequence[str]:
        """The ids of all restores that were written down."""
        return restore_ids(self.store)

    def assert_valid(self) -> None:
        """The newest point validates in full."""
        assert () == validate_locally(self.context(self.source), PointReference(SET), level="full").findings


def said(findings: Sequence[Finding], level: str) -> list[tuple[str, str]]:
    """(subject, message) of every finding of a level, in order."""
    return [(finding.subject, finding.message) for finding in findings if finding.level == level]


@contextmanager
def refused(kind: type[ErrorT], match: str, *, code: int) -> Iterator[pytest.ExceptionInfo[ErrorT]]:
    """The body raises this error, and the command ends with this exit code because of it."""
    with pytest.raises(kind, match=match) as caught:
        yield caught
    assert code == exit_code_of(caught.value)
