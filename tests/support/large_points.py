"""Points with very many index lines, made without a capture: only the documents exist, no data object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.model.partition import Partition
from tasks.repository.compressed_objects import compress_object, put_content
from tasks.repository.document import encode_json
from tasks.repository.entries import PointEntry, Totals
from tasks.repository.index import IndexRef
from tasks.repository.lines import IndexLine
from tasks.repository.names import index_key, new_run_id
from tasks.repository.partition_table import Row, write_table
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState
from tasks.repository.state_objects import TopicsState, TopicState, write_state
from tests.support.made_backup import SET, START_MS

RECORDS_PER_LINE = 100


@dataclass(frozen=True)
class LargePoint:
    """A point of the set `demo` with `lines_each` lines in each of its partitions, every line in an object of its
    own."""

    entry: PointEntry
    sources: tuple[Partition, ...]
    lines_each: int


def add_large_point(repository: Repository, *, partitions: int, lines_each: int) -> LargePoint:
    """Append a large point. Its topics have 10 partitions each."""
    run = new_run_id(START_MS)
    sources = tuple(Partition(f"topic-{number // 10:04d}", "id", number % 10) for number in range(partitions))
    index = _write_index(repository, run, sources, lines_each)
    rows = [Row(**source._asdict(), first=0, next=lines_each * RECORDS_PER_LINE) for source in sources]
    table = write_table(repository.store, SET, run, rows)
    topics = TopicsState(
        topics=tuple(
            TopicState(topic=topic, topic_id="id", partitions=10, replication_factor=1)
            for topic in sorted({source.topic for source in sources})
        )
    )
    topics_ref = write_state(repository.store, SET, run, topics, newest=None)

    def build(state: SetState) -> PointEntry:
        lines = partitions * lines_each
        return PointEntry(
            **repository.next_entry(SET, state),
            newest_point=state.seq + 1,
            run=run,
            point_kind="snapshot",
            status="complete",
            cluster_id="made-cluster",
            planned_ms=START_MS,
            index=(index,),
            table=(table,),
            topics=topics_ref,
            totals=Totals(
                topics=len(topics.topics),
                partitions=partitions,
                records=lines * RECORDS_PER_LINE,
                log_bytes=lines * 4096,
                stored_bytes=lines * 1024,
                objects=lines,
            ),
        )

    entry = repository.log(SET).append(build)
    assert isinstance(entry, PointEntry)
    return LargePoint(entry, sources, lines_each)


def _write_index(repository: Repository, run: str, sources: tuple[Partition, ...], lines_each: int) -> IndexRef:
    """What `write_index` writes, but from texts, because 100,000 documents take a minute to make."""
    stored, digest = compress_object(b"".join(_texts(run, sources, lines_each)))
    key = index_key(SET, run, digest)
    put_content(repository.store, key, stored, digest)
    topics = (sources[0].topic, sources[-1].topic)
    return IndexRef(key=key, sha256=digest, stored_bytes=len(stored), lines=len(sources) * lines_each, topics=topics)


def _texts(run: str, sources: tuple[Partition, ...], lines_each: int) -> Iterator[bytes]:
    pattern = encode_json(_line(run).to_json()).decode()
    for number, source in enumerate(sources):
        own = pattern.replace('"TOPIC"', f'"{source.topic}"').replace("-77", str(source.partition))
        for at in range(lines_each):
            first = at * RECORDS_PER_LINE
            text = own.replace("-88", str(first)).replace("-99", str(first + RECORDS_PER_LINE))
            yield text.replace("OBJECT", f"{number * lines_each + at:07d}").encode()


def _line(run: str) -> IndexLine:
    """A line with marks at the places that differ from line to line."""
    frame = (-88, -99, 0, 900, 4096, RECORDS_PER_LINE, True, START_MS, None, START_MS)
    return IndexLine.model_validate(
        {
            "topic": "TOPIC",
            "topic_id": "id",
            "partition": -77,
            "first": -88,
            "next": -99,
            "object": f"data/{SET}/{run}/0123456789abcdef-OBJECT.log.zst",
            "sha256": "ab" * 32,
            "stored_bytes": 1024,
            "checksum": ("sha256", "ab" * 32),
            "captured_ms": START_MS,
            "timestamp_type": "CreateTime",
            "codecs": ("none",),
            "largest_batch_bytes": 4096,
            "epochs": [(0, -88)],
            "frames": [frame],
        }
    )
