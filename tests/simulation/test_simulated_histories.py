"""Seeded histories of one partition against a plain list of the records that a consumer must read."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

import pytest

from tasks.batches.records import Record
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.kafka.producers import TransactionalProducer
from tests.simulation.simulated_logs import committed_records

PLACE = ("t", 0)
STOP = threading.Event()
HOUR_MS = 3_600_000
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@dataclass
class _History:
    """A cluster, and beside it the records that are committed, by offset."""

    seed: int
    policy: str
    committed: dict[int, Record] = field(default_factory=dict)
    written: int = 0

    def __post_init__(self) -> None:
        self.source = random.Random(self.seed)
        self.kafka = SimulatedKafka(seed=self.seed, segment_batches=self.source.choice((1, 2, 5)))
        configs = {"cleanup.policy": self.policy, "delete.retention.ms": str(HOUR_MS), "retention.ms": "-1"}
        [self.partition] = self.kafka.create_topic("t", configs=configs)
        self.log = self.kafka.log(PLACE)
        self.plain = self.kafka.producer()
        self.open: dict[TransactionalProducer, list[Record]] = {
            self.kafka.transactional_producer(timeout_ms=1 << 40): [] for _ in range(2)
        }

    def step(self) -> None:
        """One thing happens to the partition."""
        kinds = [self.write, self.write, self.write_in_transaction, self.write_in_transaction, self.end_transaction]
        self.source.choice([*kinds, self.delete_records, self.clean, self.restart])()
        self.kafka.clock.advance(self.source.randrange(HOUR_MS))

    def write(self) -> None:
        self.note(self.plain.send(PLACE, records := self.records(), codec=self.source.choice(CODECS)), records)

    def write_in_transaction(self) -> None:
        producer = self.source.choice(list(self.open))
        first = producer.send(PLACE, records := self.records(), codec=self.source.choice(CODECS))
        self.open[producer] += [record._replace(offset=first + n) for n, record in enumerate(records)]

    def end_transaction(self) -> None:
        producer = self.source.choice(list(self.open))
        if self.source.random() < 0.5:
            producer.commit()
            self.committed |= {record.offset: record for record in self.open[producer]}
        else:
            producer.abort()
        self.open[producer] = []

    def delete_records(self) -> None:
        if self.policy == "delete":
            self.log.move_start(self.source.randint(self.log.log_start, self.log.high_watermark))
            self.kafka.apply_retention()

    def clean(self) -> None:
        self.log.roll()
        self.kafka.clean()

    def restart(self) -> None:
        self.kafka.stop_node(1)
        self.kafka.start_node(1)

    def records(self) -> list[Record]:
        """Some new records, a few of them tombstones."""
        count = self.source.randint(1, 4)
        self.written += count
        now_ms = self.kafka.clock.now_ms()
        return [
            Record(
                n,
                now_ms,
                b"%d" % self.source.randrange(6),
                None if self.source.random() < 0.2 else b"%d-%d" % (self.written, n),
            )
            for n in range(count)
        ]

    def note(self, first: int, records: list[Record]) -> None:
        self.committed |= {first + n: record._replace(offset=first + n) for n, record in enumerate(records)}

    def expected(self) -> list[Record]:
        """The committed records that may be read."""
        stable = self.log.last_stable_offset
        return [self.committed[at] for at in sorted(self.committed) if self.log.log_start <= at < stable]

    def consumed(self) -> list[Record]:
        """The records that a consumer reads."""
        with self.kafka.access().reader(STOP) as reader:
            return committed_records(reader, self.partition, max_bytes=self.source.choice((1, 300, 4 << 20)))


@pytest.mark.parametrize("seed", range(25))
def test_a_consumer_reads_exactly_the_committed_records(seed: int) -> None:
    history = _History(seed, "delete")
    for _ in range(60):
        history.step()

        assert history.expected() == history.consumed() == history.log.visible_records()


@pytest.mark.parametrize("seed", range(25))
def test_of_a_compacted_log_a_consumer_reads_the_newest_record_of_every_key_in_its_place(seed: int) -> None:
    history = _History(seed, "compact")
    for _ in range(60):
        history.step()

        expected = {record.offset: record for record in history.expected()}
        consumed = history.consumed()
        assert [expected[record.offset] for record in consumed] == consumed, "nothing that was not committed"
        newest = {record.key: record for record in expected.values()}
        lasting = {record.offset for record in newest.values() if record.value is not None}
        assert lasting <= {record.offset for record in consumed}
