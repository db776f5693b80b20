"""Validates data objects, and decides what the level `quick` and the level `full` check of each. Each object is checked
independently, so threads and tasks can divide the objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.engine.archived import NONE_ARCHIVED, ArchivedObjects, archived_objects
from tasks.engine.bins import balance, shared_bins
from tasks.engine.run_context import RunContext
from tasks.engine.validation.contents import PointContents
from tasks.engine.validation.damage import DamageFinding, of_lines
from tasks.engine.validation.fragments import check_fragment
from tasks.engine.validation.object_bytes import NamedLine, check_bytes
from tasks.model.errors import InterruptedRunError, ObjectArchivedError
from tasks.repository.data_objects import DataObjects
from tasks.repository.repository import Repository
from tasks.store.protocol import ObjectInfo

Level = Literal["quick", "full"]


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of checking some objects: the findings, the number of checked objects, the bytes of data objects that
    were read, and the restorable records that were counted in them. `archived` are the archived objects; at level
    `full` they are not checked, because they cannot be read."""

    findings: Sequence[DamageFinding]
    objects: int = 0
    bytes: int = 0
    records: int = 0
    archived: ArchivedObjects = NONE_ARCHIVED


def named_lines(contents: PointContents) -> dict[str, list[NamedLine]]:
    """For each data object, all lines that name it, with the ranges that count. Pure."""
    counting: dict[tuple[str | None, object], list[tuple[int, int]]] = defaultdict(list)
    for lines in contents.counting.values():
        for line in lines:
            counting[line.object, line.source].append((line.first, line.next))
    named: dict[str, list[NamedLine]] = defaultdict(list)
    for line in contents.lines:
        if line.object is not None:
            ranges = [
                (max(first, line.first), min(end, line.next)) for first, end in counting[line.object, line.source]
            ]
            named[line.object].append(NamedLine(line, tuple(range_ for range_ in ranges if range_[0] < range_[1])))
    return named


def object_bins(named: Mapping[str, Sequence[NamedLine]], most_bins: int, workers: int) -> list[list[str]]:
    """The bins of a validation in a flow, as keys of data objects. Pure.

    The objects that contain a single partition share the bin of that partition. An object that contains several
    partitions has a bin of its own, so that it is read once. If these bins are more than `most_bins`, they are
    distributed over as many bins as `shared_bins` returns.
    """
    groups: dict[object, list[str]] = defaultdict(list)
    for key, lines in named.items():
        sources = {line.source for line, _ in lines}
        groups[next(iter(sources)) if len(sources) == 1 else key].append(key)
    members = list(groups.values())
    if len(members) <= most_bins:
        return members
    sizes = [sum(named[key][0].line.stored_bytes or 0 for key in keys) for keys in members]
    bins = balance(sizes, shared_bins(sum(sizes), most_bins, workers))
    return [[key for number in bin_ for key in members[number]] for bin_ in bins]


def check_object(context: RunContext, key: str, named: Sequence[NamedLine], level: Level) -> Checked:
    """Check one data object against the lines that name it. At the end, each line is reported to `context.progress`.

    Damage becomes a finding. Raises `InterruptedRunError` on `stop`, `UnsupportedError` for an object of a newer
    format, and the store's error if the store fails.
    """
    if context.stop.is_set():
        raise InterruptedRunError("The validation was stopped.")
    check = _check_quick if level == "quick" else _check_full
    checked = check(context.repository, key, named)
    for line, _ in named:
        context.progress(line.source, records=line.records, log_bytes=line.log_bytes)
    return checked


def check_objects(context: RunContext, named: Mapping[str, Sequence[NamedLine]], level: Level) -> Checked:
    """Check several objects, one after the other. Returns the sum of their results. Raises what `check_object`
    raises."""
    return merge([check_object(context, key, lines, level) for key, lines in named.items()])


def merge(parts: Sequence[Checked]) -> Checked:
    """The sum of several checks. Pure."""
    return Checked(
        [finding for one in parts for finding in one.findings],
        objects=sum(one.objects for one in parts),
        bytes=sum(one.bytes for one in parts),
        records=sum(one.records for one in parts),
        archived=sum((one.archived for one in parts), NONE_ARCHIVED),
    )


def _check_quick(repository: Repository, key: str, named: Sequence[NamedLine]) -> Checked:
    info = DataObjects(repository.store).info(key)
    if info is None:
        return Checked(_missing(key, named), objects=1)
    return Checked(_info_findings(info, named), objects=1, archived=archived_objects([info]))


def _check_full(repository: Repository, key: str, named: Sequence[NamedLine]) -> Checked:
    fragment = check_fragment(repository, key, [line for line, _ in named])
    try:
        found = DataObjects(repository.store).read(key)
    except ObjectArchivedError:
        unread = ArchivedObjects(objects=1, bytes=named[0].line.stored_bytes or 0)
        return Checked(fragment, objects=1, archived=unread)
    if found is None:
        return Checked([*_missing(key, named), *fragment], objects=2)
    stored, info = found
    check = check_bytes(key, stored, named, repository_id=repository.root.repository_id)
    findings = [*(check.findings or _info_findings(info, named)), *fragment]
    return Checked(findings, objects=2, bytes=len(stored), records=check.records)


def _missing(key: str, named: Sequence[NamedLine]) -> list[DamageFinding]:
    return of_lines(key, [line for line, _ in named], "the object is missing")


def _info_findings(info: ObjectInfo, named: Sequence[NamedLine]) -> list[DamageFinding]:
    """A finding for each partition if the store states another size or checksum of the object than its lines. Only the
    first difference is reported."""
    lines = [line for line, _ in named]
    for line in lines:
        if line.stored_bytes != info.size_bytes:
            return of_lines(info.key, lines, f"it has {info.size_bytes} bytes instead of {line.stored_bytes}")
        stated, actual = line.checksum, info.checksum
        if stated and actual and stated.kind == actual.kind and stated.value != actual.value:
            return of_lines(info.key, lines, f"its {actual.kind} in the store is not the one in the index")
    return []
