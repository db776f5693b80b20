"""Log entries that name nothing: for tests of the log alone."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.repository.compressed_objects import StoredRef
from tasks.repository.entries import AnyEntry, PointEntry, Totals, VoidEntry, encode_entry
from tasks.repository.repository import Repository
from tasks.repository.set_state import SetState
from tests.support.made_backup import SET

NO_TOTALS = Totals(topics=0, partitions=0, records=0, log_bytes=0, stored_bytes=0, objects=0)


def empty_point(repository: Repository, state: SetState, *, run: str) -> PointEntry:
    """A point of a run that has no partitions."""
    return PointEntry(
        **repository.next_entry(SET, state),
        newest_point=state.seq + 1,
        run=run,
        point_kind="snapshot",
        status="complete",
        cluster_id="c",
        planned_ms=0,
        index=(),
        table=(),
        topics=StoredRef(key="k", sha256="", stored_bytes=0),
        totals=NO_TOTALS,
    )


def voids(repository: Repository, count: int) -> Iterator[tuple[AnyEntry, str]]:
    """(entry, tip) pairs that close the runs `run-000001`, `run-000002`, …, chained, without storing them."""
    state = SetState()
    for seq in range(1, count + 1):
        entry = VoidEntry(
            **repository.next_entry(SET, state),
            newest_point=None,
            run=f"run-{seq:06d}",
            reason="it ended without a point",
        )
        tip = encode_entry(entry)[1]
        yield entry, tip
        state = SetState(seq=seq, tip=tip)
