"""The cost of reading a point: requests, parsed lines, steps and memory. It grows with what is read, and with nothing
else."""

from __future__ import annotations

import tracemalloc

import pytest

from tasks.repository.lines import IndexLine
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.store.memory.memory_store import MemoryStore
from tests.support.counting_store import CountingStore
from tests.support.large_points import RECORDS_PER_LINE, LargePoint, add_large_point
from tests.support.made_backup import SET, make_repository
from tests.support.steps import steps_of


def _made(*, partitions: int, lines_each: int) -> tuple[Repository, CountingStore, LargePoint]:
    """A repository with one large point, and the store that counts the requests of its readers."""
    store = MemoryStore()
    made = add_large_point(make_repository(store), partitions=partitions, lines_each=lines_each)
    counting = CountingStore(store)
    repository = make_repository(counting)
    counting.requests.clear()
    return repository, counting, made


def test_one_of_a_hundred_partitions_of_a_point_with_100_000_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request, the partition's 1,000 lines parsed, and no more memory than the stored index and those lines."""
    repository, counting, made = _made(partitions=100, lines_each=1000)
    point = repository.log(SET).point(1)
    [ref], source = made.entry.index, made.sources[42]
    row = point.rows[source]
    counting.requests.clear()
    parsed = _count_parsed(monkeypatch)
    tracemalloc.start()
    lines = point.lines([row])[source]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 1000 == len(lines) == len(parsed)
    assert [("get", ref.key)] == counting.requests
    assert peak < ref.stored_bytes + 12_000 * len(lines)


def test_a_point_whose_lines_are_not_asked_for_costs_no_index() -> None:
    """`describe` reads the log, the table and the states: six requests for a set with one entry."""
    repository, counting, _ = _made(partitions=20, lines_each=50)
    point = repository.point(PointReference(SET))
    assert (20, 2, None) == (len(point.rows), len(point.topics.topics), point.groups)
    assert 0 == counting.count(prefix=f"meta/{SET}/index/")
    assert 6 == counting.count()


@pytest.mark.parametrize("lines_each", [1000, 8000])
def test_a_partition_with_8_000_lines_takes_two_requests(lines_each: int) -> None:
    """One for the table and one for the index, for 1,000 lines as well as for 8,000."""
    repository, counting, _ = _made(partitions=1, lines_each=lines_each)
    point = repository.log(SET).point(1)
    counting.requests.clear()
    [lines] = point.lines(point.rows.values()).values()
    assert lines_each * RECORDS_PER_LINE == lines[-1].next
    assert ["get", "get"] == [one.operation for one in counting.requests]


def test_the_steps_for_one_partition_grow_with_its_lines_and_not_with_their_square() -> None:
    few, many = (_steps_of_reading(lines_each) for lines_each in (1000, 8000))
    assert many < 1.5 * 8 * few


def _steps_of_reading(lines_each: int) -> int:
    repository, _, _ = _made(partitions=1, lines_each=lines_each)
    point = repository.log(SET).point(1)
    rows = list(point.rows.values())
    return steps_of(lambda: list(point.lines(rows).values()))


def _count_parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for each line that is parsed from now on."""
    parsed: list[int] = []
    parse = IndexLine.from_text

    def note(text: bytes, *, key: str) -> IndexLine:
        parsed.append(len(text))
        return parse(text, key=key)

    monkeypatch.setattr(IndexLine, "from_text", note)
    return parsed
