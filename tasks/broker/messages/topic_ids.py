"""Converts topic ids between the protocol (16 bytes) and the text that Kafka prints (22 characters)."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode

ZERO_UUID = uuid.UUID(int=0)
"""Kafka's value for "no id"."""


def topic_uuid(topic_id: str) -> uuid.UUID:
    """The id for the 22 characters that Kafka prints."""
    return uuid.UUID(bytes=urlsafe_b64decode(topic_id + "=="))


def topic_id_text(value: uuid.UUID | None) -> str:
    """The id as Kafka prints it: 22 characters. None is converted as `ZERO_UUID`."""
    return urlsafe_b64encode((value or ZERO_UUID).bytes).decode().rstrip("=")
