"""The steps that read a point back: a validation, and a restore into new topics of the target, struck or not. A restore
that dies is continued."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from tasks.engine.options import RestoreOptions, TopicSelection
from tasks.engine.restore import RestoreResult, restore_locally
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.engine.validate import validate_locally
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Incarnation
from tasks.repository.points import PointReference
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import restore_ids, restore_parts
from tests.simulation.histories.laws import check_gaps, check_positions, check_restored, require
from tests.simulation.histories.model import content
from tests.simulation.histories.strikes import UNDISTURBED, Strike
from tests.simulation.histories.world import SET, World
from tests.simulation.kafka import SimulatedKafka
from tests.support.faults import Crashed


@dataclass(frozen=True)
class Validate:
    """A full validation of one of the points."""

    point: int

    def run(self, world: World) -> None:
        """Nothing that the program wrote is damaged."""
        seq = _chosen(world, self.point)
        if seq is not None:
            result = validate_locally(world.context(world.source), PointReference(SET, seq=seq), level="full")
            require(not result.findings, "what the program wrote validates", f"{SET}@{seq}", *result.findings)


@dataclass(frozen=True)
class Restore:
    """One of the points, restored into topics with new names; `strike.change` then happens to the target. If the
    restore ends early, it is asked for again until it succeeds: struck once more a call later, and then undisturbed.

    `is_rough`: before it is continued, the target's leaders change, its brokers are restarted and forget producers.
    """

    point: int
    strike: Strike = UNDISTURBED
    is_rough: bool = False

    def run(self, world: World) -> None:
        """A restore that says it is verified is exact; an undisturbed one is verified, also if it continues another."""
        seq = _chosen(world, self.point)
        if seq is None:
            return
        point = world.context(world.source).repository.log(SET).point(seq)
        mapping = _mapping(world, point)
        if not mapping:
            return
        before = set(restore_ids(world.disk))
        result = self._restored(world, point, mapping, self.strike)
        begun = set(restore_ids(world.disk)) - before
        for strike in (replace(self.strike, at=self.strike.at + 1), UNDISTURBED):
            if result is None and not _is_finished(world, begun):
                if self.is_rough:
                    _restart_brokers(world.target)
                    self._change(world)
                result = self._restored(world, point, mapping, strike)
                is_continued = result is None or not begun or result.plan.restore in begun
                require(is_continued or not strike.kind.startswith("crash"), "a restore that died is continued", begun)
        is_finished = result is not None or _is_finished(world, begun)
        require(is_finished, "a restore that died is continued to its end")
        if result is None or not result.mismatches:
            _check(world, point, mapping)

    def _restored(
        self, world: World, point: RestorePoint, mapping: Mapping[str, str], strike: Strike
    ) -> RestoreResult | None:
        context = world.context(world.target, strike.store(world))
        request = RestoreRequest(
            restore=world.run_id(),
            topics=TopicSelection(include=tuple(mapping)),
            options=RestoreOptions(
                topic_mapping=dict(mapping),
                consumer_group_strategy="header-based",
                reset_consumer_offsets=point.groups is not None,
                max_concurrent_partitions=1,
            ),
            most_bins=2,
        )
        try:
            with strike.on(world, world.target, lambda: self._change(world)):
                result = restore_locally(context, PointReference(SET, seq=point.seq), request, workers=1)
        except Crashed:
            world.log.append("  -> the process died")
            return None
        except KafkaBackupError as error:
            world.log.append(f"  -> {type(error).__name__}: {error}")
            is_excused = strike.kind not in ("none", "lose-store", "lose-cluster")
            require(is_excused, "an undisturbed restore succeeds", f"{type(error).__name__}: {error}")
            return None
        world.log.append(f"  -> {'mismatches' if result.mismatches else 'verified'}")
        is_right = not result.mismatches or strike.kind == "change"
        require(is_right, "an undisturbed restore verifies", *result.mismatches)
        return result

    def _change(self, world: World) -> None:
        """Leaders of the target change, or forget producers, while records arrive."""
        for name, topic in sorted(world.target.topics.by_name.items()):
            if not topic.is_internal:
                for number, led in enumerate(topic.partitions):
                    others = [node for node in led.isr if node != led.leader]
                    if others:
                        world.target.elect((name, number), others[0])
        world.target.expire_producers()


def _is_finished(world: World, begun: Collection[str]) -> bool:
    """Whether it is recorded of one of these restores that nothing is left to do."""
    parts = restore_parts(world.disk)
    return any("finalized" in parts[restore] for restore in begun)


def _restart_brokers(kafka: SimulatedKafka) -> None:
    """All brokers of a cluster die and come back, and have forgotten producers."""
    alive = list(kafka.brokers.alive)
    for node in alive:
        kafka.stop_node(node)
    for node in alive:
        kafka.start_node(node)


def _chosen(world: World, number: int) -> int | None:
    points = sorted(world.model.points)
    return points[number % len(points)] if points else None


def _mapping(world: World, point: RestorePoint) -> dict[str, str]:
    """New names for the topics of which the restore can choose one incarnation."""
    return {name: world.new_name(f"{name}-copy") for name in sorted({one.topic for one in _chosen_ids(point)})}


def _chosen_ids(point: RestorePoint) -> set[Incarnation]:
    """Of each topic the only incarnation, or else the only one that existed at the point."""
    all_of: dict[str, set[Incarnation]] = {}
    live_of: dict[str, set[Incarnation]] = {}
    for source, row in point.rows.items():
        all_of.setdefault(source.topic, set()).add(source.incarnation)
        if row.is_live:
            live_of.setdefault(source.topic, set()).add(source.incarnation)
    choices = [all_of[name] if len(all_of[name]) == 1 else live_of.get(name, set()) for name in all_of]
    return {one for found in choices if len(found) == 1 for one in found}


def _check(world: World, point: RestorePoint, mapping: Mapping[str, str]) -> None:
    compacted = {topic.topic_id for topic in point.topics.topics if topic.is_compacted}
    offsets: dict[tuple[str, int], list[int]] = {}
    chosen = _chosen_ids(point)
    for source, expected in world.model.points[point.seq].items():
        if source.topic not in mapping or source.incarnation not in chosen:
            continue
        where = f"{point.name} {source}"
        log = world.target.log((mapping[source.topic], source.partition))
        restored = [content(record) for record in log.visible_records()]
        offsets[source.topic, source.partition] = found = check_restored(restored, expected, world.model, where)
        planned = world.model.planned.get(point.seq, {}).get(source)
        if planned is not None:
            check_gaps(found, planned, point.entry, source, is_compacted=source.topic_id in compacted)
    _check_positions(world, point, mapping, offsets)


def _check_positions(
    world: World, point: RestorePoint, mapping: Mapping[str, str], offsets: Mapping[tuple[str, int], list[int]]
) -> None:
    if point.groups is None:
        return
    ids = {one.topic: one.topic_id for one in _chosen_ids(point)}
    committed = {
        (group.group, one.topic, one.partition): one.offset
        for group in point.groups.groups
        for one in group.positions
        if one.topic_id == ids.get(one.topic)
    }
    names = {target: source for source, target in mapping.items()}
    written = {
        (group.group_id, names[topic], partition): one.offset
        for group in world.target.groups.by_id.values()
        for (topic, partition), one in group.positions.items()
        if topic in names
    }
    check_positions(committed, written, offsets)
