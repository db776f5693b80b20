"""The base of all options, and the values that several of them have."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Options(BaseModel):
    """The base of all options. Their values cannot be changed, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_topic(name: str) -> str:
    """Return the name. Raises `ValueError` if Kafka does not allow it (org.apache.kafka.common.internals.Topic)."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) or name in (".", ".."):
        raise ValueError("should be a topic's name: letters, digits, '.', '_' and '-', at most 249 characters")
    return name


TopicName = Annotated[str, AfterValidator(_check_topic)]
PartitionNumber = Annotated[int, Field(ge=0)]
