"""A set of a continuous backup with very many points, made without a capture: its log, index objects and tables are
written by the program's own writers, its data objects have a byte each."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from tasks.engine.commit.point_tiers import extend_index, extend_table
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry, Totals
from tasks.repository.index import IndexRef, write_index
from tasks.repository.lines import IndexLine
from tasks.repository.names import fragment_beside, new_run_id, plan_key
from tasks.repository.partition_table import Row, TableRef, write_table
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState
from tasks.repository.state_objects import TopicsState, TopicState, write_state
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import SET, START_MS

RECORDS_PER_LINE = 100
CYCLE_MS = 30_000


@dataclass
class ContinuousSet:
    """A set of one topic with `partitions` partitions, each of which has something new in every cycle."""

    partitions: int = 3
    now_ms: int = START_MS
    store: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore("continuous", now_ms=lambda: self.now_ms)
        self.repository = Repository.open_or_create(self.store, lambda: self.now_ms)
        self._sources = [Partition("orders", "id", number) for number in range(self.partitions)]
        self._newest: RestorePoint | None = None
        self._rows: dict[Partition, Row] = {}

    def add_points(self, count: int) -> None:
        """Append so many points, one each `CYCLE_MS`. Every cycle writes one packed data object."""
        for _ in range(count):
            self.now_ms += CYCLE_MS
            self._add_point()

    def _add_point(self) -> None:
        run, newest, log = new_run_id(self.now_ms), self._newest, self.repository.log(SET)
        lines = [self._line(run, source) for source in self._sources]
        rows = {line.source: Row(**line.source._asdict(), first=0, next=line.next, base_seq=1) for line in lines}
        plan = cast(Plan, SimpleNamespace(set=SET, run=run))  # a commit takes nothing else from it here
        for key in (str(lines[0].object), fragment_beside(str(lines[0].object)), plan_key(SET, run)):
            self.store.put(key, [b"x"])
        index: tuple[IndexRef, ...]
        table: tuple[TableRef, ...]
        if newest is None:
            index = (write_index(self.store, SET, run, lines),)
            table = (write_table(self.store, SET, run, rows.values()),)
            state = TopicState(topic="orders", topic_id="id", partitions=self.partitions, replication_factor=1)
            topics = write_state(self.store, SET, run, TopicsState(topics=(state,)), newest=None)
        else:
            index = extend_index(self.store, plan, newest, lines, rows)
            table = extend_table(self.store, plan, newest, rows, rows)
            topics = newest.entry.topics.model_copy(update={"seq": newest.entry.topics.seq or newest.seq})
        self._rows = rows

        def build(state: SetState) -> PointEntry:
            points = len(state.points) + 1
            records = points * self.partitions * RECORDS_PER_LINE
            return PointEntry(
                **self.repository.next_entry(SET, state),
                newest_point=state.seq + 1,
                run=run,
                point_kind="snapshot" if newest is None else "continuous",
                status="complete",
                cluster_id="made-cluster",
                planned_ms=self.now_ms,
                index=index,
                table=table,
                topics=topics,
                totals=Totals(
                    topics=1,
                    partitions=self.partitions,
                    records=records,
                    log_bytes=records * 40,
                    stored_bytes=points,
                    objects=points,
                ),
            )

        self._newest = log.point(log.append(build).seq)

    def _line(self, run: str, source: Partition) -> IndexLine:
        first = self._rows[source].next if source in self._rows else 0
        frame = (first, first + RECORDS_PER_LINE, 0, 900, 4096, RECORDS_PER_LINE, True, self.now_ms, None, self.now_ms)
        return IndexLine.model_validate(
            {
                **source._asdict(),
                "first": first,
                "next": first + RECORDS_PER_LINE,
                "object": f"data/{SET}/{run}/0123456789abcdef-00000.log.zst",
                "sha256": "ab" * 32,
                "stored_bytes": 1,
                "checksum": ("sha256", "ab" * 32),
                "captured_ms": self.now_ms,
                "timestamp_type": "CreateTime",
                "codecs": ("none",),
                "largest_batch_bytes": 4096,
                "epochs": [(0, first)],
                "frames": [frame],
            }
        )
