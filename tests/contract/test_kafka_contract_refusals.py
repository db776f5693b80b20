"""The batches that a broker refuses, and the changes that it makes to those it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tasks.batches.header import HEADER_BYTES, assemble, read_header
from tasks.broker.log_values import OutgoingBatch, ProducerIdentity
from tasks.model.errors import AccessError, BrokerError
from tests.contract.kafka_batches import LONG_AGO_MS, identity_of, outgoing, send, stamped, stored
from tests.contract.kafka_logs import create, offsets, read_to
from tests.contract.kafkas import ANY_TIME, HOUR_MS, KafkaBed
from tests.support.batch_factory import LOG_APPEND_TIME, make_batch, make_records


class Bad(NamedTuple):
    """A batch that a broker refuses, and the code of the refusal."""

    edit: Callable[[bytes], bytes]
    code: int


def _header(**changes: int) -> Callable[[bytes], bytes]:
    return lambda data: assemble(read_header(data, 0)._replace(**changes), data[HEADER_BYTES:])


def _with_holes(identity: ProducerIdentity, codec: str) -> OutgoingBatch:
    """The header says that the offsets are dense."""
    records = [record._replace(offset=offset) for record, offset in zip(make_records(3), (0, 2, 5), strict=True)]
    return stamped(identity, make_batch(records, base_offset=0, last_offset=2, codec=codec))


BAD = {
    "no bytes": Bad(lambda data: b"", 87),
    "cut": Bad(lambda data: data[:-5], 87),
    "two batches": Bad(lambda data: data + data, 87),
    "an old magic": Bad(lambda data: data[:16] + b"\1" + data[17:], 87),
    "a wrong checksum": Bad(lambda data: data[:-1] + b"?", 2),
    "a base offset": Bad(_header(base_offset=1), 87),
    "a hole at the end": Bad(_header(last_offset_delta=5), 87),
    "no records": Bad(lambda data: make_batch([], base_offset=0), 87),
    "a count too small": Bad(_header(record_count=2, last_offset_delta=1), 87),
    "a control batch": Bad(_header(attributes=0x20), 87),
    "no sequence": Bad(_header(base_sequence=-1), 87),
    "an unknown codec": Bad(_header(attributes=0x06), -1),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_batch_is_refused_with_its_place_and_nothing_of_it_is_stored(
    bed: KafkaBed, topic_name: str, name: str
) -> None:
    [partition] = create(bed, topic_name)
    bad = BAD[name]
    good = outgoing(identity_of(bed), 0)

    with pytest.raises(BrokerError, match=rf"{topic_name}, partition 0 at offset 0") as caught:
        send(bed, partition, good._replace(data=bad.edit(good.data)))

    assert (bad.code, False) == (caught.value.code, caught.value.retryable)
    assert 0 == offsets(bed, partition).latest


@pytest.mark.parametrize("attributes", [0x10, 0x30], ids=["data", "marker"])
def test_a_transactional_batch_is_not_allowed(bed: KafkaBed, topic_name: str, attributes: int) -> None:
    [partition] = create(bed, topic_name)

    with pytest.raises(AccessError) as caught:
        send(bed, partition, outgoing(identity_of(bed), 0, attributes=attributes))

    assert 53 == caught.value.code
    assert 0 == offsets(bed, partition).latest


def test_holes_in_a_compressed_batch_are_refused_and_in_any_other_stored_as_they_come(
    bed: KafkaBed, topic_name: str
) -> None:
    """The reason why a restore writes batches with holes anew: the broker would store silent corruption."""
    [partition] = create(bed, topic_name)
    identity = identity_of(bed)

    with pytest.raises(BrokerError) as caught:
        send(bed, partition, _with_holes(identity, "gzip"))
    assert -1 == caught.value.code
    assert [0] == send(bed, partition, _with_holes(identity, "none"))

    [batch] = read_to(bed, partition, 3)[0]
    assert [0, 2, 5] == [record.offset for record in batch.records]


@pytest.mark.parametrize("is_above", [False, True], ids=["exactly", "one byte above"])
def test_a_batch_may_be_as_large_as_the_topic_allows(bed: KafkaBed, topic_name: str, is_above: bool) -> None:
    batch = outgoing(identity_of(bed), 0)
    [partition] = create(bed, topic_name, configs={"max.message.bytes": str(len(batch.data) - is_above)})

    if not is_above:
        assert [0] == send(bed, partition, batch)
        return
    with pytest.raises(BrokerError) as caught:
        send(bed, partition, batch)
    assert 10 == caught.value.code


@pytest.mark.parametrize(
    ("setting", "hours", "is_accepted"),
    [
        ("message.timestamp.before.max.ms", -2, False),
        ("message.timestamp.before.max.ms", 0, True),
        ("message.timestamp.after.max.ms", 2, False),
        ("message.timestamp.after.max.ms", 0, True),
    ],
)
def test_times_beyond_the_topics_bounds_are_refused(
    bed: KafkaBed, topic_name: str, setting: str, hours: int, is_accepted: bool
) -> None:
    [partition] = create(bed, topic_name, configs={**ANY_TIME, setting: str(HOUR_MS)})
    made = make_batch(make_records(2, timestamp=bed.now_ms() + hours * HOUR_MS), base_offset=0)
    batch = stamped(identity_of(bed), made)

    if is_accepted:
        assert [0] == send(bed, partition, batch)
        return
    with pytest.raises(BrokerError) as caught:
        send(bed, partition, batch)
    assert 32 == caught.value.code


def test_open_bounds_take_every_time(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name, configs=ANY_TIME)
    times = (0, -1, 253_402_300_799_999)
    records = [record._replace(timestamp=time) for record, time in zip(make_records(3), times, strict=True)]

    assert [0] == send(bed, partition, stamped(identity_of(bed), make_batch(records, base_offset=0)))

    assert list(times) == [record.timestamp for record in read_to(bed, partition, 3)[0][0].records]


def test_the_default_bound_of_future_times_is_an_hour_since_kafka_4(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    made = make_batch(make_records(1, timestamp=bed.now_ms() + 2 * HOUR_MS), base_offset=0)
    batch = stamped(identity_of(bed), made)

    if bed.version.startswith("3."):
        assert [0] == send(bed, partition, batch)
        return
    with pytest.raises(BrokerError) as caught:
        send(bed, partition, batch)
    assert 32 == caught.value.code


def test_a_compacted_topic_takes_no_record_without_a_key(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name, configs={"cleanup.policy": "compact"})
    made = make_batch([record._replace(key=None) for record in make_records(2)], base_offset=0)

    with pytest.raises(BrokerError) as caught:
        send(bed, partition, stamped(identity_of(bed), made))

    assert 87 == caught.value.code


def test_a_log_append_time_topic_gives_records_its_own_time(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name, configs={"message.timestamp.type": "LogAppendTime"})
    before_ms = bed.now_ms()

    send(bed, partition, outgoing(identity_of(bed), 0))

    [batch] = read_to(bed, partition, 3)[0]
    assert batch.header.is_log_append_time
    assert LONG_AGO_MS == batch.header.base_timestamp
    [time] = {record.timestamp for record in batch.records}
    assert before_ms <= time == batch.header.max_timestamp


def test_the_bit_of_append_time_does_not_survive_in_a_topic_of_producers_times(bed: KafkaBed, topic_name: str) -> None:
    """The reason why a restore writes such batches anew: readers would get the producers' times."""
    [partition] = create(bed, topic_name)

    send(bed, partition, outgoing(identity_of(bed), 0, attributes=LOG_APPEND_TIME, max_timestamp=5))

    [batch] = read_to(bed, partition, 3)[0]
    assert (False, 5) == (batch.header.is_log_append_time, batch.header.max_timestamp)
    assert LONG_AGO_MS == batch.records[0].timestamp


@pytest.mark.parametrize("attributes", [0x40, 0x100], ids=["delete horizon", "unknown"])
def test_other_attribute_bits_survive(bed: KafkaBed, topic_name: str, attributes: int) -> None:
    [partition] = create(bed, topic_name)

    send(bed, partition, outgoing(identity_of(bed), 0, attributes=attributes))

    assert [attributes] == [one.attributes for one in stored(bed, partition)]


def test_a_wrong_largest_timestamp_is_corrected(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)

    send(bed, partition, outgoing(identity_of(bed), 0, max_timestamp=5))

    assert [LONG_AGO_MS + 2] == [one.max_timestamp for one in stored(bed, partition)]


@pytest.mark.parametrize(("sent", "wanted", "kept"), [("none", "gzip", "gzip"), ("zstd", "uncompressed", "none")])
def test_a_topic_that_wants_another_codec_recompresses_and_keeps_producer_and_offsets(
    bed: KafkaBed, topic_name: str, sent: str, wanted: str, kept: str
) -> None:
    [partition] = create(bed, topic_name, configs={"compression.type": wanted})
    batch = stamped(identity_of(bed), make_batch(make_records(3), base_offset=0, codec=sent))

    assert [0, 0] == send(bed, partition, batch, batch)

    [found] = read_to(bed, partition, 3)[0]
    assert (kept, read_header(batch.data, 0)[9:13]) == (found.header.codec, found.header[9:13])
    assert make_records(3) == found.records
