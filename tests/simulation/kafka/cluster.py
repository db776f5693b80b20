"""The cluster as a test holds it: a method for everything that happens to topics, records and brokers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping

from tasks.broker.admin_values import NewTopicSpec, QuotaEntity, ScramUser, TopicPartition
from tasks.broker.log_values import ProducerIdentity
from tasks.model.partition import Partition
from tests.simulation.kafka.access import SimulatedAccess
from tests.simulation.kafka.append import Leader, append_produced, append_stamped
from tests.simulation.kafka.brokers import Brokers, expire_producers, lose_beyond
from tests.simulation.kafka.cleaner import clean
from tests.simulation.kafka.clock import SimulatedClock
from tests.simulation.kafka.faults import Interceptor, pass_through
from tests.simulation.kafka.groups import POSITIONS_TOPIC, Groups, coordinator_of
from tests.simulation.kafka.outside import Outside
from tests.simulation.kafka.permissions import ANONYMOUS, Permissions
from tests.simulation.kafka.producers import SimulatedProducer, TransactionalProducer
from tests.simulation.kafka.quota import FetchQuota
from tests.simulation.kafka.refusals import (
    COORDINATOR_NOT_AVAILABLE,
    NOT_ENOUGH_REPLICAS,
    NOT_LEADER,
    POLICY_VIOLATION,
    UNKNOWN_TOPIC_OR_PARTITION,
    Refused,
)
from tests.simulation.kafka.retention import apply_retention
from tests.simulation.kafka.stored_log import StoredLog
from tests.simulation.kafka.topic_settings import BrokerSettings, TopicSettings
from tests.simulation.kafka.topics import LedPartition, Topic, Topics, assigned, check_new_topic, new_topic_id
from tests.simulation.kafka.wire import Wire

Policy = Callable[[Mapping[str, str]], str | None]
"""The reason for which the cluster's `AlterConfigPolicy` refuses these settings of a topic. None if it accepts them."""

_INTERNAL_SETTINGS = {"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"}


class SimulatedKafka:
    """A cluster. Its methods change it at once, in the name of its operators and other clients.

    `version`: the Kafka whose defaults and cleaner it has. `settings`: values of the brokers' configuration, by the
    names of topic settings. `segment_batches`: segments roll after so many batches (0: by the topic's settings alone).
    `seed`: of topic ids, the cluster id, and the answers that are left out. `omitted_answers`: the share of partitions
    that are absent from shared answers (`LogReader.first_answers`) without a reason. Safe to use from several threads.
    """

    def __init__(
        self,
        *,
        version: str = "4.3.1",
        nodes: int = 1,
        settings: Mapping[str, str] | None = None,
        segment_batches: int = 0,
        positions_partitions: int = 50,
        has_authorizer: bool = False,
        omitted_answers: float = 0.0,
        seed: int = 0,
        clock: SimulatedClock | None = None,
    ) -> None:
        self.version = version
        self.clock = clock or SimulatedClock()
        self.lock = threading.RLock()
        self.interceptor: Interceptor = pass_through
        self.policy: Policy = lambda changed: None
        self.broker_settings = BrokerSettings(version, dict(settings or {}))
        source = random.Random(seed)
        self.cluster_id = new_topic_id(source)
        self.topics = Topics(source)
        self.brokers = Brokers(nodes, self.topics, self.clock.now_ms)
        self.groups = Groups()
        self.permissions = Permissions(has_authorizer)
        self.client_quotas: dict[QuotaEntity, dict[str, float]] = {}
        self.users: list[ScramUser] = []
        self.outside = Outside()
        self.fetch_quota = FetchQuota()
        self.wire = Wire(self.append, self.clock)
        self._omitted_answers = omitted_answers
        self._omissions = random.Random(seed)
        self._segment_batches = segment_batches
        self._positions_partitions = positions_partitions
        self._next_producer_id = 0

    @property
    def is_3(self) -> bool:
        """True if it behaves as Kafka 3.9 does."""
        return self.version.startswith("3.")

    def access(self, *, user: str = ANONYMOUS, deadline_ms: int = 60_000) -> SimulatedAccess:
        """The ports, for a client that gives up after so much simulated time."""
        return SimulatedAccess(self, user, deadline_ms)

    # ── topics ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def create_topic(
        self, name: str, partitions: int = 1, *, replicas: int = 1, configs: Mapping[str, str] | None = None
    ) -> list[Partition]:
        """Create it and return its partitions. Raises `Refused`."""
        spec = NewTopicSpec(name=name, partitions=partitions, replication_factor=replicas, configs=dict(configs or {}))
        self.create(spec)
        return self.partitions(name)

    def create(self, spec: NewTopicSpec, *, validate_only: bool = False, is_internal: bool = False) -> None:
        """Create the topic, or only check that it could be created. Raises `Refused`."""
        with self.lock:
            nodes = self.brokers.is_alive
            check_new_topic(spec.name, spec.partitions, spec.replication_factor, self.topics.by_name, nodes)
            settings = TopicSettings(self.broker_settings)
            settings.own = settings.changed(spec.configs, ())
            if not is_internal:
                self.check_policy(spec.configs)
            if validate_only:
                return
            replicas = assigned(nodes, abs(spec.replication_factor), len(self.topics.by_name))
            topic = self.topics.create(spec.name, abs(spec.partitions), replicas, settings)
            topic.is_internal = is_internal

    def check_policy(self, changed: Mapping[str, str]) -> None:
        """The cluster's policy looks at settings that a client sets, on creation and later. Raises `Refused`."""
        reason = self.policy(changed)
        if reason is not None:
            raise Refused(POLICY_VIOLATION, reason)

    def delete_topic(self, name: str) -> None:
        """Delete it with its records, its settings and the positions of groups on it. Raises `Refused`."""
        with self.lock:
            if self.topics.by_name.pop(name, None) is None:
                raise Refused(UNKNOWN_TOPIC_OR_PARTITION)
            self.groups.forget_topic(name, drops_empty=self.is_3)

    def partitions(self, name: str) -> list[Partition]:
        """The partitions of the topic's present incarnation."""
        topic = self.topics.by_name[name]
        return [Partition(name, topic.topic_id, number) for number in range(len(topic.partitions))]

    def vendor_setting(self, name: str, setting: str, value: str) -> None:
        """The topic has a setting that Apache Kafka does not know, as clusters of a vendor have them."""
        self.broker_settings.vendor[setting] = ""
        self.topics.by_name[name].settings.own = {**self.topics.by_name[name].settings.own, setting: value}

    def hide_topic(self, name: str, *, answers: int) -> None:
        """The next so many administrative answers come from a broker without the topic in its metadata."""
        self.topics.hidden_answers[name] = answers

    # ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def log(self, place: TopicPartition) -> StoredLog:
        """The log of a partition that exists."""
        return self.led(place).log

    def led(self, place: TopicPartition) -> LedPartition:
        """The partition with its replicas and its leader."""
        found = self.topics.place(place)
        assert found is not None, f"there is no partition {place}"
        return found

    def producer(self, *, is_idempotent: bool = True) -> SimulatedProducer:
        """Another client that writes."""
        return SimulatedProducer(self, is_idempotent=is_idempotent)

    def transactional_producer(self, *, timeout_ms: int = 60_000) -> TransactionalProducer:
        """Another client that writes in transactions."""
        return TransactionalProducer(self, timeout_ms=timeout_ms)

    def new_producer_identity(self) -> ProducerIdentity:
        """A producer id that no other client has."""
        with self.lock:
            self._next_producer_id += 1
            return ProducerIdentity(self._next_producer_id - 1, 0)

    def append(self, place: TopicPartition, data: bytes, *, is_transaction: bool = False) -> int:
        """Append a produced batch to whichever topic has the name now; returns its base offset. Raises `Refused`."""
        with self.lock:
            led = self._writable(place)
            topic = self.topics.by_name[place[0]]
            needed = min(topic.settings.number("min.insync.replicas"), len(led.replicas))
            if len(led.isr) < needed:
                raise Refused(NOT_ENOUGH_REPLICAS)
            return append_produced(led.log, data, topic.settings, self._leader(led), is_transaction=is_transaction)

    def append_marker(self, place: TopicPartition, data: bytes) -> None:
        """Append the marker of a transaction coordinator. Nothing happens if the topic has gone."""
        with self.lock:
            led = self.topics.place(place)
            if led is not None:
                append_stamped(led.log, data, self.topics.by_name[place[0]].settings, self._leader(led))

    def _writable(self, place: TopicPartition) -> LedPartition:
        led = self.topics.place(place)
        if led is None:
            raise Refused(UNKNOWN_TOPIC_OR_PARTITION)
        if led.leader is None:
            raise Refused(NOT_LEADER)
        return led

    def _leader(self, led: LedPartition) -> Leader:
        return Leader(led.epoch, self.clock.now_ms(), self._segment_batches)

    def apply_retention(self) -> None:
        """Every leader deletes the segments that its topic keeps no longer."""
        with self.lock:
            for topic, led in self._all():
                apply_retention(led.log, topic.settings, now_ms=self.clock.now_ms())

    def clean(self, name: str | None = None) -> None:
        """The cleaners pass over this compacted topic, or over all, as far as segments are closed and dirty."""
        with self.lock:
            for topic, led in self._all():
                if topic.settings.has_policy("compact") and name in (None, topic.name):
                    clean(
                        led.log,
                        now_ms=self.clock.now_ms(),
                        delete_retention_ms=topic.settings.number("delete.retention.ms"),
                        keeps_last_batch=not self.is_3,
                    )

    def expire_producers(self) -> None:
        """Every leader drops the state of producers whose newest record is a day old by its timestamp."""
        with self.lock:
            for _, led in self._all():
                expire_producers(led, self.clock.now_ms())

    def _all(self) -> Iterator[tuple[Topic, LedPartition]]:
        for topic in self.topics.by_name.values():
            for led in topic.partitions:
                yield topic, led

    # ── brokers ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def stop_node(self, node: int) -> None:
        """The node dies; see `Brokers.stop`."""
        with self.lock:
            self.brokers.stop(node)

    def start_node(self, node: int) -> None:
        """It comes back; see `Brokers.start`."""
        with self.lock:
            self.brokers.start(node)

    def elect(self, place: TopicPartition, leader: int | None) -> None:
        """Another replica leads, with everything that the old leader had; None: the partition has no leader for now."""
        with self.lock:
            self.led(place).elect(leader)

    def elect_uncleanly(self, place: TopicPartition, *, end: int) -> None:
        """A replica leads that has only whole batches below `end`. The others are lost, acknowledged or not."""
        with self.lock:
            led = self.led(place)
            lose_beyond(led, end, next((node for node in led.replicas if node != led.leader), led.replicas[0]))

    def hold_replication(self, place: TopicPartition) -> None:
        """In-sync replicas get nothing more: batches written from now on stay invisible and unacknowledged."""
        with self.lock:
            log = self.log(place)
            log.held_at = log.high_watermark

    def release_replication(self, place: TopicPartition) -> None:
        """The replicas have caught up."""
        with self.lock:
            self.log(place).held_at = None

    def omits_answer(self) -> bool:
        """Whether the next partition of a shared answer is left out."""
        return self._omissions.random() < self._omitted_answers

    def limit_fetching(self, bytes_per_second: int | None) -> None:
        """Set or remove a quota on what readers fetch."""
        with self.lock:
            self.fetch_quota.limit(bytes_per_second, self.clock.now_ms())

    def coordinator(self, group_id: str) -> int:
        """The broker that keeps the group. Raises `Refused` while its partition of positions has no leader."""
        with self.lock:
            self.make_positions_topic()
            topic = self.topics.by_name[POSITIONS_TOPIC]
            leader = topic.partitions[coordinator_of(group_id, len(topic.partitions))].leader
            if leader is None:
                raise Refused(COORDINATOR_NOT_AVAILABLE)
            return leader

    def make_positions_topic(self) -> None:
        """Kafka makes it when a client first looks for a coordinator."""
        if POSITIONS_TOPIC not in self.topics.by_name:
            spec = NewTopicSpec(
                name=POSITIONS_TOPIC,
                partitions=self._positions_partitions,
                replication_factor=min(3, len(self.brokers.is_alive)),
                configs=_INTERNAL_SETTINGS,
            )
            self.create(spec, is_internal=True)
