"""Decides the position of a group in a target partition that several source partitions were written into. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from tasks.engine.positions.translated import TranslatedPosition


class Placed(NamedTuple):
    """A translated position, and the target offset at which the records of its source partition end."""

    position: TranslatedPosition
    end: int


def one_for_each_target(placed: Iterable[Placed]) -> list[TranslatedPosition]:
    """One position for each group and target partition, ordered by group.

    The sources of a target partition follow one another in it. So the position is that in the first source whose
    records the group has not read to the end: the group skips no record, and reads again what it has read of later
    sources, as a note says. If it has read all sources, the position is that in the last one. A source on which the
    group has no position does not count.
    """
    ordered = sorted(placed, key=lambda one: (*_place(one), one.end))
    return [_merged(list(sources)) for _, sources in groupby(ordered, key=_place)]


def _place(placed: Placed) -> tuple[str, str, int]:
    position = placed.position
    return position.group, position.target_topic, position.target_partition


def _merged(sources: list[Placed]) -> TranslatedPosition:
    """`sources` are in the order in which they were written."""
    unread = [one.position for one in sources if one.position.target_offset < one.end]
    chosen = unread[0] if unread else sources[-1].position
    later = [one.position for one in sources if one.position.target_offset > chosen.target_offset]
    if not later:
        return chosen
    names = ", ".join(f"{one.source_topic}-{one.source_partition}" for one in later)
    note = f"the target also has the records of {names}, and the group will read what it has read of them again"
    return replace(chosen, note="; ".join(filter(None, (chosen.note, note))))
