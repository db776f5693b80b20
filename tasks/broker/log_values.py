"""Values that the log side of the Kafka ports takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition

Which = Literal["earliest", "latest", "last_stable", "max_timestamp"]
"""Which offset of a log: its start, its high watermark, its last stable offset, its newest record by timestamp."""


@dataclass(frozen=True, slots=True)
class OffsetAnswers:
    """An offset for every partition that could say, and the reason for every other one."""

    offsets: dict[Partition, int] = field(default_factory=dict)
    failures: dict[Partition, KafkaBackupError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One answer. `records` are whole batches, the last one perhaps cut off; `aborted` are (producer id, first offset).

    Without records it means "wait": the log has nothing there yet, or the broker throttles (`throttle_time_ms`).
    `diverging` (epoch, end offset): the log the position was read from is not the leader's beyond that offset.
    `preferred_replica`: a broker that the leader points to instead of sending records, or −1.
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
    """A finished batch: producer id, epoch and base sequence are inside. `expected_offset`: where it has to land."""

    data: bytes
    records: int
    expected_offset: int


class ProducerIdentity(NamedTuple):
    """What makes a repeated batch recognizable to the brokers."""

    producer_id: int
    epoch: int


Acknowledged = Callable[[Partition, OutgoingBatch], None]
"""Called once for each batch that all in-sync replicas have."""
