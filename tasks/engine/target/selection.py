"""The selection of a restore: which partitions and which incarnation of each topic. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tasks.model.errors import RefusedError
from tasks.model.partition import Incarnation
from tasks.model.suggestions import did_you_mean
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
    targets: Mapping[str, str],
    partitions: Collection[int] | None,
    topic_ids: Mapping[str, str] | None = None,
) -> list[ChosenTopic]:
    """Returns the topics `names` with the selected partitions (None: all) and their `targets`.

    Of a topic that was deleted and created again, the incarnation with the id in `topic_ids` is chosen, otherwise the
    one that existed at the point. Raises `RefusedError` if the point contains several incarnations of a name and it is
    not clear which one to restore, if it does not have an incarnation of `topic_ids`, if it contains the records of a
    topic without its settings, and if none of the topics has a selected partition."""
    available, ids = incarnations(rows), topic_ids or {}
    _check_topic_ids(ids, names)
    chosen = []
    for name in names:
        incarnation = _chosen_incarnation(name, available[name], rows, ids.get(name))
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
            chosen.append(ChosenTopic(state, tuple(sorted(selected, key=lambda row: row.partition)), targets[name]))
    _check_partitions(chosen, partitions)
    return chosen


def other_incarnations(rows: Collection[Row], chosen: Collection[ChosenTopic]) -> list[Incarnation]:
    """The incarnations of the chosen topics' names that the point contains and the restore leaves out. Pure."""
    taken = {Incarnation(topic.state.topic, topic.state.topic_id) for topic in chosen}
    names = {incarnation.topic for incarnation in taken}
    return sorted({row.source.incarnation for row in rows if row.topic in names} - taken)


def _check_topic_ids(topic_ids: Mapping[str, str], names: Sequence[str]) -> None:
    for name in sorted(set(topic_ids) - set(names)):
        raise RefusedError(
            f"topic_ids names {name}, which this restore does not include. Correct topic_ids or topics.include."
            f"{did_you_mean(name, names)}"
        )


def _chosen_incarnation(
    name: str, found: Sequence[Incarnation], rows: Collection[Row], wanted_id: str | None
) -> Incarnation:
    if wanted_id is not None:
        wanted = Incarnation(name, wanted_id)
        if wanted in found:
            return wanted
        raise RefusedError(
            f"topic_ids: this point does not contain topic {name} with the id {wanted_id}. "
            f"It contains {_listed(found, rows)}."
        )
    if len(found) == 1:
        return found[0]
    live = sorted({row.source.incarnation for row in rows if row.topic == name and row.is_live})
    if len(live) == 1:
        return live[0]
    existed = f"{len(live)} of them" if live else "none of them"
    raise RefusedError(
        f"Topic {name} was deleted and created again, and this point contains {len(found)} incarnations of it: "
        f"{_listed(found, rows)}. When the point was made, {existed} existed, so it is not clear which one to restore. "
        f"Name its id in topic_ids, or restore from a point at which exactly one of them existed."
    )


def _listed(found: Sequence[Incarnation], rows: Collection[Row]) -> str:
    """The ids, each with the number of its offsets."""
    offsets = {one: sum(row.next - row.first for row in rows if row.source.incarnation == one) for one in found}
    return ", ".join(f"{one.topic_id} ({offsets[one]:,} offsets)" for one in found)


def _check_partitions(chosen: Sequence[ChosenTopic], partitions: Collection[int] | None) -> None:
    missing = sorted(set(partitions or ()) - {row.partition for topic in chosen for row in topic.rows})
    if missing:
        present = sorted({row.partition for topic in chosen for row in topic.rows})
        has = f"they have partitions {present[0]} to {present[-1]}" if present else "the point has none of them"
        raise RefusedError(
            f"source_partitions: no chosen topic has partition {', '.join(map(str, missing))}; {has}. Correct "
            "source_partitions."
        )
