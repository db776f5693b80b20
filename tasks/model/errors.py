"""The tree of all errors. The class of an error decides what the operator has to do next.

KafkaBackupError                 something failed (exit 1)
├── ConfigError                  fix the configuration or the command line (2)
│   └── UnsupportedError         a newer format, or a feature that is not here (2)
├── RefusedError                 a check does not allow the next step; the message has the reason (3)
├── NotFoundError                there is no such repository, set, restore point or restore (10)
├── LockedError                  another writer holds the lease (11)
├── AccessError                  credentials, keys or permission (12)
│   └── UndeletedError           a lock or a missing permission keeps some of the objects (12)
├── DamagedError                 stored bytes are not what was written (20)
│   └── SignatureError           a signed document is not what was signed (20)
├── InterruptedRunError          stopped on request (130)
├── StoreError                   the object store
│   ├── ObjectNotFoundError      no object has this key
│   ├── ObjectExistsError        put-if-absent found an object under the key
│   ├── ObjectChangedError       compare-and-swap found another version
│   ├── ObjectArchivedError      the object cannot be read before the store brought it back (3)
│   ├── StoreFullError           no space or quota is left: free some, or use another place
│   ├── StoreUnavailableError    wait and retry: nothing was changed           (retryable)
│   └── OutcomeUnknownError      the response was lost: read the key back      (retryable)
├── CommitError                  the run's point cannot be committed
│   ├── NothingCapturedError     every partition failed; the message has the first reason
│   ├── RunClosedError           the log already contains a point or a void of the run
│   └── PreconditionError        a later entry makes the plan of the run invalid: void it, plan a new one
└── BrokerError                  Kafka reported an error or could not be reached
    ├── BrokerUnavailableError   wait and retry                                (retryable)
    ├── TopicGoneError           there is no topic with this id or name
    ├── OffsetOutOfRangeError    the fetch offset is outside the log: read the log's bounds
    └── UnsupportedBatchError    a batch of magic 0 or 1, or one that cannot be read
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class KafkaBackupError(Exception):
    """The base of every error that this program raises on purpose. `retryable`: the same operation can succeed
    later."""

    retryable = False


class ConfigError(KafkaBackupError):
    """The configuration, the command line or a name is wrong, and the operator has to correct it. Most are found before
    anything is changed. A broker or a store can also find one during a run: then the earlier changes of the run
    stay."""


class UnsupportedError(ConfigError):
    """The format is newer than this version can read, or this version does not have the feature."""


class RefusedError(KafkaBackupError):
    """A check does not allow the next action, for example the preflight of a restore. That action was not carried out;
    the earlier actions of the run stay done."""


class NotFoundError(KafkaBackupError):
    """There is no such repository, backup set, restore point or restore."""


class LockedError(KafkaBackupError):
    """Another writer holds the lease, or has taken it over."""


class AccessError(KafkaBackupError):
    """Credentials, keys or permissions are missing or wrong. `code` is Kafka's error code, None if Kafka sent none.

    `missing` are the missing permissions on the cluster, if they are known: operation, kind of resource, name.
    """

    def __init__(
        self, message: str, *, code: int | None = None, missing: tuple[tuple[str, str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.missing = missing


class UndeletedError(AccessError):
    """Some objects of a deletion were not deleted. All its other objects were. `denied` maps each key that the store
    refused to delete to the reason. `locked` maps each key under a lock to the end of the lock in Unix milliseconds,
    None for a legal hold, which has no end. `hidden` is the number of deleted objects that the store keeps as older
    versions."""

    def __init__(self, *, denied: Mapping[str, str], locked: Mapping[str, int | None], hidden: int) -> None:
        self.denied, self.locked, self.hidden = denied, locked, hidden
        key, reason = next(iter(denied.items()), (next(iter(locked), ""), "it is locked"))
        count = len(denied) + len(locked)
        which = f"{key} was" if count == 1 else f"{count:,} objects, the first of which is {key}, were"
        super().__init__(f"{which} not deleted: {reason.rstrip('.')}.")


class DamagedError(KafkaBackupError):
    """Stored bytes are missing, or are not the bytes that were written. `key` is the key of the object, if it is
    known."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class SignatureError(DamagedError):
    """A signed document is not what was signed: somebody or something has changed it, and nothing in it can be relied
    on. It need not be in a repository."""


class InterruptedRunError(KafkaBackupError):
    """The `stop` event of the run was set. A backup has no new point. A restore leaves the records that it has
    written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """Objects that a deletion has deleted or found missing. `hidden` is how many of them the store keeps as older
    versions."""

    keys: frozenset[str] = frozenset()
    hidden: int = 0


class StoreError(KafkaBackupError):
    """The object store failed. `key` is the key of the object, if the error concerns one. `deleted` is what a deletion
    of several objects had done before it failed, as far as the store knows it."""

    deleted = Deleted()

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class ObjectNotFoundError(StoreError):
    """No object has this key."""


class ObjectExistsError(StoreError):
    """put-if-absent found an object under this key. Only its bytes show whether this writer has written it."""


class ObjectChangedError(StoreError):
    """compare-and-swap found another version than the expected one."""


class ObjectArchivedError(StoreError):
    """The object exists, but its storage class is an archive: the store has to bring it back before it can be read."""


class StoreFullError(StoreError):
    """No space or quota is left for this write, and nothing was changed. It is not repeated, because only an operator
    can free space."""


class StoreUnavailableError(StoreError):
    """The request was not carried out. The same request can succeed later.

    `is_answer`: the error is a response of the store, so the store can be reached. `is_conflict`: another request
    changes the object, or the condition of the write failed; the object itself shows which.
    """

    retryable = True

    def __init__(
        self, message: str, *, key: str | None = None, is_answer: bool = False, is_conflict: bool = False
    ) -> None:
        super().__init__(message, key=key)
        self.is_answer = is_answer
        self.is_conflict = is_conflict


class OutcomeUnknownError(StoreError):
    """It is not known whether the request was carried out. Only reading the key back shows it."""

    retryable = True


class CommitError(KafkaBackupError):
    """The point of a run cannot be committed, because of other entries in the set's log, or because planned offsets are
    neither captured nor recorded as missing."""


class NothingCapturedError(CommitError):
    """Every partition of the run failed, so there is no point. A later run can succeed."""


class RunClosedError(CommitError):
    """The log already contains a point or a void of this run. `point_seq` is the seq of the point, None after a
    void."""

    def __init__(self, message: str, *, point_seq: int | None) -> None:
        super().__init__(message)
        self.point_seq = point_seq


class PreconditionError(CommitError):
    """An entry that was appended after this run was planned makes its plan invalid: void the run and plan a new one."""


class BrokerError(KafkaBackupError):
    """Kafka reported an error, or could not be reached. `code` is Kafka's error code, None if Kafka sent none."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class BrokerUnavailableError(BrokerError):
    """There was no usable answer before the deadline. The cause can be a connection, a leader or a coordinator."""

    retryable = True


class TopicGoneError(BrokerError):
    """The cluster has no topic with this id or name: the topic never existed, was deleted, or was deleted and created
    again."""


class OffsetOutOfRangeError(BrokerError):
    """The fetch offset is outside the partition's log. Read the earliest and the latest offset to find out why."""


class UnsupportedBatchError(BrokerError):
    """A record batch that this program cannot process: magic 0 or 1, an unknown codec, or bytes that are not a
    batch."""
