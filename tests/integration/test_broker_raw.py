"""The raw side of `broker` with a real Kafka: fetches, offsets, produces, and the same with failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pytest

from tasks.batches.header import iter_headers, stamp
from tasks.batches.records import decode_records
from tasks.broker.admin.admin import Admin
from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import Fetched, OutgoingBatch, ProducerIdentity
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.raw.fetch import FETCH_BYTES, Fetcher
from tasks.broker.raw.log_dirs import partition_bytes
from tasks.broker.raw.offsets import list_offsets
from tasks.broker.raw.produce import init_producer_id, produce
from tasks.broker.raw.producers import open_transactions
from tasks.model.errors import (
    BrokerError,
    BrokerUnavailableError,
    InterruptedRunError,
    OffsetOutOfRangeError,
    TopicGoneError,
)
from tasks.model.partition import Partition
from tests.conftest import KAFKA_VERSION
from tests.support import producing, reading
from tests.support.batch_factory import make_batch, make_records
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, Transaction
from tests.support.quotas import fetch_quota

pytestmark = pytest.mark.kafka
OPEN = {"message.timestamp.before.max.ms": str(2**63 - 1), "message.timestamp.after.max.ms": str(2**63 - 1)}


@pytest.fixture
def cluster(kafka: KafkaCluster) -> Iterator[Cluster]:
    with Cluster(_options(kafka)) as cluster:
        yield cluster


def _options(kafka: KafkaCluster, client_id: str = "raw-test") -> ConnectionOptions:
    return ConnectionOptions(
        bootstrap_servers=kafka.bootstrap_servers,
        client_id=client_id,
        request_timeout_ms=10_000,
        retry_deadline_ms=40_000,
    )


def _topic(
    kafka: KafkaCluster, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None
) -> list[Partition]:
    producing.create_topic(kafka.bootstrap, name, partitions=partitions, configs=configs)
    return _partitions(kafka, name, partitions)


def _partitions(kafka: KafkaCluster, name: str, partitions: int = 1) -> list[Partition]:
    with Admin(kafka.connection) as admin:
        [described] = admin.describe_topics([name])
    return [Partition(name, described.topic_id, number) for number in range(partitions)]


def _re_create(kafka: KafkaCluster, name: str) -> None:
    with Admin(kafka.connection) as admin:
        assert admin.delete_topics([name]) == {name: None}
        assert admin.describe_topics([name]) == []
    producing.create_topic(kafka.bootstrap, name)


def _fetcher(cluster: Cluster, max_bytes: int = FETCH_BYTES) -> Fetcher:
    return Fetcher(cluster, stop=threading.Event(), max_bytes=max_bytes, max_wait_ms=100)


def _whole(fetched: Fetched) -> tuple[bytes, int]:
    """The whole batches of an answer, and the position after them."""
    size, following = 0, fetched.position
    for at, header in iter_headers(fetched.records):
        size, following = at + header.size_bytes, header.next_offset
    return fetched.records[:size], following


def _read(fetcher: Fetcher, partition: Partition, end: int, position: int = 0) -> tuple[bytes, list[Fetched]]:
    """The batches from `position` to `end`, and all answers. Only the position ends the loop."""
    data, answers = b"", list[Fetched]()
    while position < end:
        fetcher.send(partition, position, None)
        answers.append(fetcher.receive())
        batches, position = _whole(answers[-1])
        data += batches
    return data, answers


def _values(kafka: KafkaCluster, partition: Partition) -> list[tuple[int, bytes | None]]:
    seen = reading.read_all(kafka.bootstrap, partition.topic, partition.partition)
    return [(record.offset, record.key) for record in seen]


class _Plan(NamedTuple):
    """The batches for one partition: each has `size` records, and its base sequence is the number of records before
    it."""

    identity: ProducerIdentity
    batches: int
    size: int = 3
    value_bytes: int = 10
    base: int = 0

    def outgoing(self) -> Iterator[OutgoingBatch]:
        for number in range(self.batches):
            first = number * self.size
            records = make_records(self.size, first=first, size_bytes=self.value_bytes)
            data = stamp(
                make_batch(records, base_offset=first),
                producer_id=self.identity.producer_id,
                producer_epoch=self.identity.epoch,
                base_sequence=first,
            )
            yield OutgoingBatch(data, self.size, self.base + first)

    def expected(self) -> list[tuple[int, bytes | None]]:
        count = self.batches * self.size
        return [(self.base + record.offset, record.key) for record in make_records(count)]


class _Log:
    """The acknowledged offsets of each partition in order, and their total number."""

    def __init__(self) -> None:
        self.offsets: dict[Partition, list[int]] = {}
        self.count = 0

    def __call__(self, partition: Partition, batch: OutgoingBatch) -> None:
        self.offsets.setdefault(partition, []).append(batch.expected_offset)
        self.count += 1


def _produce(cluster: Cluster, sources: Mapping[Partition, Iterator[OutgoingBatch]]) -> _Log:
    log = _Log()
    produce(cluster, sources, timeout_ms=10_000, stop=threading.Event(), on_acknowledged=log)
    return log


def test_batches_fetched_by_id_equal_the_brokers_log_byte_for_byte(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [partition] = _topic(kafka, topic_name)
    for codec in ("none", *producing.CODECS):
        records = [OutRecord(b"%d" % n, b"value" * n, (("h", None), ("h", b"\xff"))) for n in range(50)]
        producing.produce(kafka.bootstrap, topic_name, records, compression=codec, records_per_batch=7)
    end = list_offsets(cluster, [partition], "latest").offsets[partition]

    data, answers = _read(_fetcher(cluster, max_bytes=4_000), partition, end)

    assert 250 == end
    assert len(answers) > 3
    log = (kafka.log_dir() / f"{topic_name}-0" / f"{0:020d}.log").read_bytes()
    assert log[: len(data)] == data
    assert not log[len(data) :].strip(b"\0")
    seen = reading.read_all(kafka.bootstrap, topic_name)
    decoded = [one for at, head in iter_headers(data) for one in decode_records(data[at : at + head.size_bytes])]
    assert [(one.offset, one.timestamp, one.key, one.value) for one in seen] == [
        (one.offset, one.timestamp, one.key, one.value) for one in decoded
    ]


def test_a_re_created_topic_is_gone_for_fetch_and_offsets_and_other_topics_are_not(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [old], [other] = _topic(kafka, topic_name), _topic(kafka, f"{topic_name}-b")
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=b"old")])
    fetcher = _fetcher(cluster)
    assert len(_read(fetcher, old, 1)[0]) > 61
    _re_create(kafka, topic_name)
    [new] = _partitions(kafka, topic_name)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=b"new"), OutRecord(value=b"new")])

    fetcher.send(old, 1, 0)
    with pytest.raises(TopicGoneError, match=rf"{topic_name} \({old.topic_id}\)"):
        fetcher.receive()
    answers = list_offsets(cluster, [old, other, new], "latest")

    assert {other: 0, new: 2} == answers.offsets
    assert [old] == list(answers.failures)
    assert isinstance(answers.failures[old], TopicGoneError)
    assert b"new" in _read(fetcher, new, 2)[0]


def test_a_re_created_topic_is_gone_also_for_a_broker_without_topic_ids(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [old] = _topic(kafka, topic_name)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=b"old")])
    connection = cluster.connection(cluster.leader(old).node_id)
    connection.versions |= {ApiKey.FETCH: (4, 12), ApiKey.METADATA: (0, 11)}
    fetcher = _fetcher(cluster)
    assert b"old" in _read(fetcher, old, 1)[0]
    _re_create(kafka, topic_name)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=b"new")])

    fetcher.send(old, 0, None)

    with pytest.raises(TopicGoneError, match=old.topic_id):
        fetcher.receive()


def test_a_batch_larger_than_the_fetch_size_arrives_whole_and_the_next_fetch_is_small_again(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [partition] = _topic(kafka, topic_name, configs={"max.message.bytes": "20000000"})
    large = OutRecord(value=bytes(10 << 20))
    small = [OutRecord(value=bytes(100_000)) for _ in range(30)]
    producing.produce(kafka.bootstrap, topic_name, [large])
    producing.produce(kafka.bootstrap, topic_name, small, records_per_batch=1)

    data, answers = _read(_fetcher(cluster, max_bytes=1 << 20), partition, 31)

    assert [0, 1] == [header.base_offset for _, header in iter_headers(data)][:2]
    assert 10 << 20 < len(answers[0].records) < 11 << 20
    assert all(len(answer.records) <= 1 << 20 for answer in answers[1:])


def test_an_offset_beyond_the_end_or_before_the_start_is_out_of_range(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [partition] = _topic(kafka, topic_name)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=b"x")] * 10, records_per_batch=1)
    producing.delete_records(kafka.bootstrap, topic_name, 4)
    fetcher = _fetcher(cluster)

    for position in (3, 11):
        fetcher.send(partition, position, None)
        with pytest.raises(OffsetOutOfRangeError, match=rf"{topic_name}, partition 0, offset {position}"):
            fetcher.receive()
    fetcher.send(partition, 4, None)
    assert 4 == fetcher.receive().log_start_offset


def test_an_open_transaction_stops_the_fetch_at_the_stable_end_and_the_request_size_stays(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [partition] = _topic(kafka, topic_name, configs=OPEN)
    aborted = Transaction([OutRecord(value=b"a")], is_committed=False)
    producing.produce_transactions(kafka.bootstrap, topic_name, [aborted, Transaction([OutRecord(value=b"b")])])
    later = [OutRecord(value=bytes(900_000), timestamp=1_999_999_999_999), *[OutRecord(value=bytes(900_000))] * 3]
    fetcher = _fetcher(cluster, max_bytes=1 << 20)

    with producing.open_transaction(kafka.bootstrap, topic_name, later, is_committed=True):
        found = {
            which: list_offsets(cluster, [partition], which).offsets[partition] for which in ("latest", "earliest")
        }
        stable = list_offsets(cluster, [partition], "last_stable").offsets[partition]
        for _ in range(5):
            fetcher.send(partition, 4, 0)
            waiting = fetcher.receive()
            assert (b"", 4, 8) == (waiting.records, waiting.last_stable_offset, waiting.high_watermark)

    assert ({"latest": 8, "earliest": 0}, 4) == (found, stable)
    assert {partition: 4} == list_offsets(cluster, [partition], "max_timestamp").offsets
    fetcher.send(partition, 4, 0)
    assert 0 < len(fetcher.receive().records) <= 1 << 20
    fetcher.send(partition, 0, None)
    assert 1 == len(fetcher.receive().aborted)


def test_a_fetcher_never_receives_the_answer_to_a_request_of_another_fetcher(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    first, second = _topic(kafka, topic_name, partitions=2)
    for partition, value in ((first, b"first"), (second, b"second")):
        producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=value)], partition=partition.partition)

    _fetcher(cluster).send(first, 0, None)

    assert b"second" in _read(_fetcher(cluster), second, 1)[0]
    _fetcher(cluster).send(first, 0, None)
    assert {second: 1} == list_offsets(cluster, [second], "latest").offsets


def test_a_throttled_fetch_ends_when_the_position_is_reached(kafka: KafkaCluster, topic_name: str) -> None:
    """A broker limits the mean of the last 10 to 11 seconds. So it throttles an answer with which it would have sent
    more than eleven times the rate. It uses a new limit some time after it has accepted it."""
    [partition] = _topic(kafka, topic_name)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=bytes(1000))] * 850, records_per_batch=10)
    options = _options(kafka, client_id=topic_name)
    with fetch_quota(options, 70_000), Cluster(options) as slow:
        readings = [_read(_fetcher(slow, max_bytes=850_000), partition, 850)]
        while not any(map(_is_throttled, readings[-1][1])) and len(readings) < 20:
            readings.append(_read(_fetcher(slow, max_bytes=850_000), partition, 850))

    assert {850} == {sum(header.record_count for _, header in iter_headers(data)) for data, _ in readings}
    assert any(map(_is_throttled, readings[-1][1]))


def _is_throttled(answer: Fetched) -> bool:
    """Whether the broker returned no records, only the time to wait."""
    return answer.throttle_time_ms > 0 and not answer.records


def test_the_brokers_report_the_bytes_of_each_partition(kafka: KafkaCluster, cluster: Cluster, topic_name: str) -> None:
    filled, empty = _topic(kafka, topic_name, partitions=2)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=bytes(100_000))])

    sizes = partition_bytes(cluster, [filled, empty])

    assert sizes is not None
    assert 100_000 < sizes[filled] < 101_000
    assert 0 == sizes[empty]


def test_many_partitions_get_their_batches_once_and_in_order(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    partitions = _topic(kafka, topic_name, partitions=8, configs=OPEN)
    plan = _Plan(init_producer_id(cluster), batches=60)
    uneven = {partition: plan._replace(batches=60 - 7 * partition.partition) for partition in partitions}

    log = _produce(cluster, {partition: one.outgoing() for partition, one in uneven.items()})

    for partition, one in uneven.items():
        assert one.expected() == _values(kafka, partition)
        assert list(range(0, 3 * one.batches, 3)) == log.offsets[partition]


def test_a_large_batch_and_small_ones_share_the_pipeline(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    large, small = _topic(kafka, topic_name, partitions=2, configs={**OPEN, "max.message.bytes": "20000000"})
    identity = init_producer_id(cluster)
    plans = {large: _Plan(identity, batches=7, size=3, value_bytes=3 << 20), small: _Plan(identity, batches=20)}

    _produce(cluster, {partition: plan.outgoing() for partition, plan in plans.items()})

    assert {large: 21, small: 60} == list_offsets(cluster, [large, small], "latest").offsets
    assert plans[small].expected() == _values(kafka, small)


def test_batches_that_a_resumed_run_sends_again_are_acknowledged_and_stored_once(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [partition] = _topic(kafka, topic_name, configs=OPEN)
    plan = _Plan(init_producer_id(cluster), batches=5)
    _produce(cluster, {partition: plan.outgoing()})

    with Cluster(cluster.options) as resumed:
        log = _produce(resumed, {partition: plan._replace(batches=8).outgoing()})

    assert list(range(0, 24, 3)) == log.offsets[partition]
    assert plan._replace(batches=8).expected() == _values(kafka, partition)


def test_a_batch_that_is_stored_at_another_offset_is_an_error_with_both_offsets(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [partition] = _topic(kafka, topic_name, configs=OPEN)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(value=b"someone else's")])

    with pytest.raises(BrokerError, match=rf"{topic_name}, partition 0: the batch for offset 0 was stored at 1"):
        _produce(cluster, {partition: _Plan(init_producer_id(cluster), batches=1).outgoing()})


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda data: data[:57] + bytes(4) + data[61:], ErrorCode.CORRUPT_MESSAGE),
        (lambda data: data + data, ErrorCode.INVALID_RECORD),
        (lambda data: data, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
    ],
    ids=["corrupt", "two batches", "sequence hole"],
)
def test_a_rejected_batch_is_a_permanent_error_with_its_offset(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str, edit: object, code: ErrorCode
) -> None:
    [partition] = _topic(kafka, topic_name, configs=OPEN)
    first, second, third = _Plan(init_producer_id(cluster), batches=3).outgoing()
    assert callable(edit)
    is_gap = code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    bad = third._replace(expected_offset=3) if is_gap else second._replace(data=edit(second.data))

    with pytest.raises(BrokerError, match=rf"{topic_name}, partition 0 at offset 3") as caught:
        _produce(cluster, {partition: iter([first, bad])})

    assert code == caught.value.code
    assert not caught.value.retryable


def test_a_batch_above_the_topics_limit_is_a_permanent_error(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [partition] = _topic(kafka, topic_name, configs={**OPEN, "max.message.bytes": "1000"})
    plan = _Plan(init_producer_id(cluster), batches=1, value_bytes=1000)

    with pytest.raises(BrokerError, match=r"at offset 0.*MESSAGE_TOO_LARGE") as caught:
        _produce(cluster, {partition: plan.outgoing()})

    assert ErrorCode.MESSAGE_TOO_LARGE == caught.value.code


def test_a_re_created_target_is_gone(kafka: KafkaCluster, cluster: Cluster, topic_name: str) -> None:
    [old] = _topic(kafka, topic_name)
    plan = _Plan(init_producer_id(cluster), batches=1)
    _re_create(kafka, topic_name)

    with pytest.raises(TopicGoneError, match=old.topic_id):
        _produce(cluster, {old: plan.outgoing()})

    assert 0 == reading.end_offset(kafka.bootstrap, topic_name)


def test_a_set_stop_ends_producing_before_the_next_batch(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    [partition] = _topic(kafka, topic_name, configs=OPEN)
    plan = _Plan(init_producer_id(cluster), batches=1000)
    stop = threading.Event()

    with pytest.raises(InterruptedRunError):
        produce(
            cluster,
            {partition: plan.outgoing()},
            timeout_ms=10_000,
            stop=stop,
            on_acknowledged=lambda partition, batch: stop.set(),
        )

    assert 0 < reading.end_offset(kafka.bootstrap, topic_name) <= 3 * 10


def test_the_kill_of_a_broker_changes_neither_the_produced_nor_the_fetched_records() -> None:
    with KafkaCluster(KAFKA_VERSION) as kafka, Cluster(_options(kafka)) as cluster, Cluster(_options(kafka)) as other:
        partitions = _topic(kafka, "restarted", partitions=3, configs=OPEN)
        plan = _Plan(init_producer_id(cluster), batches=80)
        acknowledged, fetcher = _Log(), _fetcher(other, max_bytes=1_000)

        def kill_at_the_fiftieth(partition: Partition, batch: OutgoingBatch) -> None:
            acknowledged(partition, batch)
            if acknowledged.count == 50:
                _read(fetcher, partitions[0], 3)
                fetcher.send(partitions[0], 3, 0)
                kafka.kill()
                kafka.start()

        sources = {partition: plan.outgoing() for partition in partitions}
        produce(cluster, sources, timeout_ms=10_000, stop=threading.Event(), on_acknowledged=kill_at_the_fiftieth)

        for partition in partitions:
            assert list(range(0, 240, 3)) == acknowledged.offsets[partition]
            assert plan.expected() == _values(kafka, partition)
        batches, position = _whole(fetcher.receive())
        rest, _ = _read(fetcher, partitions[0], 240, position)
        assert [key for _, key in plan.expected()][3:] == _keys([batches, rest])


def _keys(parts: Sequence[bytes]) -> list[bytes | None]:
    return [
        record.key
        for part in parts
        for at, header in iter_headers(part)
        for record in decode_records(part[at : at + header.size_bytes])
    ]


def test_a_cluster_without_running_broker_is_unavailable_after_the_deadline() -> None:
    options = ConnectionOptions(bootstrap_servers=("127.0.0.1:1",), retry_deadline_ms=200)
    partition = Partition("t", "AAAAAAAAAAAAAAAAAAAAAQ", 0)

    with Cluster(options) as cluster:
        with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1"):
            init_producer_id(cluster)
        answers = list_offsets(cluster, [partition], "latest")

    assert isinstance(answers.failures[partition], BrokerUnavailableError)


def test_the_oldest_open_transaction_of_a_partition_has_its_producer_its_offset_and_its_age(
    kafka: KafkaCluster, cluster: Cluster, topic_name: str
) -> None:
    held, idle = _topic(kafka, topic_name, 2)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(None, b"before")] * 3)
    stamp = int(time.time() * 1000) - 60_000
    records = [OutRecord(None, b"held", timestamp=stamp + number) for number in range(2)]
    with (
        producing.open_transaction(kafka.bootstrap, topic_name, records),
        producing.open_transaction(kafka.bootstrap, topic_name, [OutRecord(None, b"later")]),
    ):
        found = open_transactions(cluster, [held, idle])
    assert {held} == found.keys()
    assert (3, stamp + 1) == (found[held].first, found[held].last_ms)
    assert found[held].producer_id >= 0
    while open_transactions(cluster, [held, idle]):
        pass  # the coordinator writes the markers after it has answered
