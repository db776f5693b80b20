"""The promises of the ports about logs that a cleaner passed over, or whose beginning was deleted."""

from __future__ import annotations

from tasks.model.partition import Partition
from tests.contract.kafka_logs import (
    Batch,
    Offsets,
    admin_of,
    batches,
    close_segment,
    create,
    fetch,
    offsets,
    read_to,
)
from tests.contract.kafkas import COMPACTED, HOUR_MS, KafkaBed
from tests.support.producing import OutRecord, Transaction


def _keyed(keys: str, *, value: bytes | None = b"v") -> list[OutRecord]:
    return [OutRecord(key.encode(), value) for key in keys]


def _kept(found: list[Batch]) -> list[tuple[int, int, str]]:
    """(first offset, last offset, keys of the records that are left) of each batch."""
    return [
        (one.header.base_offset, one.header.last_offset, b"".join(record.key or b"" for record in one.records).decode())
        for one in found
    ]


def _read_below(bed: KafkaBed, partition: Partition, end: int) -> list[Batch]:
    return [one for one in read_to(bed, partition, end)[0] if one.header.base_offset < end]


def test_a_cleaned_log_has_holes_at_both_ends_and_in_the_middle_of_batches(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name, configs=COMPACTED)
    bed.produce(topic_name, _keyed("abcdefg"), codec="zstd")
    bed.produce(topic_name, _keyed("adg"), is_idempotent=False)
    end = close_segment(bed, partition)
    before, _ = read_to(bed, partition, end)

    bed.clean(topic_name, end)

    found, _ = read_to(bed, partition, end + 1)
    assert [(0, 6, "bcef"), (7, 9, "adg"), (10, 10, "roll")] == _kept(found)
    assert [1, 2, 4, 5] == [record.offset for record in found[0].records]
    assert before[0].records[1].timestamp == found[0].records[0].timestamp
    assert before[0].header[9:12] == found[0].header[9:12], "the producer and its sequence"
    assert "zstd" == found[0].header.codec
    assert before[1].data == found[1].data
    assert Offsets(0, 11, 11) == offsets(bed, partition)
    assert [(7, 9, "adg")] == _kept(batches(fetch(bed, partition, 7).records)[:1])
    assert [(0, 6, "bcef")] == _kept(batches(fetch(bed, partition, 6).records)[:1]), "a position in a hole"


def test_the_last_batch_of_an_idempotent_producer_stays_empty_and_others_go(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name, configs=COMPACTED)
    bed.produce(topic_name, _keyed("ab"), records_per_batch=1)
    bed.produce(topic_name, _keyed("ab"), is_idempotent=False)
    bed.produce(topic_name, _keyed("ab"))
    end = close_segment(bed, partition)

    bed.clean(topic_name, end)

    found, _ = read_to(bed, partition, end)
    assert [(1, 1, ""), (4, 5, "ab")] == _kept(found)
    emptied = found[0].header
    assert (0, 61, -1, 1) == (emptied.record_count, emptied.size_bytes, emptied.base_timestamp, emptied.base_sequence)


def test_tombstones_get_a_horizon_and_go_with_a_later_pass(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name, configs=COMPACTED)
    bed.produce(topic_name, _keyed("ab"), is_idempotent=False)
    bed.produce(topic_name, [*_keyed("c"), *_keyed("a", value=None)], is_idempotent=False)
    first_end = close_segment(bed, partition)
    before, _ = read_to(bed, partition, first_end)

    bed.clean(topic_name, first_end)
    once = _read_below(bed, partition, first_end)
    second_end = close_segment(bed, partition)
    bed.clean(topic_name, second_end)

    assert [(0, 1, "b"), (2, 3, "ca")] == _kept(once)
    assert [False, True] == [one.header.has_delete_horizon for one in once]
    assert [record.timestamp for record in before[1].records] == [record.timestamp for record in once[1].records]
    assert before[1].header.max_timestamp <= once[1].header.base_timestamp
    twice = _read_below(bed, partition, first_end)
    assert [(0, 1, "b"), (2, 3, "c")] == _kept(twice)
    assert twice[1].header.has_delete_horizon


def test_aborted_data_goes_and_its_transaction_is_listed_while_its_marker_stays(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name, configs=COMPACTED)
    aborted, committed = Transaction(_keyed("xy"), is_committed=False), Transaction(_keyed("a"))
    bed.run_transactions(topic_name, [aborted, committed])
    end = close_segment(bed, partition)

    bed.clean(topic_name, end)
    once, listed_once = _read_below(bed, partition, end), fetch(bed, partition, 0).aborted
    bed.clean(topic_name, close_segment(bed, partition))
    twice, listed_twice = _read_below(bed, partition, end), fetch(bed, partition, 0).aborted
    bed.clean(topic_name, close_segment(bed, partition))
    thrice = _read_below(bed, partition, end)

    assert [[2, 3, 4], [2, 3, 4], [3, 4]] == [
        [one.header.base_offset for one in found] for found in (once, twice, thrice)
    ]
    assert [[0], []] == [[first for _, first in listed] for listed in (listed_once, listed_twice)]
    assert [False, True] == [found[0].header.has_delete_horizon for found in (once, twice)]


def test_a_tail_without_any_record_is_kept_empty_by_kafka_4_and_lost_by_3_9(bed: KafkaBed, topic_name: str) -> None:
    """The cleaner drops records without a key, which only a topic has that was not compacted before."""
    [partition] = create(bed, topic_name, configs={**COMPACTED, "cleanup.policy": "delete"})
    bed.produce(topic_name, _keyed("a"), is_idempotent=False)
    bed.produce(topic_name, [OutRecord(None, b"v")] * 4, records_per_batch=2, is_idempotent=False)
    with admin_of(bed) as admin:
        admin.alter_topic_configs(topic_name, {"cleanup.policy": "compact"}, ())
    later = OutRecord(b"open", b"v", timestamp=bed.now_ms() + 2 * HOUR_MS)

    with bed.open_transaction(topic_name, [later]):
        bed.clean(topic_name, 5)
        assert Offsets(0, 5, 6) == offsets(bed, partition)
        beginning, tail = (fetch(bed, partition, position) for position in (0, 1))

    lasting = [] if bed.version.startswith("3.") else [(3, 4, "")]
    assert [(0, 0, "a"), *lasting] == _kept(batches(beginning.records))
    assert lasting == _kept(batches(tail.records))
    assert (5, 6) == (tail.last_stable_offset, tail.high_watermark)


def test_deleted_records_move_the_start_into_a_batch_which_is_served_whole(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, _keyed("abcdefghij"), records_per_batch=5)
    with admin_of(bed) as admin:
        assert {(topic_name, 0): 7} == admin.delete_records({(topic_name, 0): 7})

        assert Offsets(7, 10, 10) == offsets(bed, partition)
        assert [(5, 9, "fghij")] == _kept(batches(fetch(bed, partition, 7).records))

        assert {(topic_name, 0): 10} == admin.delete_records({(topic_name, 0): 10})
    assert Offsets(10, 10, 10) == offsets(bed, partition)
    assert b"" == fetch(bed, partition, 10).records
