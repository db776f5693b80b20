"""Asks the store to bring the archived objects of a restore point back, so that they can be read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tasks.engine.archived import ArchivedObjects, archived_objects
from tasks.engine.options import DAY_MS, TopicSelection
from tasks.engine.retention.named_objects import NamedObjects
from tasks.engine.run_context import RunContext
from tasks.engine.target.restore_plan import RestoreRequest, read_source
from tasks.engine.target.selection import choose, incarnations
from tasks.engine.topic_selection import select_topics
from tasks.engine.workers import run_all
from tasks.model.errors import InterruptedRunError
from tasks.model.partition import Incarnation
from tasks.repository.names import data_prefix, origin_of
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.store.archive import ObjectArchive, RetrievalTier
from tasks.store.protocol import ObjectInfo

WORKERS = 8
"""The number of requests that are sent at the same time."""

_RENEWED_MS = DAY_MS
"""An object that is back is asked for again if it could not be read for longer than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thawed:
    """The objects that a point needs, `needed` of them, and their state after the request. `archived` counts those in
    an archive; `requested` of them were asked for by this call, and are among those on their way back."""

    needed: int
    requested: int
    archived: ArchivedObjects

    @property
    def is_done(self) -> bool:
        """Whether every object can be read now."""
        return self.archived.objects == 0


def thaw_objects(
    context: RunContext,
    archive: ObjectArchive,
    point: RestorePoint,
    *,
    topics: Sequence[str] = (),
    days: int,
    tier: RetrievalTier,
) -> Thawed:
    """Ask for every archived object that the point needs, or that a restore of these topics needs, unless it is on its
    way back. Once back, it can be read for `days` days; one that can be read for less than a day is asked for again.

    May be called again at any time, also to find out what is back. Lists the data of the set. For an object whose
    archive or state the listing does not show it sends one request more. Raises `ConfigError` for a topic that the
    point does not contain, `InterruptedRunError` on `stop`, and the errors of the store: then some objects were asked
    for.
    """
    return thaw_data(context, archive, _needed(context.repository, point, topics), days=days, tier=tier)


def thaw_data(
    context: RunContext, archive: ObjectArchive, needed: Collection[str], *, days: int, tier: RetrievalTier
) -> Thawed:
    """Ask for those of the data objects `needed` that are archived, as `thaw_objects` does."""
    repository = context.repository
    listed = [info for info in _listed(repository, needed) if info.archive is not None or info.is_archive_hidden]
    found = run_all(lambda info: _known(repository, info), listed, WORKERS, context.stop)
    asked = [info for info in found if _is_to_be_asked(info, now_ms=repository.now_ms())]

    def ask(info: ObjectInfo) -> None:
        if context.stop.is_set():
            raise InterruptedRunError("The request was stopped. Run the command again: it asks for the rest.")
        is_for_good = info.archive is not None and info.archive.stays_readable
        archive.bring_back(info.key, days=None if is_for_good else days, tier=tier)

    run_all(ask, asked, WORKERS, context.stop)
    archived = archived_objects(found)
    returning = archived.returning + sum(not info.is_readable for info in asked)
    return Thawed(needed=len(needed), requested=len(asked), archived=replace(archived, returning=returning))


def data_of_restore(repository: Repository, point: RestorePoint, request: RestoreRequest) -> set[str]:
    """The keys of the data objects that a restore reads. Raises `RefusedError` as `read_source`."""
    lines = read_source(repository, point, request).lines
    return {line.object for own in lines.values() for line in own if line.object is not None}


def _needed(repository: Repository, point: RestorePoint, topics: Sequence[str]) -> Collection[str]:
    """The keys of the data objects that the point names, or of those that a restore of the topics reads."""
    if not topics:
        return NamedObjects(repository.log(point.set_name)).data_of([point.seq], point.drops).keys()
    rows = list(point.rows.values())
    states = {Incarnation(state.topic, state.topic_id): state for state in point.topics.topics}
    available = dict.fromkeys(incarnations(rows), False)
    names = select_topics(available, TopicSelection(include=tuple(topics)), include_internal=True)
    chosen = choose(rows, states, names, targets={name: name for name in names}, partitions=None)
    lines = point.lines([row for topic in chosen for row in topic.rows])
    return {line.object for own in lines.values() for line in own if line.object is not None}


def _listed(repository: Repository, needed: Collection[str]) -> list[ObjectInfo]:
    sets = sorted({origin_of(key)[0] for key in needed})
    return [info for name in sets for info in repository.store.list(data_prefix(name)) if info.key in needed]


def _known(repository: Repository, info: ObjectInfo) -> ObjectInfo:
    """The object with the state of its archive."""
    is_unknown = info.archive is not None and info.archive.state == "unknown"
    return repository.store.head(info.key) if is_unknown or info.is_archive_hidden else info


def _is_to_be_asked(info: ObjectInfo, *, now_ms: int) -> bool:
    if info.archive is None or info.archive.state == "returning":
        return False
    until_ms = info.archive.readable_until_ms
    return until_ms is None or until_ms - now_ms < _RENEWED_MS
