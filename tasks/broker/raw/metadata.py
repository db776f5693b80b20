"""Metadata: the request by topic id, and whether an answer is about the incarnation that was asked for."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.topic_ids import topic_id_text, topic_uuid
from tasks.broker.messages.wire import MetadataRequest
from tasks.broker.raw.connection import Connection
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import KafkaBackupError, TopicGoneError
from tasks.model.partition import Incarnation

_BY_ID = 12
"""The first version that looks topics up by id."""


def error_of(incarnation: Incarnation, described: Any) -> KafkaBackupError | None:
    """What a topic of a Metadata answer says against the incarnation that was asked for; None: it is that one."""
    code = ErrorCode.UNKNOWN_TOPIC_ID if described is None else described.error_code
    is_another = not code and topic_id_text(described.topic_id) != incarnation.topic_id
    if is_another or code in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID):
        return TopicGoneError(f"Topic {incarnation} was deleted, or deleted and created again.")
    needs = (Permission("Describe", "Topic", incarnation.topic),)
    return error_for_code(code, Action("describe", f"topic {incarnation.topic}", needs)) if code else None


def metadata_request(connection: Connection, topics: Collection[Incarnation]) -> Any:
    """The message, its version set, for these topics and the brokers; by id where the broker can. Creates no topic."""
    version = connection.pick(MetadataRequest.API_KEY, 10, 12)
    topic_class = MetadataRequest.MetadataRequestTopic
    if version >= _BY_ID:
        wanted = [topic_class(topic_id=topic_uuid(topic.topic_id), name=None) for topic in topics]
    else:
        wanted = [topic_class(topic_id=uuid.UUID(int=0), name=name) for name in {topic.topic for topic in topics}]
    request = MetadataRequest(topics=wanted, allow_auto_topic_creation=False)
    request.API_VERSION = version
    return request
