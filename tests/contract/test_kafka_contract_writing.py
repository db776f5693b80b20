"""The promises of `LogWriter`: finished batches land in order, once, where they are expected."""

from __future__ import annotations

import threading

import pytest

from tasks.batches.header import HEADER_BYTES, read_header
from tasks.broker.log_values import OutgoingBatch
from tasks.model.errors import BrokerError, BrokerUnavailableError, InterruptedRunError, TopicGoneError
from tasks.model.partition import Partition
from tests.contract.kafka_batches import LONG_AGO_MS, identity_of, outgoing, produce, send, stored
from tests.contract.kafka_logs import create, create_again, numbered, offsets, read_to, writer_of
from tests.contract.kafkas import KafkaBed
from tests.support.batch_factory import make_records

LARGEST_SEQUENCE = 0x7FFFFFFF


def test_every_producer_id_is_another_one(bed: KafkaBed) -> None:
    first, second = identity_of(bed), identity_of(bed)

    assert first.producer_id != second.producer_id
    assert (0, 0) == (first.epoch, second.epoch)


def test_batches_of_many_partitions_land_each_once_and_in_order(bed: KafkaBed, topic_name: str) -> None:
    partitions = create(bed, topic_name, 4)
    identity = identity_of(bed)
    counts = dict(zip(partitions, (40, 1, 0, 17), strict=True))

    acknowledged = produce(
        bed, {one: (outgoing(identity, 3 * n) for n in range(count)) for one, count in counts.items()}
    )

    for partition, count in counts.items():
        assert list(range(0, 3 * count, 3)) == acknowledged.offsets.get(partition, [])
        found = stored(bed, partition)
        assert [(3 * n, 3 * n, 3) for n in range(count)] == [
            (one.base_offset, one.base_sequence, one.record_count) for one in found
        ]
    assert {} == produce(bed, {}).offsets


def test_a_stored_batch_is_the_one_that_was_sent_with_offset_and_leader_epoch(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    identity = identity_of(bed)
    bed.produce(topic_name, numbered(2))
    sent = outgoing(identity, 7, at=2, leader_epoch=77)

    assert [2] == send(bed, partition, sent)

    [batch] = read_to(bed, partition, 5, position=2)[0]
    expected = read_header(sent.data, 0)._replace(base_offset=2, leader_epoch=0)
    assert expected == batch.header
    assert sent.data[HEADER_BYTES:] == batch.data[HEADER_BYTES:]
    assert make_records(3, first=7, timestamp=LONG_AGO_MS)[0][1:] == batch.records[0][1:]


def test_a_repeated_batch_is_acknowledged_where_it_was_and_stored_once(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    identity = identity_of(bed)
    send(bed, partition, *(outgoing(identity, first) for first in (0, 3, 6)))

    assert [0, 3, 6, 9] == send(bed, partition, *(outgoing(identity, first) for first in (0, 3, 6, 9)))

    assert [0, 3, 6, 9] == [one.base_offset for one in stored(bed, partition)]


def test_a_hole_in_the_sequence_is_refused_and_an_unknown_producer_may_begin_anywhere(
    bed: KafkaBed, topic_name: str
) -> None:
    [partition] = create(bed, topic_name)
    identity, other = identity_of(bed), identity_of(bed)
    assert [0, 3] == send(bed, partition, outgoing(identity, 0), outgoing(identity, 3))

    for refused in (outgoing(identity, 9, at=6), outgoing(identity, 3, count=2, at=6)):
        with pytest.raises(BrokerError, match=rf"{topic_name}, partition 0 at offset 6") as caught:
            send(bed, partition, refused)
        assert (45, False) == (caught.value.code, caught.value.retryable)

    assert [6, 9] == send(bed, partition, outgoing(other, 77, at=6), outgoing(other, 80, at=9))


def test_sequences_wrap_inside_a_batch(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    identity = identity_of(bed)
    first = outgoing(identity, 0, base_sequence=LARGEST_SEQUENCE - 1)

    assert [0, 3] == send(bed, partition, first, outgoing(identity, 3, base_sequence=1))


@pytest.mark.parametrize(
    ("epochs", "sequence", "code"),
    [((3, 2), 3, 47), ((1, 2), 3, 45), ((1, 2), 0, None)],
    ids=["older", "newer in the middle", "newer from zero"],
)
def test_another_producer_epoch_begins_its_sequence_anew(
    bed: KafkaBed, topic_name: str, epochs: tuple[int, int], sequence: int, code: int | None
) -> None:
    [partition] = create(bed, topic_name)
    identity = identity_of(bed)
    sent = [
        outgoing(identity, 0, producer_epoch=epochs[0]),
        outgoing(identity, 3, producer_epoch=epochs[1], base_sequence=sequence),
    ]

    if code is None:
        assert [0, 3] == send(bed, partition, *sent)
        return
    with pytest.raises(BrokerError) as caught:
        send(bed, partition, *sent)
    assert code == caught.value.code


def test_a_batch_that_lands_elsewhere_than_expected_is_an_error_and_stays(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(1))

    with pytest.raises(BrokerError, match=rf"{topic_name}, partition 0: the batch for offset 0 was stored at 1"):
        send(bed, partition, outgoing(identity_of(bed), 0))

    assert 4 == offsets(bed, partition).latest


def test_a_target_that_is_gone_gets_nothing(bed: KafkaBed, topic_name: str) -> None:
    [old] = create(bed, topic_name)
    identity = identity_of(bed)
    [new] = create_again(bed, topic_name)

    with pytest.raises(TopicGoneError, match=old.topic_id):
        send(bed, old, outgoing(identity, 0))

    assert 0 == offsets(bed, new).latest


def test_a_partition_that_the_topic_does_not_have_is_unavailable_after_the_deadline(
    bed: KafkaBed, topic_name: str
) -> None:
    [partition] = create(bed, topic_name)

    with pytest.raises(BrokerUnavailableError):
        send(bed, partition._replace(partition=7), outgoing(identity_of(bed), 0))


def test_a_set_stop_ends_producing_and_acknowledged_batches_stay(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    identity, stop, acknowledged = identity_of(bed), threading.Event(), list[int]()

    def acknowledge(partition: Partition, batch: OutgoingBatch) -> None:
        acknowledged.append(batch.expected_offset)
        stop.set()

    source = (outgoing(identity, 3 * number) for number in range(1000))
    with bed.access.writer(stop) as writer, pytest.raises(InterruptedRunError):
        writer.produce({partition: source}, timeout_ms=5_000, on_acknowledged=acknowledge)

    assert [0] == acknowledged
    assert 3 <= offsets(bed, partition).latest <= 3 * 11


def test_a_writer_lists_offsets_as_a_reader_does(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(2))

    with writer_of(bed) as writer:
        assert {partition: 2} == writer.list_offsets([partition], "latest").offsets
