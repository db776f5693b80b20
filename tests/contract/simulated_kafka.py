"""The bed of a simulated Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.batches.records import Record
from tasks.broker.admin_values import CommittedOffset
from tasks.broker.ports import ClusterAccess
from tests.contract.kafkas import DEADLINE_MS, T
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.kafka.permissions import ANONYMOUS
from tests.support.producing import OutRecord, Transaction

_SETTINGS = {"retention.ms": "-1"}
"""As the brokers of `tests/support/kafka_properties.py` have it."""


@dataclass(frozen=True, slots=True)
class SimulatedBed:
    """A cluster of this test's own."""

    kafka: SimulatedKafka

    @classmethod
    def of(cls, version: str, *, has_authorizer: bool = False) -> SimulatedBed:
        """A new cluster with one broker."""
        return cls(
            SimulatedKafka(version=version, settings=_SETTINGS, positions_partitions=4, has_authorizer=has_authorizer)
        )

    @property
    def access(self) -> ClusterAccess:
        """See `KafkaBed.access`."""
        return self.kafka.access(deadline_ms=DEADLINE_MS)

    @property
    def version(self) -> str:
        """See `KafkaBed.version`."""
        return self.kafka.version

    def now_ms(self) -> int:
        """See `KafkaBed.now_ms`."""
        return self.kafka.clock.now_ms()

    def produce(
        self,
        topic: str,
        records: Sequence[OutRecord],
        *,
        partition: int = 0,
        records_per_batch: int = 1000,
        codec: str = "none",
        is_idempotent: bool = True,
    ) -> None:
        """See `KafkaBed.produce`."""
        producer = self.kafka.producer(is_idempotent=is_idempotent)
        for start in range(0, len(records), records_per_batch):
            batch = self._records(records[start : start + records_per_batch])
            producer.send((topic, partition), batch, codec=codec)

    def run_transactions(self, topic: str, transactions: Sequence[Transaction]) -> None:
        """See `KafkaBed.run_transactions`."""
        producer = self.kafka.transactional_producer()
        for transaction in transactions:
            producer.send((topic, 0), self._records(transaction.records))
            if transaction.is_committed:
                producer.commit()
            else:
                producer.abort()

    @contextmanager
    def open_transaction(
        self, topic: str, records: Sequence[OutRecord], *, is_committed: bool = False
    ) -> Iterator[None]:
        """See `KafkaBed.open_transaction`."""
        producer = self.kafka.transactional_producer(timeout_ms=120_000)
        producer.send((topic, 0), self._records(records))
        yield
        if is_committed:
            producer.commit()
        else:
            producer.abort()

    def clean(self, topic: str, end: int) -> None:
        """See `KafkaBed.clean`."""
        self.kafka.clean(topic)
        assert end <= self.kafka.log((topic, 0)).cleaned_to

    def apply_retention(self, is_done: Callable[[], bool]) -> None:
        """See `KafkaBed.apply_retention`."""
        self.kafka.apply_retention()
        assert is_done()

    @contextmanager
    def group_member(self, group: str, topic: str, *, kind: str) -> Iterator[None]:
        """See `KafkaBed.group_member`."""
        self.kafka.groups.join(group, group_type=kind)
        yield
        self.kafka.groups.leave(group)

    def commit(self, group: str, topic: str, offsets: Mapping[int, int], *, kind: str = "classic") -> None:
        """See `KafkaBed.commit`."""
        with self.group_member(group, topic, kind=kind):
            self.kafka.groups.commit(group, _positions(topic, offsets))

    def while_commit_is_pending(self, group: str, topic: str, offset: int, act: Callable[[], T]) -> T:
        """See `KafkaBed.while_commit_is_pending`."""
        producer = self.kafka.transactional_producer()
        producer.send_positions(group, _positions(topic, {0: offset}))
        self.kafka.clock.after(500, producer.commit)
        return act()

    @contextmanager
    def pending_commits(self, groups: Sequence[str], topic: str, offset: int) -> Iterator[None]:
        """See `KafkaBed.pending_commits`."""
        producer = self.kafka.transactional_producer(timeout_ms=120_000)
        for group in groups:
            producer.send_positions(group, _positions(topic, {0: offset}))
        yield
        producer.abort()

    @contextmanager
    def limit_fetching(self, bytes_per_second: int) -> Iterator[None]:
        """See `KafkaBed.limit_fetching`."""
        self.kafka.limit_fetching(bytes_per_second)
        yield
        self.kafka.limit_fetching(None)

    @contextmanager
    def deny(self, kind: str, name: str, *operations: str) -> Iterator[None]:
        """See `GuardedKafkaBed.deny`."""
        self.kafka.permissions.allow_only(ANONYMOUS, kind, name, "All")
        for operation in operations:
            self.kafka.permissions.deny(ANONYMOUS, kind, name, operation)
        yield
        self.kafka.permissions.clear(kind, name)

    def restart(self) -> None:
        """See `GuardedKafkaBed.restart`."""
        self.kafka.stop_node(1)
        self.kafka.start_node(1)

    def _records(self, records: Sequence[OutRecord]) -> list[Record]:
        now_ms = self.now_ms()
        return [
            Record(
                offset=number,
                timestamp=now_ms if record.timestamp is None else record.timestamp,
                key=record.key,
                value=record.value,
                headers=tuple((name.encode(), content) for name, content in record.headers),
            )
            for number, record in enumerate(records)
        ]


def _positions(topic: str, offsets: Mapping[int, int]) -> list[CommittedOffset]:
    return [CommittedOffset(topic=topic, partition=number, offset=offset) for number, offset in offsets.items()]
