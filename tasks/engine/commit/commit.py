"""Commit: the one step that makes captured data count. Index, then table, then the log entry that names them."""

from __future__ import annotations

from typing import Protocol

from tasks.model.errors import RunClosedError
from tasks.repository.entries import PointEntry
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.set_state import SetState


class PointProducer(Protocol):
    """Makes the log entry of one run's point. There is one producer per kind of point."""

    @property
    def set_name(self) -> str:
        """The set that gets the point."""
        ...

    def build(self, state: SetState) -> PointEntry:
        """The entry that follows `state`, with everything that it names stored before it is returned.

        Called again with a newer state when another entry was appended first; so it checks every precondition anew.
        Raises `RunClosedError` when the run has its point already or was voided, `PreconditionError` when the set moved
        on in a way that this point would undo.
        """
        ...


def commit_point(repository: Repository, producer: PointProducer) -> RestorePoint:
    """Append the producer's point. May be called again: a point of the run that exists already is returned.

    Raises what `build` raises, and `RunClosedError` when the run was voided. After any error there is no new point,
    except perhaps after `OutcomeUnknownError`: call again to settle it.
    """
    log = repository.log(producer.set_name)
    try:
        entry = log.append(producer.build)
    except RunClosedError as error:
        if error.point_seq is None:
            raise
        return log.point(error.point_seq)
    assert isinstance(entry, PointEntry)
    return RestorePoint(repository.store, entry)
