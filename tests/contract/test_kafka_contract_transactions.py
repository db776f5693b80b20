"""The promises of the ports about transactions: stable offsets, and the list of aborted ones in an answer."""

from __future__ import annotations

from tests.contract.kafka_logs import Offsets, admin_of, batches, create, fetch, numbered, offsets, read_to
from tests.contract.kafkas import KafkaBed
from tests.support.producing import OutRecord, Transaction

RECORD = [OutRecord(b"k", b"v")]
COMMITTED, ABORTED = Transaction(RECORD), Transaction(RECORD, is_committed=False)


def test_markers_take_offsets_and_data_of_aborted_transactions_is_served(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.run_transactions(topic_name, [ABORTED, COMMITTED])

    found, _ = read_to(bed, partition, 4)

    assert Offsets(0, 4, 4) == offsets(bed, partition)
    assert [(0, False), (1, True), (2, False), (3, True)] == [
        (one.header.base_offset, one.header.is_control) for one in found
    ]
    assert all(one.header.is_transactional for one in found)
    assert [b"\0\0\0\0", b"\0\0\0\1"] == [one.records[0].key for one in found if one.header.is_control]
    [producer] = {one.header.producer_id for one in found}
    assert ((producer, 0),) == fetch(bed, partition, 0).aborted


def test_an_open_transaction_holds_what_is_served_and_what_follows_it(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.produce(topic_name, numbered(3))

    with bed.open_transaction(topic_name, RECORD):
        bed.produce(topic_name, numbered(2))
        assert Offsets(0, 3, 6) == offsets(bed, partition)
        before, at, beyond = (fetch(bed, partition, position) for position in (0, 3, 5))

    assert [0] == [one.header.base_offset for one in batches(before.records)]
    assert [(b"", 3, 6)] * 2 == [(one.records, one.last_stable_offset, one.high_watermark) for one in (at, beyond)]
    assert Offsets(0, 7, 7) == offsets(bed, partition)
    found, _ = read_to(bed, partition, 7, position=3)
    assert [3, 4, 6] == [one.header.base_offset for one in found]


def test_an_aborted_transaction_is_listed_for_positions_inside_it_and_not_behind_it(
    bed: KafkaBed, topic_name: str
) -> None:
    [partition] = create(bed, topic_name)
    bed.run_transactions(topic_name, [Transaction(numbered(3), is_committed=False), COMMITTED])

    listed = [[first for _, first in fetch(bed, partition, position).aborted] for position in range(6)]

    assert [[0], [0], [0], [0], [], []] == listed


def test_a_small_log_lists_what_was_aborted_behind_the_cut_of_an_answer_as_well(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)
    bed.run_transactions(topic_name, [COMMITTED, ABORTED, COMMITTED, ABORTED])

    first, second = (fetch(bed, partition, position, max_bytes=1) for position in (0, 1))

    assert [[0], [1]] == [[one.header.base_offset for one in batches(answer.records)] for answer in (first, second)]
    assert [[2, 6], [2, 6]] == [[first for _, first in answer.aborted] for answer in (first, second)]


def test_a_long_log_lists_only_what_may_concern_the_answer(bed: KafkaBed, topic_name: str) -> None:
    """How far an answer reaches the leader reads from an index with an entry for every four kilobytes."""
    [partition] = create(bed, topic_name)
    large = [OutRecord(b"k", bytes(1_500))]
    bed.run_transactions(topic_name, [Transaction(large, is_committed=number % 2 == 0) for number in range(12)])

    listed = {position: fetch(bed, partition, position, max_bytes=2_000).aborted for position in (1, 4, 6, 12, 22)}

    assert {1: [2], 4: [6, 10], 6: [6, 10], 12: [14], 22: [22]} == {
        position: [first for _, first in aborted] for position, aborted in listed.items()
    }


def test_a_transaction_that_is_open_twice_over_is_listed_when_it_has_aborted(bed: KafkaBed, topic_name: str) -> None:
    [partition] = create(bed, topic_name)

    with bed.open_transaction(topic_name, RECORD, is_committed=True), bed.open_transaction(topic_name, RECORD):
        bed.produce(topic_name, numbered(1))
        assert Offsets(0, 0, 3) == offsets(bed, partition)

    assert Offsets(0, 5, 5) == offsets(bed, partition)
    found, answers = read_to(bed, partition, 5)
    assert [0, 1, 2, 3, 4] == [one.header.base_offset for one in found]
    assert [(found[1].header.producer_id, 1)] == list(answers[0].aborted)


def test_records_deleted_inside_an_open_transaction_leave_nothing_stable(bed: KafkaBed, topic_name: str) -> None:
    """The stable offset is then the beginning of the batch at the log start, below it that is; in 3.9 the log start."""
    [partition] = create(bed, topic_name)
    found = []

    with bed.open_transaction(topic_name, numbered(5)), bed.open_transaction(topic_name, numbered(5)):
        for start in (2, 6):
            with admin_of(bed) as admin:
                admin.delete_records({(topic_name, 0): start})
            fetched = fetch(bed, partition, start)
            assert (b"", 10) == (fetched.records, fetched.high_watermark)
            assert fetched.last_stable_offset == offsets(bed, partition).last_stable
            found.append(offsets(bed, partition))

    stable = [2, 6] if bed.version.startswith("3.") else [0, 5]
    assert [Offsets(2, stable[0], 10), Offsets(6, stable[1], 10)] == found
