"""After trouble: which of the unacknowledged batches are in the log, as the log itself says.

Sending them again and relying on the broker to recognize them is not enough. A leader recognizes a repeated batch while
it remembers the producer's last five, and it forgets sooner than one thinks: a restarted broker remembers only the last
one, and answers OUT_OF_ORDER_SEQUENCE_NUMBER to those before it; and a producer whose newest record is older than
`producer.id.expiration.ms` (a day) by the record's *timestamp* is forgotten at every start and every ten minutes, so
that what a restore typically writes would be stored twice.
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
    """How many of each partition's batches, from its first on, are in the log.

    Uses connections of its own, so that no answers in flight are disturbed. Raises `BrokerError` when the log holds
    something else at the offset of one, and what `list_offsets` and `Fetcher` report.
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
    """Whether the batch in the log is ours. Recompression by the topic's settings changes none of these fields."""
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
                f"topic {partition.topic}, partition {partition.partition}: at offset {stored.base_offset} there is "
                f"another batch than ours for {batches[count].expected_offset}: someone else writes to the topic."
            )
        count += 1
    return count


def _headers(cluster: Cluster, partition: Partition, position: int, end: int) -> Iterator[BatchHeader]:
    """The headers of the batches in [position, end)."""
    fetcher = Fetcher(cluster, stop=cluster.stop)
    deadline = RetryDeadline(cluster.options.retry_deadline_ms, cluster.stop)
    while position < end:
        fetcher.send(partition, position, None)
        asked = position
        for _, header in iter_headers(fetcher.receive().records, where=str(partition)):
            if position >= end:
                return
            position = header.next_offset
            yield header
        if position == asked:
            deadline.pause(BrokerUnavailableError(f"{partition}: the leader does not serve its log at {position}."))
