"""The selection of a restore: which partitions and which incarnation of each topic, and which target topic for each.
Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tasks.model.errors import RefusedError
from tasks.model.partition import Incarnation
from tasks.repository.partition_table import Row
from tasks.repository.state_objects import TopicState


@dataclass(frozen=True, slots=True)
class ChosenTopic:
    """A topic of the point, the rows to restore, and the name of its target topic."""

    state: TopicState
    rows: tuple[Row, ...]
    target: str


def incarnations(rows: Collection[Row]) -> dict[str, list[Incarnation]]:
    """The incarnations that a point contains of each topic name."""
    found: dict[str, set[Incarnation]] = defaultdict(set)
    for row in rows:
        found[row.topic].add(row.source.incarnation)
    return {topic: sorted(ids) for topic, ids in found.items()}


def choose(
    rows: Collection[Row],
    states: Mapping[Incarnation, TopicState],
    names: Sequence[str],
    *,
    mapping: Mapping[str, str],
    partitions: Collection[int] | None,
) -> list[ChosenTopic]:
    """Returns the topics `names` with the selected partitions (None: all) and their targets.

    Of a topic that was deleted and created again, the incarnation that existed at the point is chosen. Raises
    `RefusedError` if the point contains several incarnations of a name and not exactly one of them existed then, if it
    contains the records of a topic without its settings, if two topics would be written to one target, and if none of
    the topics has a selected partition."""
    available = incarnations(rows)
    chosen = []
    for name in names:
        incarnation = _chosen_incarnation(name, available[name], rows)
        selected = [row for row in rows if row.source.incarnation == incarnation]
        if partitions is not None:
            selected = [row for row in selected if row.partition in partitions]
        state = states.get(incarnation)
        if state is None:
            raise RefusedError(
                f"The point contains the records of topic {incarnation} but not its settings. "
                "Restore from another point."
            )
        if selected:
            chosen.append(
                ChosenTopic(state, tuple(sorted(selected, key=lambda row: row.partition)), mapping.get(name, name))
            )
    _check_partitions(chosen, partitions)
    _check_targets(chosen)
    return chosen


def other_incarnations(rows: Collection[Row], chosen: Collection[ChosenTopic]) -> list[Incarnation]:
    """The incarnations of the chosen topics' names that the point contains and the restore leaves out. Pure."""
    taken = {Incarnation(topic.state.topic, topic.state.topic_id) for topic in chosen}
    names = {incarnation.topic for incarnation in taken}
    return sorted({row.source.incarnation for row in rows if row.topic in names} - taken)


def _chosen_incarnation(name: str, found: Sequence[Incarnation], rows: Collection[Row]) -> Incarnation:
    if len(found) == 1:
        return found[0]
    live = sorted({row.source.incarnation for row in rows if row.topic == name and row.is_live})
    if len(live) == 1:
        return live[0]
    ids = ", ".join(one.topic_id for one in found)
    existed = f"{len(live)} of them" if live else "none of them"
    raise RefusedError(
        f"Topic {name} was deleted and created again, and this point contains {len(found)} incarnations of it ({ids}). "
        f"When the point was made, {existed} existed, so it is not clear which one to restore. "
        "Restore from a point at which exactly one of them existed."
    )


def _check_partitions(chosen: Sequence[ChosenTopic], partitions: Collection[int] | None) -> None:
    missing = sorted(set(partitions or ()) - {row.partition for topic in chosen for row in topic.rows})
    if missing:
        present = sorted({row.partition for topic in chosen for row in topic.rows})
        has = f"they have partitions {present[0]} to {present[-1]}" if present else "the point has none of them"
        raise RefusedError(
            f"source_partitions: no chosen topic has partition {', '.join(map(str, missing))}; {has}. Correct "
            "source_partitions."
        )


def _check_targets(chosen: Sequence[ChosenTopic]) -> None:
    sources: dict[str, list[str]] = defaultdict(list)
    for topic in chosen:
        sources[topic.target].append(topic.state.topic)
    for target, names in sources.items():
        if len(names) > 1:
            raise RefusedError(
                f"topic_mapping sends {' and '.join(sorted(names))} to one topic, {target}; "
                "this version restores each topic into a different topic. Map them to different topics."
            )
