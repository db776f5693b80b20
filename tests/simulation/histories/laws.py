"""The laws that hold after every step, whatever happened: what each is, and the check that a history makes of it.

Each check takes plain values and raises `LawBroken` with the law's sentence and what contradicts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry
from tests.simulation.histories.model import Content, Expected, Model, View


class LawBroken(AssertionError):
    """The program did what it must never do."""


def require(holds: bool, law: str, *facts: object) -> None:
    """Raises `LawBroken` unless it holds."""
    if not holds:
        raise LawBroken(": ".join((law, *map(str, facts))))


def offsets_of(restored: Sequence[Content], expected: Expected, where: str) -> list[int]:
    """The source offsets of the restored records, in the order in which the target has them."""
    by_content = {one: offset for offset, one in expected.allowed.items()}
    for one in restored:
        require(one in by_content, "a restore writes only records that the source had", where, one)
    return [by_content[one] for one in restored]


def check_restored(restored: Sequence[Content], expected: Expected, model: Model, where: str) -> list[int]:
    """Every record that was there all the time is restored, once, in order; nothing else but what was allowed is; no
    record of a transaction that did not commit. Returns the source offsets of what was restored."""
    offsets = offsets_of(restored, expected, where)
    for earlier, later in pairwise(offsets):
        require(earlier < later, "a restore writes each record once, in order", where, earlier, later)
    missing = sorted(expected.required.keys() - set(offsets))
    require(not missing, "a restore writes every record that the backup had to read", where, missing)
    for _, _, value, _ in restored:
        fate = model.sent[value or b""]
        require(fate == "committed", "no record of an aborted transaction is restored", where, value, fate)
    return offsets


def check_gaps(
    offsets: Sequence[int], planned: View, point: PointEntry, source: Partition, *, is_compacted: bool
) -> None:
    """A record that was there when the run planned, and is not in the point, lies in a range that the point states as
    lost, unless a cleaner may have removed it."""
    stated = [
        (note.first or 0, note.next or 0)
        for note in (*point.gaps, *point.trimmed)
        if (note.topic, note.topic_id, note.partition) == source
    ]
    for offset in sorted(planned.records.keys() - set(offsets)):
        is_stated = any(first <= offset < end for first, end in stated)
        require(is_stated or is_compacted, "nothing is lost without a gap that says so", source, offset, stated)


def check_positions(
    committed: Mapping[tuple[str, str, int], int],
    written: Mapping[tuple[str, str, int], int],
    offsets: Mapping[tuple[str, int], Sequence[int]],
) -> None:
    """A group goes on with the first restored record at or after its position. `committed` are the point's positions by
    (group, topic, partition), `written` those on the target by the source's names, `offsets` what was restored."""
    for (group, topic, partition), position in committed.items():
        if (topic, partition) not in offsets:
            continue
        below = sum(offset < position for offset in offsets[topic, partition])
        found = written.get((group, topic, partition))
        require(
            found == below, "a group goes on where it was", f"{group} on {topic}-{partition}", position, found, below
        )


def check_same_cut(chain: Sequence[Content], snapshot: Sequence[Content], *, is_compacted: bool, where: str) -> None:
    """A chain restores to what a snapshot at the same cut restores to. It also has what the cluster has deleted since:
    older records, or those that a cleaner took."""
    if is_compacted:
        shared = set(snapshot)
        chain = [one for one in chain if one in shared]
    tail = list(chain[len(chain) - len(snapshot) :])
    law = "a chain restores to what a snapshot at the same cut restores to"
    require(len(chain) >= len(snapshot) and tail == list(snapshot), law, where, len(chain), len(snapshot))
