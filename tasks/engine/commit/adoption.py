"""Adoption: the index lines of a run that died, as far as they can be used, and whether their objects are stored.

Every attempt writes under its own writer id, and an object's fragment after the object. So the fragments in the store
state exactly what a dead run has captured. An object is checked before a line that names it is adopted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tasks.engine.commit.outcome import last_epoch
from tasks.engine.commit.tiling import Cover, contiguous
from tasks.model.errors import DamagedError
from tasks.model.partition import Partition
from tasks.repository.data_objects import DataObjects
from tasks.repository.fragments import Fragment, fragment_keys, read_fragment
from tasks.repository.lines import IndexLine
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository


class Adopted(NamedTuple):
    """What is adopted of each planned partition, by its index in the plan. Partitions without anything are left out."""

    covers: Mapping[int, Cover]

    @property
    def lines(self) -> dict[Partition, Sequence[IndexLine]]:
        """The adopted lines of each partition, in offset order."""
        return {cover.lines[0].source: cover.lines for cover in self.covers.values()}

    @property
    def records(self) -> int:
        """The number of restorable records of the adopted lines."""
        return sum(line.records for cover in self.covers.values() for line in cover.lines)

    @property
    def objects(self) -> int:
        """The number of data objects that the adopted lines name."""
        return len({line.object for cover in self.covers.values() for line in cover.lines if line.object})


def find_adoptable(repository: Repository, plan: Plan) -> Adopted:
    """The largest contiguous part of each planned range that one writer of the run has stored.

    Lines of several writers are not mixed: two writers can have read two lineages. The lines of a writer count up to
    its first fragment or object that is missing, damaged, or not as its line states. Raises what the store raises."""
    by_writer = _lines_by_writer(repository, plan)
    covers = {}
    for index, planned in enumerate(plan.partitions):
        found = [contiguous(planned, lines[planned.source]) for lines in by_writer if planned.source in lines]
        best = max(found, key=lambda cover: cover.next, default=None)
        if best is not None and best.lines:
            covers[index] = best
    return Adopted(covers)


def epoch_after(cover: Cover) -> int | None:
    """The leader epoch of the last adopted batch, with which the capture of the rest begins."""
    return last_epoch(cover.lines)


def _lines_by_writer(repository: Repository, plan: Plan) -> Sequence[Mapping[Partition, list[IndexLine]]]:
    keys: dict[str, list[str]] = defaultdict(list)
    for writer, key in fragment_keys(repository.store, plan.set, plan.run):
        keys[writer].append(key)
    found = []
    for own in keys.values():
        lines: dict[Partition, list[IndexLine]] = defaultdict(list)
        for fragment in _intact_fragments(repository, plan, own):
            for line in fragment.lines:
                lines[line.source].append(line)
        found.append(lines)
    return found


def _intact_fragments(repository: Repository, plan: Plan, keys: Sequence[str]) -> Iterator[Fragment]:
    """The fragments of one writer from number 0 on, up to the first that cannot be used."""
    objects = DataObjects(repository.store)
    for number, key in enumerate(sorted(keys)):
        try:
            fragment = read_fragment(repository.store, key)
        except DamagedError:
            return
        is_own = (fragment.repository_id, fragment.set, fragment.run) == (plan.repository_id, plan.set, plan.run)
        if not is_own or fragment.number != number or not all(_is_stored(objects, line) for line in fragment.lines):
            return
        yield fragment


def _is_stored(objects: DataObjects, line: IndexLine) -> bool:
    """Whether the store has the line's object with the stated size and checksum. Where the store keeps no checksum, the
    object is read and its digest compared."""
    if line.object is None:
        return True
    info = objects.info(line.object)
    if info is None or info.size_bytes != line.stored_bytes:
        return False
    if info.checksum is not None and line.checksum is not None:
        return (info.checksum.kind, info.checksum.value) == (line.checksum.kind, line.checksum.value)
    try:
        objects.whole(line.object, line.sha256)
    except DamagedError:
        return False
    return True
