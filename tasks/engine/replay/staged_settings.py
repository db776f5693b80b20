"""Reads staged settings again during a restore, because somebody else, or an operator's program, can set them back.
Decides when a value counts as changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.broker.retry import RetryDeadline
from tasks.engine.run_context import ClusterContext
from tasks.repository.restores import TopicCopy

_CONFIRM_MS = 3_000
"""How long a changed value is read again: brokers learn of a change one after the other."""


@dataclass(frozen=True, slots=True)
class ChangedSetting:
    """A staged setting that has another value during the restore. `value` is None if the brokers do not show it."""

    target: str
    name: str
    value: str | None

    def __str__(self) -> str:
        return (
            f"{self.name} was set back to {'its default' if self.value is None else self.value} by someone else while "
            f"this restore needed another value. Pause the program that manages the settings of topic {self.target}, "
            "for example an operator or a GitOps loop, and restore again."
        )


def changed_settings(context: ClusterContext, topics: Sequence[TopicCopy]) -> list[ChangedSetting]:
    """The staged settings of these topics that have another value now, the first of each topic.

    A value counts as changed if it stays so for three seconds. Topics without staging settings are not read, and topics
    that are gone are left out: verification reports them.
    """
    staged = [topic for topic in topics if topic.staging]
    if not staged:
        return []
    deadline = RetryDeadline(_CONFIRM_MS, context.stop, context.clock)
    with context.admin() as admin:
        while True:
            configs = admin.known_topic_configs([topic.target for topic in staged])
            shown = {name: {entry.name: entry.value for entry in entries} for name, entries in configs.items()}
            found = [_first_change(topic, shown[topic.target]) for topic in staged if topic.target in shown]
            changes = [change for change in found if change is not None]
            if not changes or not deadline.wait():
                return changes


def _first_change(topic: TopicCopy, shown: dict[str, str | None]) -> ChangedSetting | None:
    for name, value in topic.staging.items():
        if shown.get(name) != value:
            return ChangedSetting(topic.target, name, shown.get(name))
    return None
