"""The selection of a restore: which partitions of the point, and which target topic for each. Pure."""

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

    Raises `RefusedError` if the point contains several incarnations of a name, or the records of a topic without its
    settings, if two topics would be written to one target, and if a selected partition is in none of the topics.
    """
    available = incarnations(rows)
    chosen = []
    for name in names:
        incarnation = _single_incarnation(name, available[name])
        selected = [row for row in rows if row.source.incarnation == incarnation]
        if partitions is not None:
            selected = [row for row in selected if row.partition in partitions]
        state = states.get(incarnation)
        if state is None:
            raise RefusedError(f"Topic {incarnation}: the point has its records but not its settings.")
        if selected:
            chosen.append(
                ChosenTopic(state, tuple(sorted(selected, key=lambda row: row.partition)), mapping.get(name, name))
            )
    _check_partitions(chosen, partitions)
    _check_targets(chosen)
    return chosen


def _single_incarnation(name: str, found: Sequence[Incarnation]) -> Incarnation:
    if len(found) > 1:
        ids = ", ".join(one.topic_id for one in found)
        raise RefusedError(
            f"Topic {name} was deleted and created again; this point contains {len(found)} incarnations ({ids}). "
            "Restore from a point that contains one of them."
        )
    return found[0]


def _check_partitions(chosen: Sequence[ChosenTopic], partitions: Collection[int] | None) -> None:
    missing = sorted(set(partitions or ()) - {row.partition for topic in chosen for row in topic.rows})
    if missing:
        raise RefusedError(f"source_partitions: no chosen topic has partition {', '.join(map(str, missing))}.")


def _check_targets(chosen: Sequence[ChosenTopic]) -> None:
    sources: dict[str, list[str]] = defaultdict(list)
    for topic in chosen:
        sources[topic.target].append(topic.state.topic)
    for target, names in sources.items():
        if len(names) > 1:
            raise RefusedError(
                f"topic_mapping sends {' and '.join(sorted(names))} to one topic, {target}; "
                "this version restores each topic into a different topic."
            )
