"""The whole error tree. An error's class says what the operator does next; its message is one readable sentence.

KafkaBackupError                 something failed (exit 1)
├── ConfigError                  fix the configuration or the command line (2)
│   └── UnsupportedError         a newer format, or a feature that is not here (2)
├── RefusedError                 nothing was done; the findings say why (3)
├── NotFoundError                repository, set or restore point not found (10)
├── LockedError                  another writer holds the set (11)
├── AccessError                  credentials, keys or permission (12)
├── DamagedError                 stored bytes are not what was written (20)
├── InterruptedRunError          stopped on request (130)
├── StoreError                   the object store
│   ├── ObjectNotFoundError      no object has this key
│   ├── ObjectExistsError        put-if-absent lost: the key holds other bytes
│   ├── ObjectChangedError       compare-and-swap lost: the object is not at the expected version
│   ├── StoreUnavailableError    wait and retry: nothing was changed          (retryable)
│   └── OutcomeUnknownError      the response was lost: settle by reading back (retryable)
├── CommitError                  the log's newest entry forbids this change
│   ├── RunClosedError           the log already holds a point or a void of the run
│   └── PreconditionError        a later entry makes the plan of the run invalid: void it, plan a new one
└── BrokerError                  Kafka answered with an error
    ├── BrokerUnavailableError   wait and retry                                (retryable)
    ├── TopicGoneError           the topic id is unknown: deleted or re-created
    ├── OffsetOutOfRangeError    the position is outside the log; says nothing by itself
    └── UnsupportedBatchError    a magic 0/1 batch or an unreadable one
"""

from __future__ import annotations


class KafkaBackupError(Exception):
    """Base of every error this program raises on purpose; `str()` of it prints alone."""

    retryable = False


class ConfigError(KafkaBackupError):
    """The configuration, the command line or a name is wrong; nothing was done."""


class UnsupportedError(ConfigError):
    """A newer format than this version reads, or a feature that this version does not have."""


class RefusedError(KafkaBackupError):
    """The plan showed reasons not to act; nothing was changed."""


class NotFoundError(KafkaBackupError):
    """No such repository, backup set, restore point or restore."""


class LockedError(KafkaBackupError):
    """Another writer holds the lease."""


class AccessError(KafkaBackupError):
    """Credentials, keys or permissions are missing or wrong. `code` is Kafka's error code, if Kafka said so. `missing`
    are the missing permissions on the cluster, if they are known: operation, kind of resource, name."""

    def __init__(
        self, message: str, *, code: int | None = None, missing: tuple[tuple[str, str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.missing = missing


class DamagedError(KafkaBackupError):
    """Stored bytes are missing, cut, swapped or flipped. `key` names the object, when one is known."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class InterruptedRunError(KafkaBackupError):
    """The `stop` event was set. A backup has no new point. A restore leaves the records that it has written."""


class StoreError(KafkaBackupError):
    """The object store failed; `key` is the object concerned."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class ObjectNotFoundError(StoreError):
    """No object has this key."""


class ObjectExistsError(StoreError):
    """put-if-absent found an object under this key; it may be the writer's own, which only its bytes can tell."""


class ObjectChangedError(StoreError):
    """compare-and-swap found another version than the expected one."""


class StoreUnavailableError(StoreError):
    """The request was not carried out; the same request may succeed later."""

    retryable = True


class OutcomeUnknownError(StoreError):
    """The request may or may not have been carried out; only reading back settles it."""

    retryable = True


class CommitError(KafkaBackupError):
    """A change of the set was refused by the entries already in its log."""


class RunClosedError(CommitError):
    """The log holds a point or a void of this run. `point_seq` is the point's number, or None after a void."""

    def __init__(self, message: str, *, point_seq: int | None) -> None:
        super().__init__(message)
        self.point_seq = point_seq


class PreconditionError(CommitError):
    """An entry that was appended after this run was planned makes its plan invalid: void the run and plan a new one."""


class BrokerError(KafkaBackupError):
    """Kafka answered with an error. `code` is Kafka's error code, or None when the connection failed."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class BrokerUnavailableError(BrokerError):
    """No usable answer before the deadline: connection, leadership or coordinator trouble."""

    retryable = True


class TopicGoneError(BrokerError):
    """The topic id is unknown to the cluster: the topic was deleted, or deleted and created again."""


class OffsetOutOfRangeError(BrokerError):
    """The fetch position is outside the partition's log. Ask for the earliest and latest offsets before deciding."""


class UnsupportedBatchError(BrokerError):
    """A record batch this program cannot keep: magic 0 or 1, an unknown codec, or bytes that are not a batch."""
