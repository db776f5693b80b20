"""After a produce error: reads the log to find out which unacknowledged batches it contains.

It is not enough to send the batches again and to rely on the broker's deduplication, because some would be stored
twice. A leader recognizes a repeated batch only if it is one of the producer's last five. A restarted broker knows only
the last one, and answers OUT_OF_ORDER_SEQUENCE_NUMBER to earlier ones. Brokers also forget a producer whose newest
record has a *timestamp* older than `producer.id.expiration.ms` (a day), at every start and every ten minutes. A restore
writes such records.
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
    """For each partition: how many of its batches, from the first one on, the log contains.

    Uses its own connections, because those of the caller can have answers in flight. Raises `BrokerError` if the log
    contains another batch at the offset of one of them, and the errors of `list_offsets` and `Fetcher`.
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
    """Whether a stored batch is this outgoing batch. Compares only fields that a broker does not change when it
    compresses a batch again."""
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
