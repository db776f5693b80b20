"""Validates the objects that a point's entry names, except its data: index, partition table and states, and whether
they agree with each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.engine.validation.damage import DamageFinding, of_error, of_lines, of_object, of_range
from tasks.model.counting import counted
from tasks.model.errors import DamagedError
from tasks.model.partition import Incarnation, Partition
from tasks.repository.drops import Drop, is_dropped
from tasks.repository.entries import PointEntry
from tasks.repository.index import IndexRef, read_index
from tasks.repository.lines import IndexLine
from tasks.repository.names import log_key
from tasks.repository.partition_table import Row, TableRef, read_table
from tasks.repository.point_lines import counting_lines, without_dropped
from tasks.repository.state_objects import ClientsState, GroupsState, TopicsState, read_state
from tasks.store.protocol import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PointContents:
    """Everything that could be read of a point. `lines` are all lines of its index, except those whose data was
    dropped: `dropped`. `counting` are the lines that count for each row, as `RestorePoint.lines`. `findings`
    are about damaged objects, and about lines, rows and totals that do not agree. `objects` is the number of objects
    that the entry names."""

    rows: Mapping[Partition, Row]
    lines: Sequence[IndexLine]
    dropped: Sequence[IndexLine]
    counting: Mapping[Partition, Sequence[IndexLine]]
    findings: Sequence[DamageFinding]
    objects: int


@dataclass(slots=True)
class _Reader:
    """Reads the objects of a point. A damaged object becomes a finding, and its key is added to `unreadable`."""

    store: ObjectStore
    point: PointEntry
    findings: list[DamageFinding] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def index(self, ref: IndexRef) -> list[IndexLine]:
        try:
            lines = list(read_index(self.store, ref, entry_seq=self.point.seq))
        except DamagedError as error:
            self._note(ref.key, error)
            return []
        if len(lines) != ref.lines:
            self.findings.append(
                of_object(ref.key, f"it has {counted(len(lines), 'line')}, but its log entry states {ref.lines}")
            )
        return lines

    def table(self, ref: TableRef) -> dict[Partition, Row]:
        try:
            return read_table(self.store, [ref], entry_seq=self.point.seq)
        except DamagedError as error:
            self._note(ref.key, error)
            return {}

    def topics(self) -> TopicsState | None:
        try:
            return read_state(self.store, self.point.topics, TopicsState)
        except DamagedError as error:
            self._note(self.point.topics.key, error)
            return None

    def groups(self) -> None:
        try:
            if self.point.groups is not None:
                read_state(self.store, self.point.groups, GroupsState)
        except DamagedError as error:
            self._note(self.point.groups.key if self.point.groups else "", error)

    def clients(self) -> ClientsState | None:
        try:
            return read_state(self.store, self.point.clients, ClientsState) if self.point.clients else None
        except DamagedError as error:
            self._note(self.point.clients.key if self.point.clients else "", error)
            return None

    def _note(self, key: str, error: DamagedError) -> None:
        self.findings.append(of_error(error))
        self.unreadable.append(key)


def read_contents(store: ObjectStore, point: PointEntry, drops: Sequence[Drop] = ()) -> PointContents:
    """Read everything that the point names except its data, and check that rows, lines, states and totals agree. The
    totals are not checked if data was dropped, because they can be those from before. `drops` are those that concern
    the point. Damage becomes a finding. Raises `UnsupportedError` if a later version wrote an object."""
    reader = _Reader(store, point)
    lines = [line for ref in point.index for line in reader.index(ref)]
    lost_index = list(reader.unreadable)
    rows = {source: row for ref in point.table for source, row in reader.table(ref).items()}
    is_whole = not reader.unreadable
    topics = reader.topics()
    reader.groups()
    clients = reader.clients()
    dropped = [line for line in lines if line.object and is_dropped(drops, line.seq or 0, line.newest_ms)]
    counting = {source: list(without_dropped(own, drops)) for source, own in count_lines(rows, lines).items()}
    blamed = lost_index[0] if lost_index else log_key(point.set, point.seq)
    findings = [*reader.findings, *(found for line in lines for found in _line_findings(line, blamed))]
    for source, row in rows.items():
        findings += hole_findings(row, counting[source], blamed)
    if topics is not None:
        findings += _topic_findings(point, rows, topics)
    if clients is not None and point.clients is not None:
        findings += _client_findings(point.clients.key, clients)
    if is_whole and not dropped:
        findings += total_findings(point, rows, counting)
    objects = len(point.index) + len(point.table) + len(list(point.states))
    gone = {id(line) for line in dropped}
    return PointContents(
        rows=rows,
        lines=[line for line in lines if id(line) not in gone],
        dropped=dropped,
        counting=counting,
        findings=findings,
        objects=objects,
    )


def count_lines(rows: Mapping[Partition, Row], lines: Sequence[IndexLine]) -> dict[Partition, list[IndexLine]]:
    """The counting lines of each row."""
    found: dict[Partition, list[IndexLine]] = defaultdict(list)
    for line in lines:
        found[line.source].append(line)
    return {source: counting_lines(row, found[source]) for source, row in rows.items()}


def hole_findings(row: Row, lines: Sequence[IndexLine], key: str) -> Iterator[DamageFinding]:
    """A finding for each range of the row that no counting line covers. `key` is the object that the findings name.
    Pure."""
    position = row.first
    for line in lines:
        if line.first > position:
            yield of_range(key, row.source, position, line.first, "no index line covers these offsets")
        position = max(position, line.next)
    if position < row.next:
        yield of_range(key, row.source, position, row.next, "no index line covers these offsets")


def total_findings(
    point: PointEntry, rows: Mapping[Partition, Row], counting: Mapping[Partition, Sequence[IndexLine]]
) -> Iterator[DamageFinding]:
    """A finding for each total of the entry that is not the sum over what the entry names. The total of records is left
    out, because it needs decoding. Pure."""
    lines = [line for own in counting.values() for line in own]
    sums = {
        "topics": len({source.incarnation for source in rows}),
        "partitions": len(rows),
        "log_bytes": sum(line.log_bytes for line in lines),
        "stored_bytes": sum({line.object: line.stored_bytes or 0 for line in lines}.values()),
        "objects": len({line.object for line in lines if line.object}),
    }
    stated = point.totals.model_dump()
    for name, amount in sums.items():
        if stated[name] != amount:
            message = f"its total of {name} is {stated[name]}, but the sum over its index and table is {amount}"
            yield of_object(log_key(point.set, point.seq), message)


def line_problem(line: IndexLine) -> str | None:
    """The first contradiction in an index line, as the text of a finding. None if there is none. Pure."""
    if bool(line.frames) != (line.object is not None) or (line.object is None) != (line.sha256 is None):
        return "its index line has frames without an object, or an object without frames"
    if line.first > line.next or any(not line.first <= gap.first < gap.next <= line.next for gap in line.gaps):
        return "its index line has a range that ends before it begins, or a gap outside its range"
    for one, other in zip(line.frames, line.frames[1:], strict=False):
        if one.next > other.first or one.position + one.stored_bytes > other.position:
            return "its index line has frames that overlap"
    for frame in line.frames:
        if frame.first >= frame.next or frame.first >= line.next or frame.next <= line.first:
            return "its index line has a frame outside its range"
        if any(frame.first < gap.next and gap.first < frame.next for gap in line.gaps):
            return "its index line has a frame inside a gap"
    return None


def _line_findings(line: IndexLine, key: str) -> list[DamageFinding]:
    problem = line_problem(line)
    return of_lines(line.object or key, [line], problem) if problem else []


def _topic_findings(point: PointEntry, rows: Mapping[Partition, Row], topics: TopicsState) -> Iterator[DamageFinding]:
    """A finding for each live row whose topic state is missing or has fewer partitions, because such a topic could not
    be restored."""
    known = {Incarnation(topic.topic, topic.topic_id): topic.partitions for topic in topics.topics}
    for source, row in rows.items():
        if row.is_live and source.partition >= known.get(source.incarnation, 0):
            message = "it does not contain this partition of the point"
            yield of_range(point.topics.key, source, row.first, row.next, message)


def _client_findings(key: str, clients: ClientsState) -> Iterator[DamageFinding]:
    """A finding for each entity or user that the state object contains twice, and for each part that has both values
    and a reason for their absence. Pure."""
    quotas = Counter(tuple((part.type, part.name) for part in quota.entity) for quota in clients.quotas)
    users = Counter(user.user for user in clients.users)
    for name, number in (*quotas.items(), *users.items()):
        if number > 1:
            yield of_object(key, f"it contains {name!r} {number} times")
    if (clients.quotas and clients.quotas_absent) or (clients.users and clients.users_absent):
        yield of_object(key, "it contains quotas or users, and states that they could not be read")
