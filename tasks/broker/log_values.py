"""Values that the log side of the Kafka ports takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition

Which = Literal["earliest", "latest", "last_stable", "max_timestamp"]
"""Which offset of a partition: its log start, its high watermark, its last stable offset, or the offset of the record
with the newest timestamp."""


@dataclass(frozen=True, slots=True)
class OffsetAnswers:
    """Every requested partition is in exactly one of the first two: its offset, or the reason why there is none.

    `leader_epochs` has the partition's leader epoch if the leader sent one: with `latest`, the epoch of the answer.
    """

    offsets: dict[Partition, int] = field(default_factory=dict)
    failures: dict[Partition, KafkaBackupError] = field(default_factory=dict)
    leader_epochs: dict[Partition, int] = field(default_factory=dict)


class EpochEnd(NamedTuple):
    """A leader epoch of a partition's log, and the offset after its last record there."""

    epoch: int
    end: int


@dataclass(frozen=True, slots=True)
class EpochAnswers:
    """Every requested partition is in exactly one of the two. An end is None if the leader does not know the epoch, nor
    an older one."""

    ends: dict[Partition, EpochEnd | None] = field(default_factory=dict)
    failures: dict[Partition, KafkaBackupError] = field(default_factory=dict)


class OpenTransaction(NamedTuple):
    """A transaction that has records in a partition and is not decided: its producer, its first offset there, and the
    timestamp of the producer's last record there (Unix milliseconds)."""

    producer_id: int
    first: int
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One answer to a fetch of one partition.

    `records` are whole batches, except that the last one can be cut. Empty `records` mean "wait": the log has nothing
    at the position yet, or the broker throttles (`throttle_time_ms`).
    `aborted` are (producer id, first offset) of aborted transactions.
    `diverging` is (epoch, end offset): beyond this end offset the log from which the position was read differs from the
    leader's.
    `preferred_replica` is the broker to which the leader refers instead of sending records, or -1.
    """

    partition: Partition
    position: int
    records: bytes
    aborted: tuple[tuple[int, int], ...] = ()
    high_watermark: int = -1
    last_stable_offset: int = -1
    log_start_offset: int = -1
    throttle_time_ms: int = 0
    diverging: tuple[int, int] | None = None
    preferred_replica: int = -1


class OutgoingBatch(NamedTuple):
    """A finished batch, which contains producer id, epoch and base sequence. `expected_offset` is the offset at which
    the target has to store it."""

    data: bytes
    records: int
    expected_offset: int


class ProducerIdentity(NamedTuple):
    """The producer id and epoch by which brokers recognize a repeated batch."""

    producer_id: int
    epoch: int


Acknowledged = Callable[[Partition, OutgoingBatch], None]
"""Called once for each batch that all in-sync replicas have stored."""
