"""Decides the position of a group in a target partition that several source partitions were written into. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from tasks.engine.positions.translate import TranslatedPosition
from tasks.repository.restores import RestorePlan, Targets


def one_for_each_target(
    positions: Sequence[TranslatedPosition], plan: RestorePlan, targets: Targets
) -> list[TranslatedPosition]:
    """One position for each group and target partition. The order is kept.

    The sources of a target partition follow one another in it. So the position is that in the first source whose
    records the group has not read to the end: the group skips no record, and reads again what it has read of later
    sources, as a note says. If it has read all sources, the position is that in the last one. A source on which the
    group has no position does not count.
    """
    if len({target.target for target in targets.partitions}) == len(targets.partitions):
        return list(positions)
    ends = {
        (copy.topic, copy.partition): target.base + copy.records
        for copy, target in zip(plan.partitions, targets.partitions, strict=True)
    }
    ordered = sorted(positions, key=lambda one: (*_place(one), ends[_source(one)]))
    chosen = [_first_unread(list(sources), ends) for _, sources in groupby(ordered, key=_place)]
    kept = {(one.group, *_source(one)): one for one in chosen}
    return [found for one in positions if (found := kept.get((one.group, *_source(one)))) is not None]


def _place(position: TranslatedPosition) -> tuple[str, str, int]:
    return position.group, position.target_topic, position.target_partition


def _source(position: TranslatedPosition) -> tuple[str, int]:
    return position.source_topic, position.source_partition


def _first_unread(sources: Sequence[TranslatedPosition], ends: dict[tuple[str, int], int]) -> TranslatedPosition:
    """`sources` are the positions of a group in one target partition, in the order in which their records were
    written."""
    unread = [one for one in sources if one.target_offset < ends[_source(one)]]
    chosen = unread[0] if unread else sources[-1]
    later = sources[sources.index(chosen) + 1 :]
    if not later:
        return chosen
    names = ", ".join(f"{one.source_topic}-{one.source_partition}" for one in later)
    note = f"the records of {names} follow, and the group reads again what it has read of them"
    return replace(chosen, note="; ".join(filter(None, (chosen.note, note))))
