"""After a produce error: finds out from the log itself which unacknowledged batches it contains.

To send them again and to rely on the broker's deduplication would store some of them twice. A leader recognizes a
repeated batch only while it keeps the producer's last five. A restarted broker keeps only the last one, and answers
OUT_OF_ORDER_SEQUENCE_NUMBER to the ones before it. Brokers also drop a producer whose newest record has a *timestamp*
older than `producer.id.expiration.ms` (a day), at every start and every ten minutes, and a restore writes such records.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from tasks.batches.header import BatchHeader, iter_headers, read_header
from tasks.broker.log_values import OutgoingBatch
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.offsets import list_offsets
from tasks.broker.retry import RetryDeadline
from tasks.model.errors import BrokerError, BrokerUnavailableError
from tasks.model.partition import Partition


def count_stored(
    options: ConnectionOptions, unacknowledged: Mapping[Partition, Sequence[OutgoingBatch]], stop: threading.Event
) -> dict[Partition, int]:
    """The number of each partition's batches, counted from its first one, that the log contains.

    Uses its own connections, because those of the caller can have answers in flight. Raises `BrokerError` when the log
    contains another batch at the offset of one of these, and the errors of `list_offsets` and `Fetcher`.
    """
    with Cluster(options, stop=stop) as cluster:
        answers = list_offsets(cluster, list(unacknowledged), "latest")
        for failure in answers.failures.values():
            raise failure
        return {
            partition: _count(cluster, partition, batches, answers.offsets[partition])
            for partition, batches in unacknowledged.items()
        }


def is_same(batch: OutgoingBatch, stored: BatchHeader) -> bool:
    """Whether the stored batch is this one. A broker that recompresses batches changes none of the compared fields."""
    ours = read_header(batch.data, 0)
    return (batch.expected_offset, ours.producer_id, ours.producer_epoch, ours.base_sequence, ours.record_count) == (
        stored.base_offset,
        stored.producer_id,
        stored.producer_epoch,
        stored.base_sequence,
        stored.record_count,
    )


def _count(cluster: Cluster, partition: Partition, batches: Sequence[OutgoingBatch], end: int) -> int:
    first = batches[0].expected_offset
    end = min(end, batches[-1].expected_offset + batches[-1].records)
    count = 0
    for stored in _headers(cluster, partition, first, end):
        if not is_same(batches[count], stored):
            raise BrokerError(
                f"topic {partition.topic}, partition {partition.partition}: offset {stored.base_offset} contains a "
                f"batch of another client instead of the restored batch for offset {batches[count].expected_offset}. "
                "Stop that client."
            )
        count += 1
    return count


def _headers(cluster: Cluster, partition: Partition, position: int, end: int) -> Iterator[BatchHeader]:
    """The headers of the batches in [position, end)."""
    fetcher = Fetcher(cluster, stop=cluster.stop)
    deadline = RetryDeadline(cluster.options.deadline_ms, cluster.stop)
    while position < end:
        fetcher.send(partition, position, None)
        before = position
        for _, header in iter_headers(fetcher.receive().records, where=str(partition)):
            if position >= end:
                return
            position = header.next_offset
            yield header
        if position == before:
            deadline.pause(
                BrokerUnavailableError(
                    f"{partition}: the leader returns no batch at offset {position}, although the log ends at {end}."
                )
            )
