"""The table of `kafka-backup list --marks`: the marks of all sets, and whether the newest points have reached them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tasks.cli.exit_codes import OK, exit_code_of
from tasks.cli.session import Session
from tasks.engine.marks import UnreachedPartition, unreached_partitions
from tasks.model.counting import counted
from tasks.model.errors import DamagedError, KafkaBackupError, UnsupportedError
from tasks.reports.figures import table_text
from tasks.repository.marks import MarkedOffsets, read_mark
from tasks.repository.points import format_time
from tasks.repository.repository import Repository
from tasks.repository.set_state import Mark

_HEAD = ("MARK", "SET", "TIME", "TOPICS", "PARTITIONS", "IN NEWEST POINT", "NOTE")


class _Listed(NamedTuple):
    """A mark, its offsets, and what the newest point of its set does not contain of the records before it. If the
    offsets cannot be read, `error` is the reason."""

    set_name: str
    mark: Mark
    newest_point: int | None
    offsets: MarkedOffsets = MarkedOffsets(partitions=())
    unreached: tuple[UnreachedPartition, ...] = ()
    error: KafkaBackupError | None = None


def list_marks(session: Session, repository: Repository) -> int:
    """Print the marks of all sets. Returns the exit code: that of the worst error of a mark that cannot be read."""
    found = [one for name in repository.set_names() for one in _marks_of(repository, name)]
    rows = [_row(one) for one in found]
    session.print(table_text(_HEAD, rows) if rows else f"There is no mark at {repository.store.location}.")
    for one in found:
        if one.error is not None:
            session.warn(f"The mark {one.mark.name} of {one.set_name} cannot be read: {one.error}")
    session.print_json({"marks": [_document(one) for one in found]})
    return max((exit_code_of(one.error) for one in found if one.error is not None), default=OK)


def _marks_of(repository: Repository, set_name: str) -> Iterator[_Listed]:
    state = repository.state(set_name)
    newest = None
    if state.marks and state.newest_point is not None:
        newest = repository.log(set_name).point(state.newest_point)
    for mark in state.marks.values():
        try:
            offsets = read_mark(repository.store, mark.offsets)
            unreached = tuple(unreached_partitions(offsets, newest))
            yield _Listed(set_name, mark, state.newest_point, offsets, unreached)
        except (DamagedError, UnsupportedError) as error:
            yield _Listed(set_name, mark, state.newest_point, error=error)


def _row(one: _Listed) -> tuple[object, ...]:
    is_reached = "yes"
    if one.unreached:
        is_reached = f"no, {counted(len(one.unreached), 'partition')} not yet"
    return (
        one.mark.name,
        one.set_name,
        format_time(one.mark.time_ms),
        one.offsets.topics,
        len(one.offsets.partitions),
        is_reached if one.error is None else "unknown",
        one.mark.note or "",
    )


def _document(one: _Listed) -> dict[str, object]:
    return {
        "mark": one.mark.name,
        "set": one.set_name,
        "time_ms": one.mark.time_ms,
        "cluster_id": one.mark.cluster_id,
        "note": one.mark.note,
        "topics": one.offsets.topics,
        "partitions": len(one.offsets.partitions),
        "newest_point": one.newest_point,
        "is_in_newest_point": None if one.error is not None else not one.unreached,
        "not_in_newest_point": [
            {**part.source._asdict(), "end": part.end, "stored_next": part.stored_next} for part in one.unreached
        ],
        "error": None if one.error is None else str(one.error),
    }
