"""Index objects: a reader of some partitions opens and parses only what it needs, and never misses a line."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.model.errors import DamagedError
from tasks.model.partition import Partition
from tasks.repository import point_lines
from tasks.repository.compressed_objects import compress_object
from tasks.repository.document import encode_json, sha256_hex
from tasks.repository.index import IndexRef, find_lines, read_index, write_index
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.point_lines import PointLines
from tasks.store.memory.memory_store import MemoryStore

NAMES = st.sampled_from(["a", "a.b", "ab", "b", 'quoted "x"', "kunden-größe", "back\\slash"])
SOURCES = st.tuples(NAMES, st.sampled_from(["id1", "id2"]), st.sampled_from([0, 1, 11, 111])).map(Partition._make)


def _line(source: Partition, first: int = 0, **more: object) -> IndexLine:
    return IndexLine.model_validate({**source._asdict(), "first": first, "next": first + 1, "captured_ms": 0, **more})


def _row(source: Partition, end: int) -> Row:
    return Row(**source._asdict(), first=0, next=end, base_seq=0)


def _stored(store: MemoryStore, texts: Sequence[bytes]) -> IndexRef:
    """An index object with these lines, whoever wrote them."""
    stored, digest = compress_object(b"\n".join(texts))
    store.put("index", [stored])
    return IndexRef(key="index", sha256=digest, stored_bytes=len(stored), lines=len(texts))


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(SOURCES, max_size=12), st.sets(SOURCES, max_size=3))
def test_the_lines_of_wanted_partitions_are_found_and_no_others(
    written: list[Partition], wanted: set[Partition]
) -> None:
    store = MemoryStore()
    ref = write_index(store, "s", "run", [_line(source, first) for first, source in enumerate(written)])
    expected = [line for line in read_index(store, ref, entry_seq=7) if line.source in wanted]
    found = [(source, text.line()) for source, text in find_lines(store, ref, wanted, entry_seq=7)]
    assert [(line.source, line) for line in expected] == found
    assert {7} >= {line.seq for _, line in found}


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(SOURCES), st.sets(SOURCES))
def test_an_object_with_a_wanted_line_is_always_opened(written: list[Partition], wanted: set[Partition]) -> None:
    ref = write_index(MemoryStore(), "s", "run", [_line(source) for source in written])
    topics = sorted({source.topic for source in wanted})
    if set(written) & wanted:
        assert ref.can_include(topics)
    if not topics:
        assert not written or not ref.can_include(topics)


def test_a_line_with_its_members_in_another_order_is_found() -> None:
    one, other = Partition("a", "id1", 0), Partition("b", "id1", 0)
    texts = [
        encode_json(dict(reversed(_line(one).to_json().items()))).strip(),
        b" " + encode_json(_line(other).to_json()).strip().replace(b'":', b'": '),
        encode_json(_line(one, 1).to_json()).strip(),
    ]
    store = MemoryStore()
    ref = _stored(store, texts)
    assert [one, one] == [source for source, _ in find_lines(store, ref, {one}, entry_seq=1)]
    assert [other] == [source for source, _ in find_lines(store, ref, {other}, entry_seq=1)]


def test_only_lines_of_wanted_partitions_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [Partition("t", "id1", number) for number in range(20)]
    store = MemoryStore()
    ref = write_index(store, "s", "run", [_line(source, first) for source in sources for first in range(5)])
    parsed = _count_parsed(monkeypatch)
    [text.line() for _, text in find_lines(store, ref, {sources[3]}, entry_seq=1)]
    assert 5 == len(parsed)


def test_a_line_with_its_own_seq_keeps_it() -> None:
    source = Partition("t", "id1", 0)
    store = MemoryStore()
    ref = write_index(store, "s", "run", [_line(source, 0, seq=3), _line(source, 1)])
    assert [3, 9] == [line.seq for line in read_index(store, ref, entry_seq=9)]
    later = ref.model_copy(update={"seq": 5})
    assert [3, 5] == [text.line().seq for _, text in find_lines(store, later, {source}, entry_seq=9)]


def test_a_missing_a_changed_and_a_cut_object_are_damage() -> None:
    store = MemoryStore()
    source = Partition("t", "id1", 0)
    ref = write_index(store, "s", "run", [_line(source, first) for first in range(2000)])
    stored = store.get(ref.key)[0]
    with pytest.raises(DamagedError, match="is missing"):
        list(read_index(MemoryStore(), ref, entry_seq=1))
    store.put(ref.key, [stored[:-1] + b"x"])
    with pytest.raises(DamagedError, match="its SHA-256 is not"):
        list(read_index(store, ref, entry_seq=1))
    for cut in (stored[: len(stored) // 2], b"", b"not zstd"):
        store.put(ref.key, [cut])
        with pytest.raises(DamagedError, match=f"{ref.key} is damaged"):
            list(read_index(store, ref.model_copy(update={"sha256": sha256_hex(cut)}), entry_seq=1))


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"topic":"t"', b'{"topic":1,"topic_id":"id1","partition":0,'])
def test_a_line_that_cannot_be_recognized_is_damage_for_every_reader(text: bytes) -> None:
    store = MemoryStore()
    wanted = Partition("t", "id1", 0)
    line = encode_json(_line(wanted).to_json()).strip()
    ref = _stored(store, [line, text, line])
    with pytest.raises(DamagedError, match=r"^index "):
        list(find_lines(store, ref, {wanted}, entry_seq=1))


def test_parsed_lines_are_kept_up_to_a_bound_and_parsed_again_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_lines, "MOST_PARSED_LINES", 12)
    lines, sources = _point_lines(partitions=4, lines_each=5)
    parsed = _count_parsed(monkeypatch)
    assert [5, 5] == [len(lines[sources[0]]), len(lines[sources[0]])]
    assert 5 == len(parsed)
    for source in sources:
        assert 5 == len(lines[source])
    assert 20 == len(parsed)
    lines[sources[3]], lines[sources[2]]
    assert 20 == len(parsed)
    lines[sources[0]]
    assert 25 == len(parsed)


def test_a_partition_with_more_lines_than_the_bound_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_lines, "MOST_PARSED_LINES", 12)
    lines, [source] = _point_lines(partitions=1, lines_each=50)
    parsed = _count_parsed(monkeypatch)
    for _ in range(3):
        assert 50 == len(lines[source])
    assert 50 == len(parsed)


def test_point_lines_are_a_mapping_of_the_rows_asked_for() -> None:
    lines, sources = _point_lines(partitions=2, lines_each=1)
    assert sources == list(lines)
    assert 2 == len(lines)
    assert sources[0] in lines
    assert Partition("other", "id1", 0) not in lines
    with pytest.raises(KeyError):
        lines[Partition("other", "id1", 0)]


def _point_lines(*, partitions: int, lines_each: int) -> tuple[PointLines, list[Partition]]:
    sources = [Partition("t", "id1", number) for number in range(partitions)]
    store = MemoryStore()
    ref = write_index(store, "s", "run", [_line(source, first) for source in sources for first in range(lines_each)])
    texts = {
        source: [text for found, text in find_lines(store, ref, sources, entry_seq=1) if found == source]
        for source in sources
    }
    return PointLines({source: _row(source, lines_each) for source in sources}, texts), sources


def _count_parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The texts of all lines that are parsed from now on."""
    parsed: list[bytes] = []
    parse = IndexLine.from_text

    def note(text: bytes, *, key: str) -> IndexLine:
        parsed.append(text)
        return parse(text, key=key)

    monkeypatch.setattr(IndexLine, "from_text", note)
    return parsed
