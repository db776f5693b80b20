"""The requests of Kafka's protocol that the raw side sends, by their numbers."""

from __future__ import annotations

from enum import IntEnum


class ApiKey(IntEnum):
    """Kafka's number of a request (`org.apache.kafka.common.protocol.ApiKeys`)."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    LIST_GROUPS = 16
    SASL_HANDSHAKE = 17
    API_VERSIONS = 18
    INIT_PRODUCER_ID = 22
    OFFSET_FOR_LEADER_EPOCH = 23
    DESCRIBE_ACLS = 29
    DESCRIBE_LOG_DIRS = 35
    SASL_AUTHENTICATE = 36
    DESCRIBE_PRODUCERS = 61

    @property
    def request_name(self) -> str:
        """Kafka's name of the request, for example `ListOffsets`."""
        return "".join(word.capitalize() for word in self.name.split("_"))
