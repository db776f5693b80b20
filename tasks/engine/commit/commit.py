"""Appends the point of a run to the log of its set.

A `PointProducer` stores the index and the table and makes the entry that names them. It is called again if another
writer appended an entry first.
"""

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
        """Returns the entry that follows `state`. Stores everything that the entry names before it returns.

        Is called again with a newer state if another entry was appended first, so it checks every precondition each
        time. Raises `RunClosedError` if the run already has its point or was voided, and `PreconditionError` if this
        point would remove data that a newer entry added to the set.
        """
        ...


def commit_point(repository: Repository, producer: PointProducer) -> RestorePoint:
    """Append the producer's point and return it. May be called again: if the run already has its point, that point is
    returned.

    Raises what `build` raises, also `RunClosedError` if the run was voided. After an error there is no new point. Only
    after `OutcomeUnknownError` there can be one; call again to find out.
    """
    log = repository.log(producer.set_name)
    try:
        entry = log.append(producer.build)
    except RunClosedError as error:
        if error.point_seq is None:
            raise
        return log.point(error.point_seq)
    assert isinstance(entry, PointEntry)
    return log.opened(entry)
