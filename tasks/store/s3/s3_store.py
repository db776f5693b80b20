"""S3, and what speaks its protocol, as an object store.

An object is written with one PUT, under a condition (`If-None-Match: *`, `If-Match`) and with its SHA-256, which the
store verifies and keeps. `version` is the ETag. Nothing is repeated here: see `RetryingStore`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256 as sha256_of
from typing import Any

from tasks.model.errors import (
    DamagedError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    UnsupportedError,
)
from tasks.store.body_reader import BodyReader
from tasks.store.keys import check_key, check_prefix, is_component
from tasks.store.protocol import Body, Checksum, ObjectInfo
from tasks.store.s3.answers import Asked, item_refusal, unreadable
from tasks.store.s3.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, open_client
from tasks.store.s3.errors import translated
from tasks.store.s3.location import S3Location

_DELETES_PER_REQUEST = 1000
_TOLD = (ObjectNotFoundError, ObjectExistsError, ObjectChangedError, DamagedError)
"""Errors that only a store says."""


class S3Store:
    """The objects under a prefix of a bucket.

    Of `ObjectInfo`, `modified_ms` has whole seconds, and is the time of the answer to a write; the checksum stands in
    the answers to writes and to `head` only.
    """

    def __init__(
        self,
        location: S3Location,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Asks nothing yet, so that a missing bucket shows at the first use. Raises `ConfigError` for what cannot be
        right whatever is asked."""
        prefix = location.prefix.strip("/")
        self._prefix = f"{check_key(prefix)}/" if prefix else ""
        self._location = location
        self._client = open_client(location, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s)
        self._has_answered = False

    @property
    def location(self) -> str:
        return f"s3://{self._location.bucket}/{self._prefix}".rstrip("/")

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        return self._put(key, body, bytes.fromhex(sha256), lost=ObjectExistsError, IfNoneMatch="*")

    def put(self, key: str, body: Body) -> ObjectInfo:
        return self._put(key, body, _digest(body))

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        return self._put(key, body, _digest(body), lost=ObjectChangedError, **condition)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with self._asking("GetObject", key) as asked:
            answer = self._client.get_object(**self._object(key))
            self._check_is_of_s3(answer, ("ETag", "LastModified"), asked)
            data: bytes = answer["Body"].read()
        return data, _info(key, len(data), answer["LastModified"], answer)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length == 0:  # HTTP has no empty ranges
            return self._empty_range(key, start)
        with self._asking("GetObject", key) as asked:
            answer = self._client.get_object(**self._object(key), Range=f"bytes={start}-{start + length - 1}")
            data: bytes = answer["Body"].read()
        if not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
            raise StoreError(f"{asked.what}: the store does not answer with the range it was asked for", key=key)
        if len(data) != length:
            raise _cut(key, start + length)
        return data

    def head(self, key: str) -> ObjectInfo:
        with self._asking("HeadObject", key) as asked:
            answer = self._client.head_object(**self._object(key), ChecksumMode="ENABLED")
            self._check_is_of_s3(answer, ("ETag", "LastModified"), asked)
        return _info(key, answer["ContentLength"], answer["LastModified"], answer)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See the protocol. Objects of others, whose names are no keys, are passed over.

        Raises `UnsupportedError` for a store that keeps no order, as directory buckets do: whoever continues a listing
        after its last key would miss objects there.
        """
        last = ""
        for item in self._listed(self._prefix + check_prefix(prefix)):
            key = item["Key"][len(self._prefix) :]
            if not all(map(is_component, key.split("/"))):
                continue
            if key <= last:
                raise UnsupportedError(
                    f"{self.location} does not list its objects in order: use another kind of bucket."
                )
            yield _info(key, item["Size"], item["LastModified"], item)
            last = key

    def delete(self, keys: Iterable[str]) -> None:
        doomed = [self._prefix + check_key(key) for key in keys]
        for at in range(0, len(doomed), _DELETES_PER_REQUEST):
            self._delete(doomed[at : at + _DELETES_PER_REQUEST])

    def close(self) -> None:
        self._client.close()

    def _listed(self, full_prefix: str) -> Iterator[dict[str, Any]]:
        """What S3 says of each object, page by page."""
        question = {"Bucket": self._location.bucket, "Prefix": full_prefix}
        is_more = True
        while is_more:
            with self._asking("ListObjectsV2") as asked:
                page = self._client.list_objects_v2(**question)
                self._check_is_of_s3(page, ("IsTruncated",), asked)
                is_more = page["IsTruncated"]
                if is_more:
                    self._check_is_of_s3(page, ("NextContinuationToken",), asked)
                    question["ContinuationToken"] = page["NextContinuationToken"]
            yield from page.get("Contents", ())

    def _put(
        self, key: str, body: Body, digest: bytes, *, lost: type[StoreError] | None = None, **condition: str
    ) -> ObjectInfo:
        reader = BodyReader(body)
        with self._asking("PutObject", key, is_write=True, lost=lost) as asked:
            answer = self._client.put_object(
                **self._object(key),
                **condition,
                Body=reader,
                ContentLength=reader.size_bytes,
                ChecksumSHA256=b64encode(digest).decode(),
            )
            headers = answer["ResponseMetadata"]["HTTPHeaders"]
            self._check_is_of_s3({**answer, **headers}, ("ETag", "date"), asked)
        written = parsedate_to_datetime(headers["date"])
        return _info(key, reader.size_bytes, written, answer)

    def _delete(self, full_keys: Sequence[str]) -> None:
        doomed = {"Objects": [{"Key": key} for key in full_keys], "Quiet": True}
        with self._asking("DeleteObjects", is_write=True) as asked:
            answer = self._client.delete_objects(Bucket=self._location.bucket, Delete=doomed)
        for problem in answer.get("Errors", ()):
            error = item_refusal(problem.get("Code", ""), problem.get("Message", ""), asked)
            if error is not None:
                raise error

    def _empty_range(self, key: str, start: int) -> bytes:
        if start > self.head(key).size_bytes:
            raise _cut(key, start)
        return b""

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._location.bucket, "Key": self._prefix + check_key(key)}

    def _check_is_of_s3(self, answer: Mapping[str, Any], names: tuple[str, ...], asked: Asked) -> None:
        """Raise unless the answer has what every answer of S3 has: another program may have answered."""
        if any(name not in answer for name in names):
            raise unreadable(asked, has_answered=self._has_answered)

    @contextmanager
    def _asking(
        self, operation: str, key: str | None = None, *, is_write: bool = False, lost: type[StoreError] | None = None
    ) -> Iterator[Asked]:
        asked = Asked(location=self._location, operation=operation, key=key, is_write=is_write, lost=lost)
        try:
            with translated(asked, has_answered=self._has_answered):
                yield asked
        except _TOLD:
            self._has_answered = True
            raise
        self._has_answered = True


def _digest(body: Body) -> bytes:
    digest = sha256_of()
    for part in body:
        digest.update(part)
    return digest.digest()


def _info(key: str, size_bytes: int, modified: datetime, answer: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        modified_ms=int(modified.timestamp()) * 1000,
        version=answer["ETag"],
        checksum=_checksum(answer),
    )


def _checksum(answer: dict[str, Any]) -> Checksum | None:
    """Of the whole object: a copy made in parts by another program may have a checksum of checksums."""
    value = answer.get("ChecksumSHA256")
    if value is None or answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    return Checksum(kind="sha256", value=b64decode(value).hex())


def _cut(key: str, end: int) -> DamagedError:
    return DamagedError(f"{key} is cut: it ends before byte {end}", key=key)
