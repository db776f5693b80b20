"""Hidden topics: topics of the newest point that the user can no longer describe. Kafka does not list them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.repository.plans import PlanFailure
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import TopicState


def live_topics(newest: RestorePoint | None) -> list[str]:
    """The names of the topics that existed at the newest point, in order. Empty if there is no point."""
    rows = newest.rows if newest else {}
    return sorted({source.topic for source, row in rows.items() if row.is_live})


def keep_hidden_topics(
    newest: RestorePoint | None, hidden: Mapping[str, str]
) -> tuple[list[PlanFailure], Sequence[TopicState]]:
    """(the partitions of hidden topics as failures, the states of these topics in the newest point). `hidden` are the
    names of hidden topics with the reason.

    Because of the failures, the next point keeps the rows of these partitions from the newest point.
    """
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
