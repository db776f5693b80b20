"""A bucket of S3, or of a store that speaks its protocol, as an object store.

Each write is one PUT with the object's SHA-256, which the store verifies and keeps. `put_if_absent` and
`compare_and_swap` add a condition (`If-None-Match: *`, `If-Match`); `put` has none. With `single_writer` they read the
object first, and send no condition. `version` is the ETag. If the settings ask for it, `put_if_absent` locks immutable
objects. This store does not retry: see `RetryingStore`.
"""

from __future__ import annotations

import contextlib
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256 as sha256_of
from typing import Any
from urllib.parse import urlencode

from tasks.model.errors import (
    AccessError,
    KafkaBackupError,
    ObjectChangedError,
    ObjectExistsError,
    OutcomeUnknownError,
    StoreError,
    UndeletedError,
    UnsupportedError,
)
from tasks.store.body_reader import BodyReader
from tasks.store.bucket_store import BucketStore, cut_error
from tasks.store.keys import check_folder, check_key, check_prefix, is_component
from tasks.store.machine_lock import machine_lock
from tasks.store.protocol import (
    Body,
    Checksum,
    IsData,
    IsImmutable,
    ObjectInfo,
    nothing_is_data,
    nothing_is_immutable,
)
from tasks.store.s3.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from tasks.store.s3.error_responses import deleted_key_error
from tasks.store.s3.object_locks import ObjectLocks
from tasks.store.s3.requests import S3Requests
from tasks.store.s3.s3_archive import headed_archive, is_archive_hidden, listed_archive
from tasks.store.s3.settings import S3Settings

_DELETES_PER_REQUEST = 1000
_LATE_WRITE_S = 30.0
_LATE_WRITE_PAUSE_S = 0.5
_WITH_RESTORE_STATUS = {"OptionalObjectAttributes": ["RestoreStatus"]}
"""Asks for the state of archived objects in a listing. Stores that do not know it ignore it."""


class S3Store(BucketStore):
    """The objects under a prefix of a bucket.

    `ObjectInfo.modified_ms` is rounded down to seconds; after a write it is the time of the response. Only writes and
    `head` return a checksum.
    """

    _settings: S3Settings
    _requests: S3Requests

    def __init__(
        self,
        settings: S3Settings,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        is_immutable: IsImmutable = nothing_is_immutable,
        is_data: IsData = nothing_is_data,
    ) -> None:
        """Sends no request to S3, so a missing bucket is found only by the first request. Without `access_key` in the
        settings, boto3 obtains the credentials here, which can need requests to the machine's metadata service.

        Raises `ConfigError` if no request can be made with the settings, and `AccessError` if the credentials are
        incomplete or cannot be obtained (see `open_client`).
        """
        self._settings = settings
        self._prefix = settings.root
        self._requests = S3Requests(settings, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s)
        self._locks = ObjectLocks(self._requests)
        self._is_immutable = is_immutable
        self._is_data = is_data
        self._is_single_writer = settings.is_single_writer

    @property
    def is_single_writer(self) -> bool:
        return self._is_single_writer

    def write_alone(self) -> None:
        self._is_single_writer = True

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        lock = self._locks.headers() if self._is_immutable(key) else {}
        with (
            self._resolving_conflicts(key, None, ObjectExistsError),
            self._condition(key, None, ObjectExistsError) as condition,
        ):
            info = self._put(key, body, bytes.fromhex(sha256), condition_error=ObjectExistsError, **condition, **lock)
        if lock:
            self._locks.check_first(key, self._prefix + key)
        return info

    def put(self, key: str, body: Body) -> ObjectInfo:
        return self._put(key, body, _digest(body))

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        with (
            self._resolving_conflicts(key, expected, ObjectChangedError),
            self._condition(key, expected, ObjectChangedError) as condition,
        ):
            return self._put(key, body, _digest(body), condition_error=ObjectChangedError, **condition)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with self._requests.request("GetObject", key) as request:
            response = self._requests.client.get_object(**self._object(key))
            self._requests.check_is_of_s3(response, ("ETag", "LastModified"), request)
            data: bytes = response["Body"].read()
        return data, _info(key, len(data), response["LastModified"], response)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length == 0:  # HTTP has no empty ranges
            return self._empty_range(key, start)
        with self._requests.request("GetObject", key) as request:
            response = self._requests.client.get_object(
                **self._object(key), Range=f"bytes={start}-{start + length - 1}"
            )
            data: bytes = response["Body"].read()
        if not str(response.get("ContentRange", "")).startswith(f"bytes {start}-"):
            raise StoreError(f"{request.target}: the store returned other bytes than the requested range", key=key)
        if len(data) != length:
            raise cut_error(key, start + length)
        return data

    def head(self, key: str) -> ObjectInfo:
        with self._requests.request("HeadObject", key) as request:
            response = self._requests.client.head_object(**self._object(key), ChecksumMode="ENABLED")
            self._requests.check_is_of_s3(response, ("ETag", "LastModified"), request)
        info = _info(key, response["ContentLength"], response["LastModified"], response)
        return replace(info, archive=headed_archive(response))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See the protocol. Skips objects whose names are not keys; other programs wrote them.

        Raises `UnsupportedError` if the bucket does not list its objects in order (directory buckets). There, a listing
        that continues after its last key would miss objects.
        """
        last = ""
        for item in self._listed("Contents", self._prefix + check_prefix(prefix), **_WITH_RESTORE_STATUS):
            key = item["Key"][len(self._prefix) :]
            if not all(map(is_component, key.split("/"))):
                continue
            if key <= last:
                raise UnsupportedError(
                    f"{self.location} does not list its objects in order: use another kind of bucket."
                )
            info = _info(key, item["Size"], item["LastModified"], item)
            yield replace(info, archive=listed_archive(item), is_archive_hidden=is_archive_hidden(item))
            last = key

    def list_folders(self, folder: str) -> tuple[str, ...]:
        """See the protocol. Sends one request for every 1,000 folders. Skips folders whose names cannot be a part of a
        key; other programs made them."""
        full = self._prefix + check_folder(folder)
        found = [item["Prefix"] for item in self._listed("CommonPrefixes", full, Delimiter="/")]
        names = {prefix[len(full) :].removesuffix("/") for prefix in found}
        return tuple(sorted(name for name in names if is_component(name)))

    def check_lock(self) -> None:
        self._locks.check_bucket()

    def delete(self, keys: Iterable[str]) -> int:
        """See the protocol. Where the bucket can lock objects, the locks of immutable objects are read first, because a
        bucket with versions hides a locked object without an error, and frees nothing."""
        doomed = [check_key(key) for key in keys]
        full = {self._prefix + key: key for key in doomed}
        locked = self._locks.in_force([name for name, key in full.items() if self._is_immutable(key)])
        left = [name for name in full if name not in locked]
        denied: dict[str, str] = {}
        hidden = 0
        for first in range(0, len(left), _DELETES_PER_REQUEST):
            hidden += self._delete(left[first : first + _DELETES_PER_REQUEST], denied)
        if locked or denied:
            raise UndeletedError(
                denied={full[name]: reason for name, reason in denied.items()},
                locked={full[name]: until_ms for name, until_ms in locked.items()},
                hidden=hidden,
            )
        return hidden

    def _listed(self, member: str, full_prefix: str, **more: object) -> Iterator[dict[str, Any]]:
        """The items of `member` in all pages of a listing."""
        parameters: dict[str, object] = {"Bucket": self._settings.bucket, "Prefix": full_prefix, **more}
        is_more = True
        while is_more:
            with self._requests.request("ListObjectsV2") as request:
                page = self._requests.client.list_objects_v2(**parameters)
                self._requests.check_is_of_s3(page, ("IsTruncated",), request)
                is_more = page["IsTruncated"]
                if is_more:
                    self._requests.check_is_of_s3(page, ("NextContinuationToken",), request)
                    parameters["ContinuationToken"] = page["NextContinuationToken"]
            yield from page.get(member, ())

    def _put(
        self,
        key: str,
        body: Body,
        digest: bytes,
        *,
        condition_error: type[StoreError] | None = None,
        **headers_of_write: Any,
    ) -> ObjectInfo:
        reader = BodyReader(body)
        with self._requests.request("PutObject", key, is_write=True, condition_error=condition_error) as request:
            response = self._requests.client.put_object(
                **self._object(key),
                **self._stored_as(key),
                **headers_of_write,
                Body=reader,
                ContentLength=reader.size_bytes,
                ChecksumSHA256=b64encode(digest).decode(),
            )
            headers = response["ResponseMetadata"]["HTTPHeaders"]
            self._requests.check_is_of_s3({**response, **headers}, ("ETag", "date"), request)
        return _info(key, reader.size_bytes, parsedate_to_datetime(headers["date"]), response)

    def _delete(self, full_keys: Sequence[str], denied: dict[str, str]) -> int:
        """Delete with one request. Keys that the store refuses are added to `denied`. Returns for how many keys the
        store wrote a delete marker."""
        batch = {"Objects": [{"Key": key} for key in full_keys]}
        with self._requests.request("DeleteObjects", is_write=True) as request:
            response = self._requests.client.delete_objects(Bucket=self._settings.bucket, Delete=batch)
        failed: KafkaBackupError | None = None
        for problem in response.get("Errors", ()):
            error = deleted_key_error(problem.get("Code", ""), problem.get("Message", ""), request)
            if isinstance(error, AccessError):
                denied[problem.get("Key", "")] = str(error)
            else:
                failed = failed or error
        if failed is not None:
            raise failed
        return sum(bool(one.get("DeleteMarker")) for one in response.get("Deleted", ()))

    @contextmanager
    def _condition(self, key: str, expected: str | None, error: type[StoreError]) -> Iterator[dict[str, str]]:
        """A context for a write whose condition is that the object's version is `expected`: the parameters of the
        write. With `single_writer` there are none: the object is read here instead, the error of the condition is
        raised here, and the write has to be in the context, so that no other process of this machine writes between.
        """
        if not self.is_single_writer:
            yield {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
            return
        with nullcontext() if self._is_data(key) else machine_lock(self.location):  # no two writers share a data key
            if self._version(key) != expected:
                raise error(f"{key} in {self.location} is not in the expected state", key=key)
            try:
                yield {}
            except OutcomeUnknownError:
                self._await_late_write(key, expected)
                raise

    def _await_late_write(self, key: str, expected: str | None) -> None:
        """Wait until a write without a response has changed the object, but at most `_LATE_WRITE_S`. A store can carry
        it out after the connection was cut. Without a condition it would then overwrite what another process has
        written meanwhile. The lock is held during the wait, so no other process of this machine writes."""
        deadline = time.monotonic() + _LATE_WRITE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(StoreError):
                if self._version(key) != expected:
                    return
            time.sleep(_LATE_WRITE_PAUSE_S)

    def _stored_as(self, key: str) -> dict[str, str]:
        """The parameters for how the store keeps the object: encryption, storage class, tags."""
        settings = self._settings
        named = {
            "ServerSideEncryption": settings.sse,
            "SSEKMSKeyId": settings.sse_kms_key_id,
            "SSEKMSEncryptionContext": _encoded_context(settings.sse_kms_context),
            "StorageClass": settings.storage_class if self._is_data(key) else None,
            "Tagging": urlencode(settings.tags) or None,
        }
        return {name: value for name, value in named.items() if value is not None}

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": self._prefix + check_key(key)}


def _digest(body: Body) -> bytes:
    digest = sha256_of()
    for part in body:
        digest.update(part)
    return digest.digest()


def _encoded_context(context: Mapping[str, str]) -> str | None:
    """The encryption context as its header has it: JSON in Base64."""
    return b64encode(json.dumps(dict(context)).encode()).decode() if context else None


def _info(key: str, size_bytes: int, modified: datetime, response: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        modified_ms=int(modified.timestamp()) * 1000,
        version=response["ETag"],
        checksum=_checksum(response),
    )


def _checksum(response: dict[str, Any]) -> Checksum | None:
    """The SHA-256 of the whole object. None if the response has none, or only a checksum of the checksums of parts."""
    value = response.get("ChecksumSHA256")
    if value is None or response.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    return Checksum(kind="sha256", value=b64decode(value).hex())
