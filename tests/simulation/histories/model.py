"""What every point has to hold, by plain lists: which records were there before a backup planned and after it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.batches.records import Record
from tasks.model.partition import Partition
from tests.simulation.kafka import SimulatedKafka

Content = tuple[int, bytes | None, bytes | None, tuple[tuple[bytes, bytes | None], ...]]
"""What a restore must bring back of a record: timestamp, key, value, headers."""


class View(NamedTuple):
    """A partition as a reader of committed data sees it: [start, end) and the records in it, by offset."""

    start: int
    end: int
    records: Mapping[int, Content]

    def within(self, start: int, end: int) -> View:
        """The part of it in [start, end)."""
        return View(start, end, {offset: one for offset, one in self.records.items() if start <= offset < end})


Views = Mapping[Partition, View]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a point holds of one partition. `required` records must be restored, `allowed` ones may be: those that went
    while the backup read, where the point says so or a cleaner took them."""

    required: Mapping[int, Content]
    allowed: Mapping[int, Content]

    def below(self, end: int) -> Expected:
        """The same for a point that ends there."""
        return Expected(_below(self.required, end), _below(self.allowed, end))


@dataclass(slots=True)
class Model:
    """Everything that was sent and decided, and what each point should hold.

    `sent` has the fate of every record that was ever produced, by its value: committed, aborted, or open. `planned` is
    how the partitions that did not fail looked when a point's run had planned.

    `chain` is what an incremental run continues: what the newest point holds, without what the source lost in unclean
    elections since. `truncated` are the offsets from which on that is so, of partitions that no run has planned since.
    `unfinished` is how the source looked since a run died that another one can finish. `rewound` are the partitions
    that ever lost something, `failed` those that a run ever failed to read."""

    sent: dict[bytes, str] = field(default_factory=dict)
    chain: dict[Partition, Expected] = field(default_factory=dict)
    truncated: dict[Partition, int] = field(default_factory=dict)
    unfinished: list[Views] = field(default_factory=list)
    rewound: set[Partition] = field(default_factory=set)
    failed: set[Partition] = field(default_factory=set)
    points: dict[int, dict[Partition, Expected]] = field(default_factory=dict)
    planned: dict[int, Views] = field(default_factory=dict)
    _chain_before: dict[Partition, Expected] = field(default_factory=dict)
    _truncated_before: dict[Partition, int] = field(default_factory=dict)

    def truncate(self, source: Partition, end: int) -> None:
        """The source lost everything from `end` on. A run that is going on can still hold it."""
        self.rewound.add(source)
        self.truncated[source] = min(end, self.truncated.get(source, end))
        if source in self.chain:
            self.chain[source] = Expected(_below(self.chain[source].required, end), self.chain[source].allowed)

    def begin_run(self, now: Views) -> None:
        """A run begins: from now on no point gets what the source has lost before. Below its log start, a leader does
        not know any more where its log differs."""
        self._chain_before, self._truncated_before = dict(self.chain), dict(self.truncated)
        for source, lost in self.truncated.items():
            if source in self.chain:
                end = max(lost, now[source].start) if source in now else lost
                self.chain[source] = self.chain[source].below(end)
        self.truncated.clear()

    def continue_with(self, expected: Mapping[Partition, Expected], kept: Iterable[Partition]) -> None:
        """The run made a point. The next one continues it; what it kept of the earlier point, as if it had not run."""
        self.chain = {**expected, **{source: self.chain[source] for source in kept}}
        self.forget_run(kept)
        for source in expected.keys() - set(kept):
            self._chain_before[source] = expected[source]
            self._truncated_before.pop(source, None)
        for source, end in list(self.truncated.items()):  # during this run
            self.truncate(source, end)

    def forget_run(self, sources: Iterable[Partition]) -> None:
        """The run changed nothing of these partitions."""
        for source in sources:
            if source in self._chain_before:
                self.chain[source] = self._chain_before[source]
            if source in self._truncated_before:
                self.truncate(source, self._truncated_before[source])


def _below(records: Mapping[int, Content], end: int) -> dict[int, Content]:
    return {offset: one for offset, one in records.items() if offset < end}


def content(record: Record) -> Content:
    """What must be equal on both sides."""
    return record.timestamp, record.key, record.value, tuple(record.headers)


def views(kafka: SimulatedKafka) -> dict[Partition, View]:
    """Every ordinary partition as it is now."""
    found = {}
    for name, topic in sorted(kafka.topics.by_name.items()):
        if topic.is_internal:
            continue
        for number, led in enumerate(topic.partitions):
            start, end = led.log.log_start, led.log.last_stable_offset
            visible = [record for record in led.log.visible_records() if start <= record.offset < end]
            records = {record.offset: content(record) for record in visible}
            found[Partition(name, topic.topic_id, number)] = View(start, end, records)
    return found


def expected_of(before: View, after: View | None) -> Expected:
    """What a backup must hold that planned when the partition was as `before`, and ended when it was as `after` (None:
    it is gone). A record that is there at both times, unchanged, was there all the time."""
    later: Mapping[int, Content] = after.records if after else {}
    required = {offset: one for offset, one in before.records.items() if later.get(offset) == one}
    return Expected(required, dict(before.records))


def merged(expected: Iterable[Expected]) -> Expected:
    """Either of several backups may have written it."""
    allowed: dict[int, Content] = {}
    for one in expected:
        allowed |= one.allowed
    return Expected({}, allowed)
