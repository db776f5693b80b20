"""The step that compares a chain with a snapshot that another set takes at the same cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasks.engine.options import RestoreOptions, TopicSelection
from tasks.engine.restore import restore_locally
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.repository.points import PointReference
from tasks.repository.restore_point import RestorePoint
from tests.simulation.histories.attempt import point_of
from tests.simulation.histories.backup_step import Backup, request_of
from tests.simulation.histories.continuous_step import Continuous
from tests.simulation.histories.laws import check_same_cut, require
from tests.simulation.histories.middle import can_succeed
from tests.simulation.histories.model import Content, content
from tests.simulation.histories.world import World


@dataclass(frozen=True)
class SameCut:
    """An incremental run or a continuous cycle, and a snapshot of another set at the same cut: both restore to the same
    records, and groups go on at the same of them."""

    is_continuous: bool = True

    def run(self, world: World) -> None:
        """Unless a partition has no leader."""
        if not can_succeed(world):
            return
        world.clock.advance(1)
        began_ms = world.clock.now_ms()
        step = Continuous() if self.is_continuous else Backup(is_incremental=True)
        step.run(world)
        newest = point_of(world, max(world.model.points))
        other = world.new_name("cut")
        snapshot, _ = snapshot_locally(world.context(world.source), request_of(world, other), workers=1)
        chain = _restored(world, newest)
        for place, copy in _restored(world, snapshot).items():
            is_compacted = place[0] in {topic.topic for topic in snapshot.topics.topics if topic.is_compacted}
            check_same_cut(chain[place].records, copy.records, is_compacted=is_compacted, where=str(place))
            if newest.entry.planned_ms >= began_ms:  # a cycle without news leaves the positions as they were
                _check_positions(chain[place], copy, str(place))


class _Copy(NamedTuple):
    """A restored partition, and the positions of the groups on it."""

    records: Sequence[Content]
    positions: Mapping[str, int]


def _restored(world: World, point: RestorePoint) -> dict[tuple[str, int], _Copy]:
    """What the point restores to, of the partitions that existed at the point."""
    live = sorted(source for source, row in point.rows.items() if row.is_live)
    mapping = {name: world.new_name(f"{name}-copy") for name in dict.fromkeys(source.topic for source in live)}
    request = RestoreRequest(
        restore=world.run_id(),
        topics=TopicSelection(include=tuple(mapping)),
        options=RestoreOptions(
            topic_mapping=mapping, consumer_group_strategy="header-based", reset_consumer_offsets=True
        ),
        most_bins=2,
    )
    reference = PointReference(point.entry.set, seq=point.seq)
    result = restore_locally(world.context(world.target), reference, request, workers=1)
    require(not result.mismatches, "an undisturbed restore verifies", *result.mismatches)
    return {
        (source.topic, source.partition): _copy(world, (mapping[source.topic], source.partition)) for source in live
    }


def _copy(world: World, place: tuple[str, int]) -> _Copy:
    return _Copy(
        [content(record) for record in world.target.log(place).visible_records()],
        {
            group.group_id: group.positions[place].offset
            for group in world.target.groups.by_id.values()
            if place in group.positions
        },
    )


def _check_positions(chain: _Copy, snapshot: _Copy, where: str) -> None:
    """Every group goes on with the same record."""
    shared = set(snapshot.records)
    require(chain.positions.keys() == snapshot.positions.keys(), "a chain has the positions of a snapshot", where)
    for group, position in snapshot.positions.items():
        left = [one for one in chain.records[chain.positions[group] :] if one in shared]
        require(left == list(snapshot.records[position:]), "a group goes on where a snapshot lets it", where, group)
