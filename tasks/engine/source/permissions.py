"""What a backup must be allowed to do, looked at before it begins. README lists the same as ACLs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import Action
from tasks.engine.options import TopicSelection
from tasks.engine.topic_patterns import is_literal
from tasks.model.errors import AccessError

_NEEDED = ("Read", "DescribeConfigs")


def require_visible(admin: ClusterAdmin, selection: TopicSelection, visible: Collection[str]) -> None:
    """Topics that one may not describe are in no list; only asked for by name does Kafka say so (`AccessError`)."""
    hidden = [name for name in selection.include if is_literal(name) and name not in visible]
    admin.require_on_topics(dict.fromkeys(hidden, _NEEDED), Action("back up", ", ".join(hidden)))


def denied_topics(admin: ClusterAdmin, names: Iterable[str]) -> dict[str, str]:
    """Of topics that are in no list those that are there all the same, each with the sentence that says what is
    missing; the others were deleted."""
    denied = {}
    for name in names:
        try:
            admin.require_on_topics({name: _NEEDED}, Action("back up", name))
        except AccessError as error:
            denied[name] = str(error)
    return denied
