"""Topic ids: 16 bytes on the wire, 22 characters where Kafka prints them."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode


def topic_uuid(topic_id: str) -> uuid.UUID:
    """The id that Kafka prints as 22 characters, as the wire has it."""
    return uuid.UUID(bytes=urlsafe_b64decode(topic_id + "=="))


def topic_id_text(value: uuid.UUID | None) -> str:
    """A topic id as Kafka prints it."""
    return urlsafe_b64encode((value or uuid.UUID(int=0)).bytes).decode().rstrip("=")
