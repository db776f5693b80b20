"""Topics of the newest point that may not be seen any more: Kafka leaves them out of its lists and does not say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.repository.plans import PlanFailure
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import TopicState


def live_topics(newest: RestorePoint | None) -> list[str]:
    """The names that the newest point knows as being there, in order; none without a point."""
    rows = newest.rows if newest else {}
    return sorted({source.topic for source, row in rows.items() if row.is_live})


def keep_hidden_topics(
    newest: RestorePoint | None, hidden: Mapping[str, str]
) -> tuple[list[PlanFailure], Sequence[TopicState]]:
    """The partitions of `hidden` topics as failures with the reason given for each, so that the next point keeps what
    this one has of them, and the topics' last states."""
    if newest is None or not hidden:
        return [], ()
    failures = [
        PlanFailure(
            topic=source.topic,
            topic_id=source.topic_id,
            partition=source.partition,
            reason=hidden[source.topic],
        )
        for source, row in newest.rows.items()
        if row.is_live and source.topic in hidden
    ]
    return failures, [state for state in newest.topics.topics if state.topic in hidden]
