"""The targets of a restore: the name of each topic's target, the target of each partition, and the sources that share a
target. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.engine.options import RestoreOptions
from tasks.engine.target.selection import ChosenTopic
from tasks.engine.topic_patterns import compile_pattern, is_literal, is_topic_name, target_name
from tasks.model.errors import RefusedError
from tasks.model.suggestions import did_you_mean
from tasks.repository.partition_table import Row
from tasks.repository.state_objects import TopicState


@dataclass(frozen=True, slots=True)
class ChosenTarget:
    """A target topic, and the topics that are written into it one after the other. `partitions` is the number of
    partitions that it needs."""

    name: str
    topics: tuple[ChosenTopic, ...]
    partitions: int

    @property
    def state(self) -> TopicState:
        """The state of the first of its topics, whose settings it gets."""
        return self.topics[0].state

    @property
    def rows(self) -> Iterable[Row]:
        """The rows of all its topics."""
        return (row for topic in self.topics for row in topic.rows)


def mapped_topics(names: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The target of each name: by the rule that is the name, otherwise by the first pattern that matches, otherwise the
    name itself.

    Raises `RefusedError` if a rule maps none of the names, if a target is not the name of a topic, and if two topics
    get the same target although one of them only keeps its name.
    """
    _check_rules(names, mapping)
    targets = {name: _target(name, mapping) for name in names}
    for name, target in targets.items():
        if target is not None and not is_topic_name(target):
            raise RefusedError(f"topic_mapping gives {name} the target {target!r}, which is not the name of a topic.")
    _check_shared(targets)
    return {name: target or name for name, target in targets.items()}


def mapped_partition(partition: int, mapping: Mapping[int, int]) -> int:
    """The target of a partition."""
    return mapping.get(partition, partition)


def chosen_targets(chosen: Sequence[ChosenTopic], options: RestoreOptions) -> list[ChosenTarget]:
    """The targets of the chosen topics, in their order. Raises `RefusedError` if partitions get the same target
    although one of them only keeps its number."""
    by_target: dict[str, list[ChosenTopic]] = defaultdict(list)
    for topic in chosen:
        _check_shared_partitions(topic, options.partition_mapping)
        by_target[topic.target].append(topic)
    return [
        ChosenTarget(name, tuple(topics), max(_needed_partitions(one, options.partition_mapping) for one in topics))
        for name, topics in by_target.items()
    ]


def ranks(names: Iterable[str], order: Sequence[str]) -> dict[str, int]:
    """The rank of each topic by the option `order`: the place of the first pattern that matches it, or the place after
    the last pattern."""
    expressions = [compile_pattern(pattern) for pattern in order]
    return {
        name: next((place for place, one in enumerate(expressions) if one.fullmatch(name)), len(expressions))
        for name in names
    }


def _target(name: str, mapping: Mapping[str, str]) -> str | None:
    """The target by a rule, None if no rule matches the name."""
    if name in mapping:
        return mapping[name]
    found = (target_name(pattern, target, name) for pattern, target in mapping.items() if not is_literal(pattern))
    return next((one for one in found if one is not None), None)


def _check_rules(names: Sequence[str], mapping: Mapping[str, str]) -> None:
    unused = [pattern for pattern in mapping if not any(compile_pattern(pattern).fullmatch(name) for name in names)]
    if unused:
        near = did_you_mean(unused[0], set(names) - set(mapping)) if is_literal(unused[0]) else ""
        raise RefusedError(
            f"topic_mapping names {', '.join(unused)}, which this restore does not include. Correct topic_mapping or "
            f"topics.include.{near}"
        )


def _check_shared(targets: Mapping[str, str | None]) -> None:
    """Topics are written into one target only if a rule says so for each of them."""
    for name, target in targets.items():
        if target is not None and target != name and target in targets and targets[target] is None:
            raise RefusedError(
                f"topic_mapping sends {name} to {target}, and {target} itself is restored too. To write both into one "
                f"topic, add the rule {target}: {target}. Otherwise map them to different topics."
            )


def _check_shared_partitions(topic: ChosenTopic, mapping: Mapping[int, int]) -> None:
    numbers = {row.partition for row in topic.rows}
    for number in sorted(numbers & mapping.keys()):
        target = mapping[number]
        if target != number and target in numbers and target not in mapping:
            raise RefusedError(
                f"partition_mapping sends partition {number} of {topic.state.topic} to {target}, and partition "
                f"{target} itself is restored too. To write both into one partition, add the rule {target}: {target}."
            )


def _needed_partitions(topic: ChosenTopic, mapping: Mapping[int, int]) -> int:
    return 1 + max(mapped_partition(number, mapping) for number in range(max(1, topic.state.partitions)))
