"""Finds the keys of all objects that points and open runs name. Reads log entries, plans and index objects, never
data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from sys import intern
from typing import NamedTuple

from tasks.repository.compressed_objects import iter_stored
from tasks.repository.index import IndexRef
from tasks.repository.lines import IndexLine
from tasks.repository.names import fragment_beside, origin_of, plan_key
from tasks.repository.plans import Plan
from tasks.repository.set_log import SetLog

_OBJECT = re.compile(rb'"object":"([^"\\]+)","sha256":"[^"\\]*","stored_bytes":([0-9]+)')
"""The object of an index line, as this program writes it. A key has no character that JSON escapes."""


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
    _data: dict[str, dict[str, int]] = field(default_factory=dict)

    def of_points(self, seqs: Iterable[int]) -> set[str]:
        """The keys of everything that the points need: their indexes, tables and states, the data objects of all lines
        of the indexes, also of those that do not count, and beside each of them its fragment and the plan of its run.
        Raises `DamagedError` if an entry or an index object is missing or damaged."""
        points = [self._point(seq) for seq in seqs]
        keys = {key for point in points for key in (*point.index_keys, *point.others)}
        for key in self._data_of(points):
            keys |= {key, fragment_beside(key), plan_key(*origin_of(key))}
        return keys

    def data_of(self, seqs: Iterable[int]) -> dict[str, int]:
        """The data objects that the lines of the points' indexes name, with their stored bytes. Raises as
        `of_points`."""
        return self._data_of([self._point(seq) for seq in seqs])

    def _data_of(self, points: Iterable[_PointNames]) -> dict[str, int]:
        found: dict[str, int] = {}
        for key in {key for point in points for key in point.index_keys}:
            if key not in self._data:
                ref = self._refs[key]
                self._data[key] = dict(_data_objects(iter_stored(self.log.store, ref), ref))
            found |= self._data[key]
        return found

    def _point(self, seq: int) -> _PointNames:
        if seq not in self._points:
            entry = self.log.point(seq).entry
            self._refs |= {ref.key: ref for ref in entry.index if ref.key not in self._refs}
            others = (*entry.table, entry.topics, *([entry.groups] if entry.groups else []))
            self._points[seq] = _PointNames(
                index_keys=tuple(intern(ref.key) for ref in entry.index),
                others=(plan_key(entry.set, entry.run), *(intern(ref.key) for ref in others)),
            )
        return self._points[seq]


def named_by_plan(plan: Plan) -> Iterator[str]:
    """The keys of the states that the plan of an open run names. They can be of an earlier run."""
    yield plan.topics.key
    if plan.groups is not None:
        yield plan.groups.key


def _data_objects(chunks: Iterable[bytes], ref: IndexRef) -> Iterator[tuple[str, int]]:
    """(key, stored bytes) of the object of each line. A line that is written in another way is parsed, because an
    object that is overlooked would be deleted."""
    rest = b""
    for chunk in chain(chunks, [b"\n"]):
        *lines, rest = (rest + chunk).split(b"\n")
        for text in filter(None, lines):
            found = _OBJECT.search(text)
            if found is not None:
                yield found[1].decode(), int(found[2])
                continue
            line = IndexLine.from_text(text, key=ref.key)
            if line.object is not None:
                yield line.object, line.stored_bytes or 0
