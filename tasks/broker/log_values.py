"""Values that the log side of the Kafka ports takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition

Which = Literal["earliest", "latest", "last_stable", "max_timestamp"]
"""The kind of offset of a partition: its log start (`earliest`), its high watermark (`latest`), its last stable offset,
or the offset of the record with the newest timestamp."""


@dataclass(frozen=True, slots=True)
class OffsetAnswers:
    """Every requested partition is either in `offsets` or in `failures`, with the error because of which it has no
    offset.

    `leader_epochs` are the leader epochs that the leaders sent with the offsets. A partition whose leader sent none is
    absent.
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
    """Every requested partition is in exactly one of the two. An end is None if the leader knows
    neither the epoch nor an older one."""

    ends: dict[Partition, EpochEnd | None] = field(default_factory=dict)
    failures: dict[Partition, KafkaBackupError] = field(default_factory=dict)


class OpenTransaction(NamedTuple):
    """A transaction that has records in a partition and is not decided: its producer, its first offset there, and the
    timestamp of the producer's last record there (Unix milliseconds)."""

    producer_id: int
    first: int
    last_ms: int


class FetchPosition(NamedTuple):
    """Where to fetch a partition, and at most how many bytes of it.

    `last_epoch` is the leader epoch of the batch before `position`, so that the leader reports whether its log diverges
    there; None if it is not known.
    """

    partition: Partition
    position: int
    last_epoch: int | None
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One answer to a fetch of one partition.

    `records` are whole batches, except that the last one can be cut. If they are empty, the caller has to fetch again:
    the log has nothing at the position yet, or the broker throttles (for `throttle_time_ms`).
    `aborted` are (producer id, first offset) of aborted transactions.
    `diverging` is (epoch, end offset) if the leader's log differs, from this end offset on, from the log that was read
    before the position; otherwise None.
    `preferred_replica` is the broker from which the records should be fetched instead of the leader, or -1.
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
    """A finished batch: its bytes already contain producer id, epoch and base sequence. `records` is the number of its
    records. `expected_offset` is the offset at which the target has to store it."""

    data: bytes
    records: int
    expected_offset: int


class ProducerIdentity(NamedTuple):
    """The producer id and epoch by which brokers recognize a repeated batch."""

    producer_id: int
    epoch: int


Acknowledged = Callable[[Partition, OutgoingBatch], None]
"""Is called once for each batch that all in-sync replicas have stored."""
