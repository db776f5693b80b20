"""Finds the keys of all objects that points and open runs name. Reads log entries, plans and index objects, never
data."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from sys import intern
from typing import NamedTuple

from tasks.model.errors import ObjectNotFoundError
from tasks.repository.compressed_objects import iter_stored
from tasks.repository.drops import Drop, drops_of_point, is_dropped
from tasks.repository.index import IndexRef
from tasks.repository.lines import IndexLine
from tasks.repository.names import fragment_beside, origin_of, plan_key
from tasks.repository.plans import Plan
from tasks.repository.set_log import SetLog

_OBJECT = re.compile(
    rb'"seq":(null|[0-9]+),"object":"([^"\\]+)","sha256":"[^"\\]*","stored_bytes":([0-9]+),'
    rb'"checksum":(?:null|\["[^"\\]*","[^"\\]*"\]),"captured_ms":([0-9]+),'
    rb'(?:"captured_to_ms":([0-9]+),)?'
)
"""The seq, the object and the time of an index line, as this program writes them. A key has no character that JSON
escapes."""


class DataObject(NamedTuple):
    """A data object as the lines of an index object name it: its stored bytes, the largest seq of these lines, and the
    newest time of a capture in Unix milliseconds."""

    stored_bytes: int
    seq: int
    captured_ms: int

    def is_dropped(self, drops: Iterable[Drop]) -> bool:
        """Whether one of the drops takes the data of all these lines."""
        return is_dropped(drops, self.seq, self.captured_ms)


class _PointNames(NamedTuple):
    """The keys that the entry of a point names: its index objects, and everything else."""

    index_keys: tuple[str, ...]
    others: tuple[str, ...]


@dataclass
class NamedObjects:
    """The objects that the points of a set name. Each entry and each index object is read once, however many points
    name it: thousands of points of one chain name the same objects. Not thread-safe."""

    log: SetLog
    _points: dict[int, _PointNames] = field(default_factory=dict)
    _refs: dict[str, IndexRef] = field(default_factory=dict)
    _data: dict[str, dict[str, DataObject]] = field(default_factory=dict)

    def of_points(self, seqs: Iterable[int], drops: Sequence[Drop] = ()) -> set[str]:
        """The keys of everything that the points need: their indexes, tables and states, the data objects of all lines
        of the indexes, also of those that do not count, and beside each of them its fragment and the plan of its run.
        Objects that are dropped from a point are not needed by it. Raises `DamagedError` if an entry or an index object
        is missing or damaged."""
        seqs = list(seqs)
        points = [self._point(seq) for seq in seqs]
        keys = {key for point in points for key in (*point.index_keys, *point.others)}
        for key in self.data_of(seqs, drops):
            keys |= {key, fragment_beside(key), plan_key(*origin_of(key))}
        return keys

    def data_of(self, seqs: Iterable[int], drops: Sequence[Drop] = ()) -> dict[str, int]:
        """The data objects that the lines of the points' indexes name and that are not dropped from all these points,
        with their stored bytes. Raises as `of_points`."""
        index_keys: dict[tuple[Drop, ...], set[str]] = defaultdict(set)
        for seq in seqs:
            index_keys[drops_of_point(drops, seq)].update(self._point(seq).index_keys)
        return {
            key: one.stored_bytes
            for concerning, keys in index_keys.items()
            for key, one in self._objects_of(keys)
            if not one.is_dropped(concerning)
        }

    def objects_of(self, seqs: Iterable[int]) -> Iterator[tuple[str, DataObject]]:
        """(key, object) for each object and each index object of the points that names it. Raises as `of_points`."""
        return self._objects_of({key for seq in seqs for key in self._point(seq).index_keys})

    def points_with(self, data_keys: Collection[str], seqs: Iterable[int]) -> tuple[int, ...]:
        """Those of the points that name one of the data objects. Raises as `of_points`."""
        naming = {key for key, found in self._data.items() if not found.keys().isdisjoint(data_keys)}
        return tuple(seq for seq in seqs if not naming.isdisjoint(self._point(seq).index_keys))

    def is_missing_index(self, seq: int) -> bool:
        """Whether an index object of the point does not exist. Sends a request for each of them."""
        return not all(map(self._exists, self._point(seq).index_keys))

    def _exists(self, key: str) -> bool:
        try:
            self.log.store.head(key)
        except ObjectNotFoundError:
            return False
        return True

    def _objects_of(self, index_keys: Iterable[str]) -> Iterator[tuple[str, DataObject]]:
        for key in index_keys:
            if key not in self._data:
                self._data[key] = _data_objects(iter_stored(self.log.store, self._refs[key]), self._refs[key])
            yield from self._data[key].items()

    def _point(self, seq: int) -> _PointNames:
        if seq not in self._points:
            entry = self.log.point(seq).entry
            for ref in entry.index:
                if ref.key not in self._refs:
                    self._refs[ref.key] = ref if ref.seq is not None else ref.model_copy(update={"seq": seq})
            others = (*entry.table, *entry.states)
            self._points[seq] = _PointNames(
                index_keys=tuple(intern(ref.key) for ref in entry.index),
                others=(plan_key(entry.set, entry.run), *(intern(ref.key) for ref in others)),
            )
        return self._points[seq]


def named_by_plan(plan: Plan) -> Iterator[str]:
    """The keys of the states that the plan of an open run names. They can be of an earlier run."""
    return (ref.key for ref in plan.states)


def _data_objects(chunks: Iterable[bytes], ref: IndexRef) -> dict[str, DataObject]:
    """The objects that the lines name. A line that is written in another way is parsed, because an object that is
    overlooked would be deleted."""
    found: dict[str, DataObject] = {}
    rest = b""
    for chunk in chain(chunks, [b"\n"]):
        *lines, rest = (rest + chunk).split(b"\n")
        for text in filter(None, lines):
            key, one = _named_object(text, ref)
            if key is not None:
                before = found.get(key, one)
                found[key] = DataObject(
                    one.stored_bytes, max(one.seq, before.seq), max(one.captured_ms, before.captured_ms)
                )
    return found


def _named_object(text: bytes, ref: IndexRef) -> tuple[str | None, DataObject]:
    match = _OBJECT.search(text)
    if match is not None:
        seq = ref.seq if match[1] == b"null" else int(match[1])
        return match[2].decode(), DataObject(int(match[3]), seq or 0, int(match[5] or match[4]))
    line = IndexLine.from_text(text, key=ref.key)
    return line.object, DataObject(line.stored_bytes or 0, line.seq or ref.seq or 0, line.newest_ms)
