"""The promises of `LogReader.first_answers`: many partitions with few requests, and nothing that another partition
changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tasks.broker.log_values import Fetched, FetchPosition
from tasks.model.partition import Partition
from tests.contract.kafka_logs import (
    FETCH_BYTES,
    admin_of,
    batches,
    create,
    create_again,
    fetch,
    numbered,
    reader_of,
)
from tests.contract.kafkas import GuardedKafkaBed, KafkaBed
from tests.support.producing import OutRecord, Transaction


def _positions(
    partitions: Iterable[Partition], *, position: int = 0, last_epoch: int | None = None, max_bytes: int = 100_000
) -> list[FetchPosition]:
    return [FetchPosition(one, position, last_epoch, max_bytes) for one in partitions]


def _first_answers(bed: KafkaBed, positions: list[FetchPosition]) -> dict[Partition, Fetched]:
    with reader_of(bed) as reader:
        return reader.first_answers(positions)


def _offsets(answers: Mapping[Partition, Fetched]) -> dict[Partition, list[int]]:
    """The base offsets of the whole batches in each answer."""
    return {key: [one.header.base_offset for one in batches(answer.records)] for key, answer in answers.items()}


def _filled(bed: KafkaBed, name: str, partitions: int, *, records: int = 3) -> list[Partition]:
    made = create(bed, name, partitions)
    for one in made:
        bed.produce(name, numbered(records, first=100 * one.partition), partition=one.partition, records_per_batch=1)
    return made


def test_answers_are_those_that_each_partition_gets_alone(bed: KafkaBed, topic_name: str) -> None:
    partitions = [*_filled(bed, topic_name, 3), *_filled(bed, f"{topic_name}-b", 2)]

    answers = _first_answers(bed, _positions(partitions, position=1, last_epoch=0))

    assert {one: fetch(bed, one, 1, last_epoch=0) for one in partitions} == answers
    assert {one: [1, 2] for one in partitions} == _offsets(answers)


def test_no_partitions_are_no_request(bed: KafkaBed) -> None:
    assert {} == _first_answers(bed, [])


def test_answers_have_the_aborted_transactions_of_their_partition(bed: KafkaBed, topic_name: str) -> None:
    [plain] = _filled(bed, f"{topic_name}-plain", 1)
    [partition] = create(bed, topic_name)
    transactions = [Transaction(numbered(2), is_committed=False), Transaction(numbered(1), is_committed=True)]
    bed.run_transactions(topic_name, transactions)

    with bed.open_transaction(topic_name, numbered(1)):
        answers = _first_answers(bed, _positions([plain, partition]))
        alone = fetch(bed, partition, 0)

    assert ((), [0]) == (answers[plain].aborted, [first for _, first in answers[partition].aborted])
    assert alone == answers[partition]
    assert 5 == answers[partition].last_stable_offset


def test_partitions_without_records_at_the_position_are_absent(bed: KafkaBed, topic_name: str) -> None:
    filled = _filled(bed, topic_name, 1)
    at_end, empty = filled[0], create(bed, f"{topic_name}-empty")[0]
    [other] = _filled(bed, f"{topic_name}-other", 1)

    answers = _first_answers(
        bed, [FetchPosition(at_end, 3, 0, 1000), FetchPosition(empty, 0, None, 1000), *_positions([other])]
    )

    assert {other: [0, 1, 2]} == _offsets(answers)


def test_a_topic_that_is_gone_is_absent_and_its_neighbours_are_not(bed: KafkaBed, topic_name: str) -> None:
    [old], [deleted], [other] = (_filled(bed, f"{topic_name}{suffix}", 1) for suffix in ("", "-deleted", "-other"))
    with reader_of(bed) as reader:
        everyone = _positions([old, deleted, other])
        assert {old, deleted, other} == reader.first_answers(everyone).keys()
        with admin_of(bed) as admin:
            admin.delete_topics([deleted.topic])
        [new] = create_again(bed, topic_name)
        bed.produce(topic_name, numbered(7))

        known_leaders = reader.first_answers(everyone)
    looked_up = _first_answers(bed, [*everyone, *_positions([new])])

    assert {other: [0, 1, 2]} == _offsets(known_leaders)
    assert {other: [0, 1, 2], new: [0]} == _offsets(looked_up)


def test_positions_outside_a_log_and_unknown_or_diverging_epochs_are_absent(bed: KafkaBed, topic_name: str) -> None:
    trimmed, beyond, unknown, fine = _filled(bed, topic_name, 4, records=5)
    with admin_of(bed) as admin:
        admin.delete_records({(topic_name, trimmed.partition): 3})

    answers = _first_answers(
        bed,
        [
            FetchPosition(trimmed, 0, None, 1000),
            FetchPosition(beyond, 99, None, 1000),
            FetchPosition(unknown, 2, 8, 1000),
            FetchPosition(fine, 4, 0, 1000),
            FetchPosition(fine._replace(partition=77), 0, None, 1000),
        ],
    )

    assert {fine: [4]} == _offsets(answers)


def test_a_large_first_batch_comes_whole_and_what_it_starves_can_be_fetched_alone(
    bed: KafkaBed, topic_name: str
) -> None:
    large, small, larger = create(bed, topic_name, 3)
    for one, size in ((large, 9_000), (small, 10), (larger, 20_000)):
        bed.produce(topic_name, [OutRecord(b"k", bytes(size))], partition=one.partition)
    positions = _positions([large, small, larger], max_bytes=2_000)

    answers = _first_answers(bed, positions)

    assert {large: [0]} == _offsets(answers)
    assert 9_000 < len(answers[large].records) < 9_200
    assert 20_000 < len(fetch(bed, larger, 0, max_bytes=2_000).records)
    assert {small: [0]} == _offsets(_first_answers(bed, positions[1:])), "a large batch that is not the first is absent"


def test_an_answer_is_cut_at_the_limit_of_its_partition(bed: KafkaBed, topic_name: str) -> None:
    one, two = create(bed, topic_name, 2)
    for partition in (one, two):
        records = numbered(30, value_bytes=1_000)
        bed.produce(topic_name, records, partition=partition.partition, records_per_batch=1)

    answers = _first_answers(bed, _positions([one, two], max_bytes=3_500))

    assert {one: [0, 1, 2], two: [0, 1, 2]} == _offsets(answers)
    assert {one: 3_500, two: 3_500} == {key: len(answer.records) for key, answer in answers.items()}


def test_a_throttled_answer_makes_all_its_partitions_absent(bed: KafkaBed, topic_name: str) -> None:
    one, two = create(bed, topic_name, 2)
    for partition in (one, two):
        bed.produce(topic_name, numbered(60, value_bytes=10_000), partition=partition.partition, records_per_batch=1)

    with bed.limit_fetching(80_000), reader_of(bed) as reader:
        answers = [reader.first_answers(_positions([one, two], max_bytes=250_000)) for _ in range(4)]
        fetcher = reader.fetcher(max_bytes=FETCH_BYTES)
        fetcher.send(one, 59, None)
        while not (last := fetcher.receive()).records:
            fetcher.send(one, 59, None)

    assert {one, two} == answers[0].keys()
    assert {} in answers
    assert [59] == [batch.header.base_offset for batch in batches(last.records)]


def test_a_topic_that_is_not_readable_is_absent_and_its_neighbours_are_not(
    guarded_bed: GuardedKafkaBed, topic_name: str
) -> None:
    [denied], [hidden], [other] = (
        _filled(guarded_bed, f"{topic_name}{suffix}", 1) for suffix in ("-denied", "-hidden", "")
    )
    with (
        guarded_bed.deny("Topic", denied.topic, "Read"),
        guarded_bed.deny("Topic", hidden.topic, "Describe"),
    ):
        assert {other: [0, 1, 2]} == _offsets(_first_answers(guarded_bed, _positions([denied, hidden, other])))


def test_a_fetcher_of_the_same_reader_is_not_affected(bed: KafkaBed, topic_name: str) -> None:
    partitions = _filled(bed, topic_name, 3)
    with reader_of(bed) as reader:
        fetcher = reader.fetcher(max_bytes=1000)
        fetcher.send(partitions[0], 2, None)
        assert set(partitions) == reader.first_answers(_positions(partitions)).keys()
        fetcher.send(partitions[1], 1, None)
        alone = fetcher.receive()
    assert (partitions[1], [1, 2]) == (alone.partition, [one.header.base_offset for one in batches(alone.records)])


def test_hundreds_of_partitions_come_in_one_call(bed: KafkaBed, topic_name: str) -> None:
    partitions = create(bed, topic_name, 300)
    chosen = partitions[::60]
    for one in chosen:
        bed.produce(topic_name, numbered(1), partition=one.partition)
    assert set(chosen) == _first_answers(bed, _positions(partitions, max_bytes=16_384)).keys()
