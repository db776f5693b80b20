"""The locks of objects in a bucket: the headers that lock an object at its write, whether the bucket can lock objects,
and the locks that are in force.

The lock of an object is read by requests of their own and not by HEAD, because HEAD leaves the lock out if the
credentials are not allowed to read it, and because it needs the right to read the object.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from tasks.model.errors import AccessError, ConfigError, OutcomeUnknownError, StoreError
from tasks.store.s3.requests import S3Requests
from tasks.store.s3.settings import S3Settings

_NO_LOCKS = frozenset({"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "NotImplemented"})
"""The codes for a bucket that cannot lock objects."""

_NOT_LOCKED = frozenset({"NoSuchObjectLockConfiguration", "NoSuchKey", "MethodNotAllowed"})
"""The codes for an object without a lock, for a missing one, and for one that is hidden by a delete marker."""

_THREADS = 16


class ObjectLocks:
    """The locks of one bucket. Several threads can use it at the same time."""

    def __init__(self, requests: S3Requests, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._requests = requests
        self._settings: S3Settings = requests.settings
        self._now = now
        self._lock = threading.Lock()
        self._can_lock: bool | None = None
        self._is_denied = False
        self._is_checked = False

    def headers(self) -> dict[str, Any]:
        """The parameters of a PUT that locks its object as the settings ask for it. Empty if they do not."""
        if self._settings.object_lock_mode is None or self._settings.lock_ms is None:
            return {}
        until = self._now() + timedelta(milliseconds=self._settings.lock_ms)
        return {"ObjectLockMode": self._settings.object_lock_mode.upper(), "ObjectLockRetainUntilDate": until}

    def check_bucket(self) -> None:
        """See `ObjectStore.check_lock`."""
        if self._settings.object_lock_mode is not None and not self._bucket_can_lock():
            raise ConfigError(
                f"{self._settings.bucket_location} cannot lock objects, but the settings have object_lock_mode: "
                f"{self._settings.object_lock_mode}. Enable Object Lock for the bucket, or remove object_lock_mode."
            )

    def check_first(self, key: str, full_key: str) -> None:
        """Read the lock of the first object that was written with one, because some stores ignore the headers without
        an error. Raises `ConfigError` if the object is not locked, and `OutcomeUnknownError` if that could not be read,
        because the object exists."""
        if self._is_checked:
            return
        try:
            until = self._retention(full_key)
        except StoreError as error:
            raise OutcomeUnknownError(str(error), key=key) if error.retryable else error from None
        if until is None:
            raise ConfigError(
                f"{self._settings.bucket_location} ignores the lock of a write: {key} is not locked. Use another "
                "store, or remove object_lock_mode."
            )
        self._is_checked = True

    def in_force(self, full_keys: Sequence[str]) -> dict[str, int | None]:
        """The keys of the locked objects, each with the end of its lock in Unix milliseconds, None for a legal hold.

        Sends one request for the bucket, once, and only in a bucket that can lock objects two more for each key, or one
        if its retention has not ended."""
        if not full_keys or not self._bucket_can_lock_if_known():
            return {}
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="object-locks") as pool:
            found = dict(zip(full_keys, pool.map(self._lock_of, full_keys), strict=True))
        return {key: until_ms for key, (is_locked, until_ms) in found.items() if is_locked}

    def _lock_of(self, full_key: str) -> tuple[bool, int | None]:
        until = self._retention(full_key)
        if until is not None and until > self._now():
            return True, int(until.timestamp() * 1000)
        hold = self._read("GetObjectLegalHold", "get_object_legal_hold", full_key, "LegalHold")
        return hold.get("Status") == "ON", None

    def _retention(self, full_key: str) -> datetime | None:
        found = self._read("GetObjectRetention", "get_object_retention", full_key, "Retention")
        until: datetime | None = found.get("RetainUntilDate")
        return until

    def _read(self, operation: str, method: str, full_key: str, member: str) -> Mapping[str, Any]:
        with self._requests.request(operation, full_key):
            try:
                call = getattr(self._requests.client, method)
                found: Mapping[str, Any] = call(Bucket=self._settings.bucket, Key=full_key).get(member, {})
            except ClientError as error:
                if _code(error) in _NOT_LOCKED:
                    return {}
                raise
        return found

    def _bucket_can_lock(self) -> bool:
        with self._lock:
            if self._can_lock is None:
                self._can_lock = self._read_configuration()
            return self._can_lock

    def _bucket_can_lock_if_known(self) -> bool:
        """Whether the bucket can lock objects. False without the right to read that: then the store itself protects
        locked objects, and keeps them as older versions of those that are deleted."""
        if self._is_denied:
            return False
        try:
            return self._bucket_can_lock()
        except AccessError:
            self._is_denied = True
            return False

    def _read_configuration(self) -> bool:
        with self._requests.request("GetObjectLockConfiguration"):
            try:
                found = self._requests.client.get_object_lock_configuration(Bucket=self._settings.bucket)
            except ClientError as error:
                if _code(error) in _NO_LOCKS:
                    return False
                raise
        return bool(found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
