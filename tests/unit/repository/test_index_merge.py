"""Merging index objects gives the same lines as parsing them, and takes little memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable

import pytest

from tasks.model.partition import Partition
from tasks.repository.compressed_objects import compress_object, iter_stored, put_content
from tasks.repository.document import encode_json, sha256_hex
from tasks.repository.index import IndexRef, line_order, read_index, write_index
from tasks.repository.index_merge import merge_indexes
from tasks.repository.lines import Frame, IndexLine
from tasks.store.memory.memory_store import MemoryStore

SET, RUN = "set", "run"


def _line(topic: str, partition: int, first: int, *, seq: int | None = None, stamp: int | None = 5) -> IndexLine:
    frame = Frame(first, first + 10, 0, 90, 100, 10, True, stamp, stamp, stamp)
    return IndexLine(
        topic=topic,
        topic_id=f"id-{topic}",
        partition=partition,
        first=first,
        next=first + 10,
        seq=seq,
        object=f"data/{topic}-{partition}-{first}",
        sha256=sha256_hex(f"{topic}-{partition}-{first}".encode()),
        stored_bytes=90,
        captured_ms=1,
        frames=(frame,),
    )


def _write(store: MemoryStore, seq: int, lines: Iterable[IndexLine]) -> IndexRef:
    return write_index(store, SET, RUN, lines).model_copy(update={"seq": seq})


def _all(source: Partition, seq: int | None) -> bool:
    return True


def _merged(
    store: MemoryStore, refs: list[IndexRef], new: Iterable[IndexLine] = (), can_count: object = _all
) -> tuple[IndexRef, list[IndexLine]]:
    ref = merge_indexes(store, SET, RUN, refs, new, can_count)  # type: ignore[arg-type]
    assert ref is not None
    return ref, list(read_index(store, ref, entry_seq=99))


def test_the_lines_are_in_order_and_each_has_the_seq_of_its_reference() -> None:
    store = MemoryStore()
    older = _write(store, 3, [_line("b", 2, 0), _line("a", 10, 0, seq=1)])
    newer = _write(store, 7, [_line("b", 2, 10), _line("a", 9, 0), _line("b", 10, 0)])

    ref, lines = _merged(store, [older, newer], [_line("a", 9, 10)])

    assert lines == sorted(lines, key=line_order)
    assert [("a", 9, 0, 7), ("a", 9, 10, 99), ("a", 10, 0, 1), ("b", 2, 0, 3), ("b", 2, 10, 7), ("b", 10, 0, 7)] == [
        (line.topic, line.partition, line.first, line.seq) for line in lines
    ]
    assert (6, ("a", "b"), 5, 5) == (ref.lines, ref.topics, ref.min_ts, ref.max_ts)
    assert [_line("b", 2, 0, seq=3)] == [line for line in lines if line.seq == 3]


def test_lines_that_cannot_count_are_left_out_and_without_any_there_is_no_object() -> None:
    store = MemoryStore()
    ref = _write(store, 3, [_line("a", 0, 0, seq=1), _line("a", 0, 10)])

    _, lines = _merged(store, [ref], can_count=lambda source, seq: seq != 1)

    assert [10] == [line.first for line in lines]
    assert None is merge_indexes(store, SET, RUN, [ref], [], lambda source, seq: False)


def test_a_line_that_another_program_wrote_in_another_way_keeps_its_values_and_unknown_members() -> None:
    store = MemoryStore()
    value = {"unknown": 1, **dict(reversed(_line('quoted "', 0, 0).to_json().items()))}
    stored, digest = compress_object(encode_json(value) + encode_json(_line("a", 1, 0).to_json()))
    put_content(store, "other", stored, digest)
    other = IndexRef(key="other", sha256=digest, stored_bytes=len(stored), seq=4, lines=2)

    ref, lines = _merged(store, [other])

    assert {('quoted "', 4), ("a", 4)} == {(line.topic, line.seq) for line in lines}
    assert [1] == [line.model_extra["unknown"] for line in lines if line.model_extra]
    assert ("a", 'quoted "') == ref.topics, "although the lines of the object were not in order"


@pytest.mark.parametrize(("stamps", "bounds"), [((4, 6), (4, 6)), ((4, None), (None, 4)), ((None, None), (None, None))])
def test_timestamps_are_bounds_of_all_lines(
    stamps: tuple[int | None, int | None], bounds: tuple[int | None, int | None]
) -> None:
    store = MemoryStore()
    first = _write(store, 1, [_line("a", 0, 0, stamp=stamps[0])])

    ref, _ = _merged(store, [first], [_line("a", 0, 10, stamp=stamps[1])])

    assert bounds == (ref.min_ts, ref.max_ts)


def test_the_merged_text_is_what_the_lines_are_when_they_are_written_anew() -> None:
    store = MemoryStore()
    refs = [_write(store, seq, [_line("a", part, 10 * seq) for part in range(3)]) for seq in (1, 2)]

    ref, lines = _merged(store, refs)

    written = b"".join(iter_stored(store, ref))
    assert b"".join(encode_json(line.to_json()) for line in lines) == written
    assert {1, 2} == {json.loads(text)["seq"] for text in written.splitlines()}


def test_a_merge_of_40_000_lines_takes_less_memory_than_2_000_parsed_lines() -> None:
    store = MemoryStore()
    refs = [_write(store, seq, [_line("a", part, 10 * seq) for part in range(5000)]) for seq in range(8)]
    tracemalloc.start()
    ref = merge_indexes(store, SET, RUN, refs, [], _all)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ref is not None
    assert 40_000 == ref.lines
    assert peak < 3 * ref.stored_bytes + (8 << 20)
