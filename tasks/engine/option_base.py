"""The base of all options, and the values that several of them have."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tasks.engine.topic_patterns import compile_pattern, is_topic_name
from tasks.model.errors import ConfigError


class Options(BaseModel):
    """The base of all options. Their values cannot be changed, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_topic(name: str) -> str:
    """Return the name. Raises `ValueError` if Kafka does not allow it."""
    if not is_topic_name(name):
        raise ValueError("should be a topic's name: letters, digits, '.', '_' and '-', at most 249 characters")
    return name


def _check_pattern(pattern: str) -> str:
    try:
        compile_pattern(pattern)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return pattern


TopicName = Annotated[str, AfterValidator(_check_topic)]
TopicPattern = Annotated[str, AfterValidator(_check_pattern)]
PartitionNumber = Annotated[int, Field(ge=0)]
