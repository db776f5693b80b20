"""Reads the logs of one set or of all sets from the newest entry on: who changed what, when and why."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import takewhile

from tasks.repository.entries import AnyEntry
from tasks.repository.repository import Repository

CLOCK_SLACK_MS = 60 * 60 * 1000
"""Reading ends at an entry that is this much older than the wanted time. Entries are in the order of their numbers, and
the clock of a machine that wrote some of them can have been behind."""


def audit(repository: Repository, set_name: str | None, *, since_ms: int | None = None) -> Iterator[AnyEntry]:
    """The entries of a set, or of all sets, newest first. With `since_ms` only those that are not older than this Unix
    time. Each entry is read when it is needed, so the memory does not depend on the length of the logs.

    Raises `NotFoundError` if the named set has no entry, and what `SetLog.newest_first` raises.
    """
    names = repository.set_names() if set_name is None else [set_name]
    logs = (_since(_entries(repository, name), since_ms) for name in names)
    return heapq.merge(*logs, key=lambda entry: -entry.time_ms)


def _entries(repository: Repository, set_name: str) -> Iterator[AnyEntry]:
    entry = None
    for entry in repository.log(set_name).newest_first():
        yield entry
    if entry is None:
        raise repository.no_set(set_name)


def _since(entries: Iterator[AnyEntry], since_ms: int | None) -> Iterator[AnyEntry]:
    if since_ms is None:
        return entries
    near = takewhile(lambda entry: entry.time_ms >= since_ms - CLOCK_SLACK_MS, entries)
    return (entry for entry in near if entry.time_ms >= since_ms)
