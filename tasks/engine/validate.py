"""Validation of a restore point: what it promises is there, and is what was written."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from tasks.engine.damage import DamageFinding, of_lines, of_object
from tasks.engine.progress import Progress, silent
from tasks.engine.validate_bytes import NamedLine, check_bytes
from tasks.engine.validate_fragments import (
    check_fragment,
    check_lone_fragment,
    check_plan,
    fragment_beside,
    lone_fragments,
    run_of,
)
from tasks.engine.validate_log import LogReading, choose_readable, read_whole_log
from tasks.engine.validate_point import PointContents, read_contents
from tasks.model.errors import InterruptedRunError, NotFoundError, ObjectNotFoundError
from tasks.repository.entries import PointEntry
from tasks.repository.log import SetLog
from tasks.repository.names import log_key
from tasks.repository.pins import pinned
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.store.protocol import ObjectInfo

Level = Literal["quick", "full"]

WORKERS = 4
"""Objects that are checked at the same time; a full validation holds so many of them in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """The point that was validated and everything that is wrong with it: nothing, if `findings` is empty.

    `checked_objects` counts every object that was looked at but the log's entries, `checked_bytes` the bytes of data
    objects that were read (none at level quick), `checked_records` the restorable records that were counted in them.
    `is_pinned` is false when the repository may not be written to: then nothing kept the point from being swept.
    """

    point: PointEntry
    findings: tuple[DamageFinding, ...]
    checked_objects: int
    checked_bytes: int
    checked_records: int
    is_pinned: bool = True


@dataclass(frozen=True, slots=True)
class _Checked:
    """What the check of some objects came to."""

    findings: Sequence[DamageFinding]
    objects: int = 0
    bytes: int = 0
    records: int = 0


def validate(
    repository: Repository,
    reference: PointReference,
    *,
    level: Level,
    stop: threading.Event,
    progress: Progress = silent,
) -> ValidationResult:
    """Validate a point under a pin, and report all damage, not the first.

    Both levels promise, when there is no finding: the set's log is an unbroken chain from entry 1, and head and
    checkpoints that can be read agree with it; index, partition table and states are the bytes that the entry names;
    every offset of every partition is covered by an index line; the totals add up; every settings of a live topic are
    there.

    `quick` also promises of each data object that it exists, with the size and the checksum that the store stated when
    it was written. It reads no data: a byte that flipped under a store which keeps no checksums stays unseen.

    `full` also promises of each data object that every byte is as written (SHA-256), that it is an intact container
    whose end names this repository, set, run and these segments, that every frame decompresses into whole batches with
    valid CRCs and ascending offsets inside its range, and that records, timestamps, codecs, epochs and aborted ranges
    are those of the index. And that the plans of the runs that wrote the data, and the fragments beside it, are
    intact. `restores/`, `leases/` and `pins/` are no part of a point and are not read.

    `progress` is told of each line when its object is done. Raises `NotFoundError` when there is no such point,
    `DamagedError` when the log is too damaged to tell, `UnsupportedError` for a newer format, `InterruptedRunError` on
    `stop`, and what the store raises when it cannot answer: that is no finding.
    """
    log = repository.log(reference.set_name)
    seq = choose_readable(read_whole_log(log), reference)
    with pinned(repository.store, log.set_name, seq, purpose="validate", now_ms=repository.now_ms) as is_pinned:
        reading = _read_again(log, seq)
        point = log.point(seq)
        contents = read_contents(repository.store, point)
        checked = [
            _Checked([*reading.findings, *contents.findings], objects=contents.objects),
            *_check_objects(repository, contents, level, stop, progress),
            *(_check_runs(repository, point, contents, stop) if level == "full" else ()),
        ]
    findings = [finding for one in checked for finding in one.findings]
    records = sum(one.records for one in checked)
    if level == "full" and not findings and records != point.totals.records:
        message = f"its total of records is {point.totals.records}, its objects hold {records}"
        findings.append(of_object(log_key(point.set, seq), message))
    return ValidationResult(
        point=point,
        findings=tuple(dict.fromkeys(findings)),
        checked_objects=sum(one.objects for one in checked),
        checked_bytes=sum(one.bytes for one in checked),
        checked_records=records,
        is_pinned=is_pinned,
    )


def named_lines(contents: PointContents) -> dict[str, list[NamedLine]]:
    """For each data object the lines that name it, whether they count or not, with the ranges that do. Pure."""
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


def _read_again(log: SetLog, seq: int) -> LogReading:
    """The log as it is under the pin: the point must still be live."""
    reading = read_whole_log(log)
    if seq not in reading.state.points:
        raise NotFoundError(f"{log.set_name}@{seq} was removed before it could be validated.")
    return reading


def _check_objects(
    repository: Repository, contents: PointContents, level: Level, stop: threading.Event, progress: Progress
) -> list[_Checked]:
    def check(key: str, named: Sequence[NamedLine]) -> _Checked:
        if stop.is_set():
            raise InterruptedRunError("The validation was stopped.")
        checked = _check_quick(repository, key, named) if level == "quick" else _check_full(repository, key, named)
        for line, _ in named:
            progress(line.source, records=line.records, log_bytes=line.log_bytes)
        return checked

    return _in_threads(check, named_lines(contents))


def _in_threads(
    check: Callable[[str, Sequence[NamedLine]], _Checked], work: Mapping[str, Sequence[NamedLine]]
) -> list[_Checked]:
    """The results in order; the first error ends the work that has not begun, and is raised."""
    with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="validate") as pool:
        futures = [pool.submit(check, key, named) for key, named in work.items()]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _check_quick(repository: Repository, key: str, named: Sequence[NamedLine]) -> _Checked:
    try:
        info = repository.store.head(key)
    except ObjectNotFoundError:
        return _Checked(_missing(key, named), objects=1)
    return _Checked(_info_findings(info, named), objects=1)


def _check_full(repository: Repository, key: str, named: Sequence[NamedLine]) -> _Checked:
    fragment = check_fragment(repository, key, [line for line, _ in named])
    try:
        stored, info = repository.store.get(key)
    except ObjectNotFoundError:
        return _Checked([*_missing(key, named), *fragment], objects=2)
    check = check_bytes(key, stored, named, repository_id=repository.root.repository_id)
    findings = [*(check.findings or _info_findings(info, named)), *fragment]
    return _Checked(findings, objects=2, bytes=len(stored), records=check.records)


def _missing(key: str, named: Sequence[NamedLine]) -> list[DamageFinding]:
    return of_lines(key, [line for line, _ in named], "the object is missing")


def _info_findings(info: ObjectInfo, named: Sequence[NamedLine]) -> list[DamageFinding]:
    """What the store says of an object and its lines do not."""
    lines = [line for line, _ in named]
    for line in lines:
        if line.stored_bytes != info.size_bytes:
            return of_lines(info.key, lines, f"it has {info.size_bytes} bytes instead of {line.stored_bytes}")
        stated, actual = line.checksum, info.checksum
        if stated and actual and stated.kind == actual.kind and stated.value != actual.value:
            return of_lines(info.key, lines, f"its {actual.kind} in the store is not the one in the index")
    return []


def _check_runs(
    repository: Repository, point: PointEntry, contents: PointContents, stop: threading.Event
) -> Iterable[_Checked]:
    """Plans of the runs that wrote what the point names, and those of their fragments that stand beside no object."""
    keys = {line.object for line in contents.lines if line.object is not None}
    beside = {fragment_beside(key) for key in keys}
    for run in sorted({point.run} | {run_of(key) for key in keys}):
        if stop.is_set():
            raise InterruptedRunError("The validation was stopped.")
        lone = lone_fragments(repository.store, point.set, run, beside)
        others = [finding for key in lone for finding in check_lone_fragment(repository.store, key)]
        yield _Checked([*check_plan(repository, point.set, run), *others], objects=1 + len(lone))
