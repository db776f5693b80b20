"""The isolation level of Fetch and ListOffsets."""

from __future__ import annotations

from enum import IntEnum


class IsolationLevel(IntEnum):
    """Whether a request sees records of open transactions (`org.apache.kafka.common.IsolationLevel`)."""

    READ_UNCOMMITTED = 0
    READ_COMMITTED = 1
