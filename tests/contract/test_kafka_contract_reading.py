"""The promises of `LogReader` and `PartitionFetcher` about offsets and batches of plain logs."""

from __future__ import annotations

import threading

import pytest

from tasks.model.errors import (
    BrokerUnavailableError,
    InterruptedRunError,
    OffsetOutOfRangeError,
    TopicGoneError,
)
from tests.contract.kafka_logs import (
    Offsets,
    admin_of,
    batches,
    close_segment,
    create,
    create_again,
    fetch,
    numbered,
    offsets,
    read_to,
    reader_of,
)
from tests.contract.kafkas import ANY_TIME, HOUR_MS, KafkaBed
from tests.support.producing import CODECS, OutRecord

NO_SUCH_ID = "AAAAAAAAAAAAAAAAAAAAAQ"


def test_an_empty_partition_begins_and_ends_at_zero(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)

    assert Offsets(0, 0, 0) == offsets(bed, partition)
    with reader_of(bed) as reader:
        assert {partition: -1} == reader.list_offsets([partition], "max_timestamp").offsets
        assert {} == reader.list_offsets([], "latest").offsets


def test_offsets_of_many_partitions_come_in_one_answer(bed: KafkaBed, topic_name: str) -> None:
    partitions = create(bed, topic_name, 3)
    for partition in partitions:
        bed.produce(topic_name, numbered(partition.partition + 1), partition=partition.partition)

    with reader_of(bed) as reader:
        answers = reader.list_offsets([*partitions, partitions[0]], "latest")

    assert dict(zip(partitions, (1, 2, 3), strict=True)) == answers.offsets
    assert {} == answers.failures


def test_the_newest_record_by_timestamp_is_the_first_of_those_with_the_largest_one(
    bed: KafkaBed, topic_name: str
) -> None:
    [partition] = create(bed, topic_name, configs=ANY_TIME)
    times = [5, 9_000, 9_000, 7]
    bed.produce(topic_name, [OutRecord(b"k", b"v", timestamp=time) for time in times], records_per_batch=2)

    with reader_of(bed) as reader:
        assert {partition: 1} == reader.list_offsets([partition], "max_timestamp").offsets


def test_a_topic_that_was_deleted_or_created_again_is_gone_and_its_neighbours_are_not(
    bed: KafkaBed, topic_name: str
) -> None:
    [old], [deleted], [other] = (create(bed, f"{topic_name}{suffix}") for suffix in ("", "-deleted", "-other"))
    bed.produce(topic_name, numbered(3))
    with admin_of(bed) as admin:
        admin.delete_topics([deleted.topic])
    [new] = create_again(bed, topic_name)
    bed.produce(topic_name, numbered(7))

    with reader_of(bed) as reader:
        answers = reader.list_offsets([old, deleted, other, new], "latest")

    assert {other: 0, new: 7} == answers.offsets
    assert {old, deleted} == answers.failures.keys()
    for partition, failure in answers.failures.items():
        assert isinstance(failure, TopicGoneError)
        assert f"{partition.topic} ({partition.topic_id})" in str(failure)


def test_the_ends_of_leader_epochs_come_in_one_answer_and_a_topic_that_is_gone_has_none(
    bed: KafkaBed, topic_name: str
) -> None:
    one, two = create(bed, topic_name, 2)
    [old] = create(bed, f"{topic_name}-old")
    create_again(bed, old.topic)
    bed.produce(topic_name, numbered(3))

    with reader_of(bed) as reader:
        answers = reader.ends_of_epochs({one: 0, two: 0, old: 0})
        unknown = reader.ends_of_epochs({one: 5})
        nothing = reader.ends_of_epochs({})

    assert {one: (0, 3), two: (0, 0)} == answers.ends
    assert isinstance(answers.failures[old], TopicGoneError)
    assert ({one: None}, {}) == (unknown.ends, nothing.ends)


def test_a_fetch_of_a_topic_that_is_gone_never_returns_another_incarnations_records(
    bed: KafkaBed, topic_name: str
) -> None:
    [old] = create(bed, topic_name)
    bed.produce(topic_name, numbered(3))
    assert 3 == batches(fetch(bed, old, 0).records)[-1].header.next_offset
    create_again(bed, topic_name)
    bed.produce(topic_name, numbered(5))

    with pytest.raises(TopicGoneError, match=rf"{topic_name} \({old.topic_id}\)"):
        fetch(bed, old, 3)


def test_a_partition_that_the_topic_does_not_have_is_unavailable_and_the_others_are_answered(
    bed: KafkaBed, topic_name: str
) -> None:
    [partition] = create(bed, topic_name)
    missing = partition._replace(partition=7)

    with reader_of(bed) as reader:
        answers = reader.list_offsets([partition, missing], "latest")
        fetcher = reader.fetcher(max_bytes=1000)
        fetcher.send(missing, 0, None)
        with pytest.raises(BrokerUnavailableError, match="-7 has no leader"):
            fetcher.receive()

    assert {partition: 0} == answers.offsets
    assert isinstance(answers.failures[missing], BrokerUnavailableError)


@pytest.mark.parametrize("codec", ["none", *CODECS])
def test_batches_come_as_their_producer_wrote_them(bed: KafkaBed, topic_name: str, codec: str) -> None:
    [partition] = create(bed, topic_name)
    records = [OutRecord(b"%d" % n, b"value" * 20, (("h", None), ("h", b"\xff"))) for n in range(20)]
    bed.produce(topic_name, records, codec=codec, records_per_batch=8)

    found, _ = read_to(bed, partition, 20)

    assert [(0, 7, 8), (8, 15, 8), (16, 19, 4)] == [
        (one.header.base_offset, one.header.last_offset, one.header.record_count) for one in found
    ]
    assert {(codec, 0)} == {(one.header.codec, one.header.leader_epoch) for one in found}
    assert [0, 8, 16] == [one.header.base_sequence for one in found]
    decoded = [record for one in found for record in one.records]
    assert [(n, b"%d" % n, b"value" * 20, ((b"h", None), (b"h", b"\xff"))) for n in range(20)] == [
        (one.offset, one.key, one.value, one.headers) for one in decoded
    ]


def test_a_position_inside_a_batch_gets_the_whole_batch(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(20), records_per_batch=10)

    fetched = fetch(bed, partition, 13)

    assert (partition, 13) == (fetched.partition, fetched.position)
    assert [10] == [one.header.base_offset for one in batches(fetched.records)]
    assert (20, 20, 0) == (fetched.high_watermark, fetched.last_stable_offset, fetched.log_start_offset)
    assert ((), 0, None, -1) == (
        fetched.aborted,
        fetched.throttle_time_ms,
        fetched.diverging,
        fetched.preferred_replica,
    )


def test_an_answer_is_cut_at_its_size_and_a_larger_first_batch_comes_whole(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, [OutRecord(b"large", bytes(9_000))])
    bed.produce(topic_name, numbered(30, value_bytes=1_000), records_per_batch=1)

    first, second = fetch(bed, partition, 0, max_bytes=3_000), fetch(bed, partition, 1, max_bytes=3_000)
    found, answers = read_to(bed, partition, 31, max_bytes=3_000)

    assert [0] == [one.header.base_offset for one in batches(first.records)]
    assert 9_000 < len(first.records) < 9_200
    assert 3_000 == len(second.records)
    assert [1, 2] == [one.header.base_offset for one in batches(second.records)]
    assert list(range(31)) == [one.header.base_offset for one in found]
    assert 16 == len(answers)


def test_at_the_end_answers_are_empty_and_the_next_record_comes_when_it_is_there(
    bed: KafkaBed, topic_name: str
) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(2))
    with reader_of(bed) as reader:
        fetcher = reader.fetcher(max_bytes=1000)
        fetcher.send(partition, 2, 0)
        waited = fetcher.receive()
        bed.produce(topic_name, numbered(1))
        fetcher.send(partition, 2, 0)
        [batch] = batches(fetcher.receive().records)

    assert (b"", 2, 2, 0) == (waited.records, waited.high_watermark, waited.last_stable_offset, waited.throttle_time_ms)
    assert 2 == batch.header.base_offset


def test_a_new_request_drops_an_answer_that_was_not_received(bed: KafkaBed, topic_name: str) -> None:
    first, second = create(bed, topic_name, 2)
    for partition in (first, second):
        bed.produce(topic_name, numbered(1 + partition.partition), partition=partition.partition)

    with reader_of(bed) as reader:
        fetcher = reader.fetcher(max_bytes=1000)
        fetcher.send(first, 0, None)
        fetcher.send(second, 0, None)
        fetched = fetcher.receive()
        fetcher.send(first, 0, None)
        fetcher.abandon()
        assert {first: 1, second: 2} == reader.list_offsets([first, second], "latest").offsets
        fetcher.send(first, 0, None)
        assert first == fetcher.receive().partition

    assert (second, 2) == (fetched.partition, batches(fetched.records)[-1].header.next_offset)


def test_positions_outside_the_log_are_out_of_range_on_both_sides(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(10))
    with admin_of(bed) as admin:
        admin.delete_records({(topic_name, 0): 4})

    for position in (-1, 0, 3, 11, 1 << 40):
        with pytest.raises(OffsetOutOfRangeError, match=f"offset {position}"):
            fetch(bed, partition, position)

    assert Offsets(4, 10, 10) == offsets(bed, partition)
    inside = fetch(bed, partition, 4)
    assert (4, 0) == (inside.log_start_offset, batches(inside.records)[0].header.base_offset)
    assert b"" == fetch(bed, partition, 10).records


def test_a_leader_epoch_that_the_leader_does_not_know_is_out_of_range(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(3))

    with pytest.raises(OffsetOutOfRangeError):
        fetch(bed, partition, 1, last_epoch=5)
    assert fetch(bed, partition, 1, last_epoch=0).records


def test_retention_deletes_whole_segments_and_the_log_begins_with_the_first_that_stays(
    bed: KafkaBed, topic_name: str
) -> None:
    configs = {**ANY_TIME, "segment.ms": str(HOUR_MS), "retention.ms": str(24 * HOUR_MS)}
    [partition] = create(bed, topic_name, configs={**configs, "retention.ms": "-1"})
    long_ago = bed.now_ms() - 1000 * HOUR_MS
    old = [OutRecord(b"old", b"v", timestamp=long_ago + n) for n in range(6)]
    bed.produce(topic_name, old, records_per_batch=2)
    start = close_segment(bed, partition)
    with admin_of(bed) as admin:
        admin.alter_topic_configs(topic_name, {"retention.ms": configs["retention.ms"]}, ())

    bed.apply_retention(lambda: offsets(bed, partition).earliest == start)

    with pytest.raises(OffsetOutOfRangeError):
        fetch(bed, partition, 5)
    assert [b"roll"] == [
        record.key for one in read_to(bed, partition, start + 1, position=start)[0] for record in one.records
    ]


def test_sizes_are_those_of_the_partitions_that_exist(bed: KafkaBed, topic_name: str) -> None:
    filled, empty = create(bed, topic_name, 2)
    bed.produce(topic_name, [OutRecord(b"k", bytes(100_000))])
    unknown = filled._replace(topic=f"{topic_name}-never", topic_id=NO_SUCH_ID)

    with reader_of(bed) as reader:
        sizes = reader.partition_bytes([filled, empty, unknown])
        assert None is reader.partition_bytes([unknown])

    assert sizes is not None
    assert {filled, empty} == sizes.keys()
    assert 100_000 < sizes[filled] < 101_000
    assert 0 == sizes[empty]


def test_a_throttled_answer_has_no_records_and_a_time_to_wait(bed: KafkaBed, topic_name: str) -> None:
    """A broker limits the mean of the last 10 to 11 seconds, and uses a new limit some time after it was set."""
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(90, value_bytes=10_000), records_per_batch=1)

    with bed.limit_fetching(80_000):
        for _ in range(20):
            found, answers = read_to(bed, partition, 90, max_bytes=200_000)
            assert list(range(90)) == [one.header.base_offset for one in found]
            if throttled := [answer for answer in answers if answer.throttle_time_ms]:
                break

    assert throttled
    assert {b""} == {answer.records for answer in throttled}


def test_a_set_stop_ends_the_wait_for_records(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    stop = threading.Event()

    with bed.access.reader(stop) as reader:
        fetcher = reader.fetcher(max_bytes=1000)
        fetcher.send(partition, 0, None)
        stop.set()
        with pytest.raises(InterruptedRunError):
            fetcher.receive()


def test_a_reader_has_the_deadline_of_its_options(bed: KafkaBed) -> None:
    with reader_of(bed) as reader:
        assert 2_000 == reader.retry_deadline_ms
