"""Metadata: the requests by topic id and by name, and the check that an answer describes the requested incarnation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.topic_ids import ZERO_UUID, topic_id_text, topic_uuid
from tasks.broker.messages.wire import MetadataRequest
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.required_versions import METADATA_VERSIONS
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import KafkaBackupError, TopicGoneError
from tasks.model.partition import Incarnation

_FIRST_BY_ID = 12
"""The first version that looks topics up by id."""


def topic_error(incarnation: Incarnation, described: Any) -> KafkaBackupError | None:
    """The error if `described`, a topic of a Metadata answer, is not the requested incarnation or has an error code.
    None if it is the requested incarnation. `described` is None if the answer does not contain the topic."""
    code = ErrorCode.UNKNOWN_TOPIC_ID if described is None else described.error_code
    is_another = not code and topic_id_text(described.topic_id) != incarnation.topic_id
    if is_another or code in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID):
        return TopicGoneError(f"Topic {incarnation} was deleted, or deleted and created again.")
    needs = (Permission("Describe", "Topic", incarnation.topic),)
    return error_for_code(code, Action("describe", f"topic {incarnation.topic}", needs)) if code else None


def metadata_request(connection: Connection, topics: Collection[Incarnation]) -> Any:
    """The request for these topics and all brokers, with its version set. It uses topic ids if the broker supports
    them, and never creates a topic."""
    version = connection.pick(ApiKey.METADATA, *METADATA_VERSIONS)
    if version < _FIRST_BY_ID:
        return metadata_request_by_name(connection, {topic.topic for topic in topics})
    topic_class = MetadataRequest.MetadataRequestTopic
    wanted = [topic_class(topic_id=topic_uuid(topic.topic_id), name=None) for topic in topics]
    return _request(version, wanted)


def metadata_request_by_name(connection: Connection, names: Collection[str]) -> Any:
    """The request for topics by name, whatever their ids are, with its version set. It never creates a topic."""
    topic_class = MetadataRequest.MetadataRequestTopic
    wanted = [topic_class(topic_id=ZERO_UUID, name=name) for name in names]
    return _request(connection.pick(ApiKey.METADATA, *METADATA_VERSIONS), wanted)


def _request(version: int, wanted: list[Any]) -> Any:
    request = MetadataRequest(topics=wanted, allow_auto_topic_creation=False)
    request.API_VERSION = version
    return request
