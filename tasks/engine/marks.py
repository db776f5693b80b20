"""Marks: named positions in the logs of a set's topics. Sets and removes them, and finds what the newest point does not
contain yet of the records before a mark. No record is read.

The offsets are stored as an object of their own, before the entry that names it. The mark has a run id, as a backup has
one. So a prune treats the object of a mark that died before its entry like the objects of a run that died.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tasks.broker.ports import ClusterAdmin
from tasks.engine.commit.runs import check_open
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.permissions import denied_topics
from tasks.engine.source.selected_topics import selected_topics
from tasks.engine.source.snapshot_plan import check_cluster
from tasks.engine.source.undescribable_topics import live_topics
from tasks.engine.topic_selection import is_selected
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, NotFoundError, RefusedError
from tasks.model.partition import Partition
from tasks.model.quoting import quoted
from tasks.repository.entries import AnyEntry, MarkEntry, UnmarkEntry
from tasks.repository.marks import MarkedOffsets, MarkedPartition, write_mark
from tasks.repository.names import new_run_id
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,99}")
_MOST_NOTE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class NewMark:
    """A mark that was set: its entry, and the offsets that it names."""

    entry: MarkEntry
    offsets: MarkedOffsets


class UnreachedPartition(NamedTuple):
    """A partition of which a point does not contain all records before a mark. The mark is at offset `end`. The point
    contains the partition up to `stored_next`, None if it does not have it."""

    source: Partition
    end: int
    stored_next: int | None


def set_mark(
    context: ClusterContext,
    set_name: str,
    name: str,
    *,
    topics: TopicSelection,
    options: BackupOptions,
    note: str | None = None,
) -> NewMark:
    """Store the bounds of the logs of all partitions that a backup with this selection would read, under a name.

    Raises `ConfigError` for a name or a note that is not allowed, for a selection that matches no topic, and if the set
    belongs to another cluster. Raises `NotFoundError` if there is no such set, `RefusedError` if the set has a mark of
    this name, `AccessError` if the user is not allowed to describe a topic, and `BrokerUnavailableError` if the offsets
    of a partition are not known. Then no mark was set.
    """
    _check_texts(name, note)
    repository = context.repository
    log, before = repository.log(set_name), repository.state(set_name)
    _require_free_name(before, set_name, name)
    run, newest = new_run_id(repository.now_ms()), log.newest_point()
    with context.admin() as admin:
        partitions, cluster_id = _partitions(admin, topics, options, newest), admin.cluster_id()
    check_cluster(set_name, newest, cluster_id)
    offsets = MarkedOffsets(partitions=tuple(_read_bounds(context, partitions)))
    ref = write_mark(repository.store, set_name, run, offsets.partitions)

    def build(state: SetState) -> AnyEntry:
        check_open(log, state, run, begun_after=before.seq)  # a prune voids a run that has written nothing for long
        _require_free_name(state, set_name, name)
        return MarkEntry(
            **repository.next_change(set_name, state),
            name=name,
            run=run,
            cluster_id=cluster_id,
            offsets=ref,
            note=note,
        )

    entry = log.append(build)
    assert isinstance(entry, MarkEntry)
    return NewMark(entry, offsets)


def remove_mark(repository: Repository, set_name: str, name: str) -> None:
    """End a mark. The next prune after the grace deletes its offsets. Raises `NotFoundError` if there is no such set or
    no mark of this name."""
    repository.state(set_name)

    def build(state: SetState) -> AnyEntry:
        if name not in state.marks:
            raise NotFoundError(
                f"The set {set_name} has no mark {quoted(name)}. `kafka-backup list --marks` shows them."
            )
        return UnmarkEntry(**repository.next_change(set_name, state), name=name, run=state.marks[name].run)

    repository.log(set_name).append(build)


def unreached_partitions(offsets: MarkedOffsets, point: RestorePoint | None) -> Iterator[UnreachedPartition]:
    """The partitions of which the point does not contain everything before the mark. A partition without records before
    the mark needs no row. Reads the point's table."""
    rows = point.rows if point is not None else {}
    for part in offsets.partitions:
        row = rows.get(part.source)
        if row is None and part.first < part.end:
            yield UnreachedPartition(part.source, part.end, None)
        elif row is not None and row.next < part.end:
            yield UnreachedPartition(part.source, part.end, row.next)


def _check_texts(name: str, note: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{quoted(name)} cannot be the name of a mark. Use letters, digits, '.', '_', '/', '+' and '-', begin with "
            "a letter or a digit, at most 100 characters."
        )
    if note is not None and not (1 <= len(note) <= _MOST_NOTE_CHARACTERS and note.isprintable()):
        raise ConfigError(f"The note is not allowed. Use 1 to {_MOST_NOTE_CHARACTERS} printable characters.")


def _require_free_name(state: SetState, set_name: str, name: str) -> None:
    if name in state.marks:
        raise RefusedError(
            f"The set {set_name} has a mark {quoted(name)} already. Use another name, or remove the mark with --remove."
        )


def _partitions(
    admin: ClusterAdmin, topics: TopicSelection, options: BackupOptions, newest: RestorePoint | None
) -> list[Partition]:
    """The partitions of the selected topics. Raises `AccessError` if a selected topic of the newest point can no longer
    be described, because a mark without it would be incomplete."""
    described, chosen = selected_topics(admin, topics, options)
    visible = {topic.name for topic in described}
    missing = [name for name in live_topics(newest) if name not in visible and is_selected(name, topics)]
    for reason in denied_topics(admin, missing).values():
        raise AccessError(f"No mark was set. {reason}")
    return [Partition(topic.name, topic.topic_id, part.partition) for topic in chosen for part in topic.partitions]


def _read_bounds(context: ClusterContext, partitions: list[Partition]) -> Iterator[MarkedPartition]:
    """The log start and the high watermark of each partition. The log starts are read first, so that no record that
    existed when the ends were read is missing."""
    with context.reader() as log:
        earliest, latest = log.list_offsets(partitions, "earliest"), log.list_offsets(partitions, "latest")
    failures = {**earliest.failures, **latest.failures}
    for source in partitions:
        if source in failures:
            reason = failures[source]
            if isinstance(reason, AccessError):
                raise reason
            raise BrokerUnavailableError(f"No mark was set, because {source} has no known end: {reason}")
        yield MarkedPartition(
            topic=source.topic,
            topic_id=source.topic_id,
            partition=source.partition,
            first=min(earliest.offsets[source], latest.offsets[source]),
            end=latest.offsets[source],
            leader_epoch=latest.leader_epochs.get(source),
        )
