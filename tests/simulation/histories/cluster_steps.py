"""Steps that change the source cluster, as producers, cleaners, operators and accidents do.

Every step is a value and applies to whichever topics there are, so that a history stays valid when steps are left out.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from tasks.batches.records import Record
from tasks.broker.admin_values import CommittedOffset
from tasks.model.partition import Partition
from tests.simulation.histories.world import NODES, World
from tests.simulation.kafka.refusals import Refused

DAY_MS = 86_400_000
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
KEYS = 4
"""So few keys that compaction has something to do."""


@dataclass(frozen=True)
class CreateTopic:
    """A topic that keeps everything, or a compacted one, or one that keeps a day."""

    name: int
    partitions: int
    policy: int

    def run(self, world: World) -> None:
        """Unless there is one of that name."""
        name = f"topic-{self.name}"
        configs = [{"retention.ms": "-1"}, {"cleanup.policy": "compact"}, {"retention.ms": str(DAY_MS)}]
        if name not in world.source.topics.by_name:
            world.source.create_topic(name, self.partitions, replicas=2, configs=configs[self.policy])


@dataclass(frozen=True)
class DeleteTopic:
    """A topic is deleted; a later `CreateTopic` may make another incarnation of it."""

    topic: int

    def run(self, world: World) -> None:
        """If there is one. Its open transactions have nowhere to end."""
        name = world.topic(self.topic)
        if name is not None:
            world.source.delete_topic(name)


@dataclass(frozen=True)
class Produce:
    """Batches of an idempotent producer."""

    topic: int
    partition: int
    batches: int
    records: int
    codec: int

    def run(self, world: World) -> None:
        """Unless the partition has no leader."""
        place = world.place(self.topic, self.partition)
        if place is None:
            return
        for number in range(self.batches):
            made = _records(world, self.records, number)
            with suppress(Refused):
                world.producer.send(place, made, codec=CODECS[self.codec])
                world.model.sent |= {record.value or b"": "committed" for record in made}


@dataclass(frozen=True)
class Transaction:
    """A transaction over some partitions of a topic. `end`: 0 commit, 1 abort, 2 left open."""

    topic: int
    partitions: int
    batches: int
    end: int

    def run(self, world: World) -> None:
        """Unless a partition has no leader."""
        producer = world.source.transactional_producer(timeout_ms=10 * DAY_MS)
        made: list[Record] = []
        for number in range(self.batches):
            place = world.place(self.topic, number % self.partitions)
            if place is None:
                return
            records = _records(world, 2, number)
            with suppress(Refused):
                producer.send(place, records)
                made += records
        fate = ("committed", "aborted", "open")[self.end]
        if self.end == 0:
            producer.commit()
        elif self.end == 1:
            producer.abort()
        else:
            world.transactions.append(producer)
        world.model.sent |= {record.value or b"": fate for record in made}


@dataclass(frozen=True)
class EndTransactions:
    """All transactions that were left open are committed or aborted."""

    is_commit: bool

    def run(self, world: World) -> None:
        """In the order in which they began."""
        fate = "committed" if self.is_commit else "aborted"
        for producer in world.transactions:
            if self.is_commit:
                producer.commit()
            else:
                producer.abort()
        world.transactions.clear()
        world.model.sent |= {value: fate for value, state in world.model.sent.items() if state == "open"}


@dataclass(frozen=True)
class Clean:
    """The log cleaner passes over every compacted topic."""

    def run(self, world: World) -> None:
        """As far as segments are closed."""
        world.source.clean()


@dataclass(frozen=True)
class PassTime:
    """Days pass, and retention is applied."""

    days: int

    def run(self, world: World) -> None:
        """The clock moves for everybody."""
        world.clock.advance(self.days * DAY_MS)
        world.source.apply_retention()


@dataclass(frozen=True)
class DeleteRecords:
    """An operator deletes the oldest records of a partition: so many quarters of its log."""

    topic: int
    partition: int
    quarters: int

    def run(self, world: World) -> None:
        """The log start may then lie inside a batch."""
        place = world.place(self.topic, self.partition)
        if place is not None:
            log = world.source.log(place)
            log.move_start(log.log_start + (log.last_stable_offset - log.log_start) * self.quarters // 4)


@dataclass(frozen=True)
class Elect:
    """Another replica leads a partition: with everything, or after an unclean election without its last batches."""

    topic: int
    partition: int
    lost_quarters: int

    def run(self, world: World) -> None:
        """An unclean election forgets what it loses, acknowledged or not."""
        place = world.place(self.topic, self.partition)
        if place is None:
            return
        led = world.source.led(place)
        if self.lost_quarters == 0:
            others = [node for node in led.isr if node != led.leader and node in world.source.brokers.alive]
            world.source.elect(place, others[0] if others else led.leader)
            return
        log = led.log
        end = log.end - (log.end - log.log_start) * self.lost_quarters // 4
        world.source.elect_uncleanly(place, end=end)
        topic = world.source.topics.by_name[place[0]]
        # A transaction that lost its marker is open again, and its records are not committed any more.
        world.model.truncate(Partition(place[0], topic.topic_id, place[1]), min(log.end, log.last_stable_offset))


@dataclass(frozen=True)
class StopNode:
    """A broker dies, or comes back if it was dead."""

    node: int

    def run(self, world: World) -> None:
        """One at a time: two dead brokers would leave partitions without a leader for good."""
        node, alive = 1 + self.node % NODES, world.source.brokers.alive
        if node not in alive:
            world.source.start_node(node)
        elif len(alive) == NODES:
            world.source.stop_node(node)


@dataclass(frozen=True)
class HoldReplication:
    """Replicas lag: what is written from now on is invisible, until they catch up with the next of these."""

    topic: int
    partition: int

    def run(self, world: World) -> None:
        """Toggles."""
        place = world.place(self.topic, self.partition)
        if place is None:
            return
        if world.source.log(place).held_at is None:
            world.source.hold_replication(place)
        else:
            world.source.release_replication(place)


@dataclass(frozen=True)
class LimitFetching:
    """A quota on what readers fetch; 0 removes it."""

    bytes_per_second: int

    def run(self, world: World) -> None:
        """For all readers together."""
        world.source.limit_fetching(self.bytes_per_second or None)


@dataclass(frozen=True)
class CommitPosition:
    """A consumer group commits a position on a partition: so many quarters of its log, 5 of 4 lies beyond the end."""

    group: int
    topic: int
    partition: int
    quarters: int

    def run(self, world: World) -> None:
        """Kafka accepts any offset."""
        place = world.place(self.topic, self.partition)
        if place is None:
            return
        log = world.source.log(place)
        offset = log.log_start + (log.end - log.log_start) * self.quarters // 4
        position = CommittedOffset(topic=place[0], partition=place[1], offset=offset, metadata=f"at {offset}")
        world.source.groups.commit(f"group-{self.group}", [position])


ClusterStep = (
    CreateTopic
    | DeleteTopic
    | Produce
    | Transaction
    | EndTransactions
    | Clean
    | PassTime
    | DeleteRecords
    | Elect
    | StopNode
    | HoldReplication
    | LimitFetching
    | CommitPosition
)


def _records(world: World, count: int, turn: int) -> list[Record]:
    now_ms = world.clock.now_ms()
    return [
        Record(
            number,
            now_ms - number,
            b"key-%d" % ((turn + number) % KEYS),
            world.new_value(),
            ((b"turn", b"%d" % turn), (b"turn", None)),
        )
        for number in range(count)
    ]
