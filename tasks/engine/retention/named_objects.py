"""Finds the keys of all objects that points and open runs name. Reads log entries, plans and index objects, never
data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from tasks.repository.compressed_objects import iter_stored
from tasks.repository.entries import PointEntry
from tasks.repository.index import IndexRef
from tasks.repository.lines import IndexLine
from tasks.repository.names import fragment_beside, origin_of, plan_key
from tasks.repository.plans import Plan
from tasks.store.protocol import ObjectStore

_OBJECT = re.compile(rb'"object":"([^"\\]+)","sha256":"[^"\\]*","stored_bytes":([0-9]+)')
"""The object of an index line, as this program writes it. A key has no character that JSON escapes."""


@dataclass
class NamedObjects:
    """The objects that points name. An index object that several points name is read once. Not thread-safe."""

    store: ObjectStore
    _of_index: dict[str, dict[str, int]] = field(default_factory=dict)

    def of_point(self, point: PointEntry) -> Iterator[str]:
        """The keys of everything that a point needs: its index, table and states, the data objects of all lines of its
        index, also of those that do not count, and beside each of them its fragment and the plan of its run. Raises
        `DamagedError` if an index object is missing or damaged."""
        yield plan_key(point.set, point.run)
        for ref in (*point.index, *point.table, point.topics, *([point.groups] if point.groups else [])):
            yield ref.key
        for key in self.data_of(point):
            yield key
            yield fragment_beside(key)
            yield plan_key(*origin_of(key))

    def of_plan(self, plan: Plan) -> Iterator[str]:
        """The keys of the states that the plan of an open run names. They can be of an earlier run."""
        yield plan.topics.key
        if plan.groups is not None:
            yield plan.groups.key

    def data_of(self, point: PointEntry) -> dict[str, int]:
        """The data objects that the lines of a point's index name, with their stored bytes."""
        return {key: size for ref in point.index for key, size in self._data_of_index(ref).items()}

    def _data_of_index(self, ref: IndexRef) -> dict[str, int]:
        if ref.key not in self._of_index:
            self._of_index[ref.key] = dict(_data_objects(iter_stored(self.store, ref), ref))
        return self._of_index[ref.key]


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
