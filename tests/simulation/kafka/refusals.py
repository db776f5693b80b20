"""Error codes that brokers answer with."""

from __future__ import annotations

from tasks.broker.translation import Action, error_for_code
from tasks.model.errors import KafkaBackupError


class Refused(Exception):
    """One of Kafka's error codes, and the broker's sentence if it sends one."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(f"code {code}: {message}")
        self.code = code
        self.message = message

    def as_error(self, attempt: Action) -> KafkaBackupError:
        """The error that the real ports make of the code."""
        return error_for_code(self.code, attempt, self.message)


UNKNOWN_SERVER_ERROR = -1
OFFSET_OUT_OF_RANGE = 1
CORRUPT_MESSAGE = 2
UNKNOWN_TOPIC_OR_PARTITION = 3
NOT_LEADER = 6
REQUEST_TIMED_OUT = 7
MESSAGE_TOO_LARGE = 10
OFFSET_METADATA_TOO_LARGE = 12
COORDINATOR_NOT_AVAILABLE = 15
INVALID_TOPIC = 17
NOT_ENOUGH_REPLICAS = 19
UNKNOWN_MEMBER_ID = 25
TOPIC_AUTHORIZATION_FAILED = 29
GROUP_AUTHORIZATION_FAILED = 30
CLUSTER_AUTHORIZATION_FAILED = 31
INVALID_TIMESTAMP = 32
TOPIC_ALREADY_EXISTS = 36
INVALID_PARTITIONS = 37
INVALID_REPLICATION_FACTOR = 38
INVALID_CONFIG = 40
POLICY_VIOLATION = 44
OUT_OF_ORDER_SEQUENCE_NUMBER = 45
INVALID_PRODUCER_EPOCH = 47
TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
SECURITY_DISABLED = 54
NON_EMPTY_GROUP = 68
GROUP_ID_NOT_FOUND = 69
INVALID_RECORD = 87
UNKNOWN_TOPIC_ID = 100
