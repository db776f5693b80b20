"""A bucket of Google Cloud Storage as an object store.

Each write is one request with the object's CRC-32C, which the store verifies and keeps. `put_if_absent` and
`compare_and_swap` add a condition on the generation, which is `version`; 0 means that there is no object. `put` has no
condition. This store does not retry: see `RetryingStore`.
"""

from __future__ import annotations

import contextlib
import threading
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from google.api_core.exceptions import Forbidden, from_http_response

from tasks.model.errors import (
    AccessError,
    DamagedError,
    Deleted,
    KafkaBackupError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    UndeletedError,
    UnsupportedError,
)
from tasks.store.bucket_store import BucketStore, cut_error
from tasks.store.gcs.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from tasks.store.gcs.error_responses import Request, is_retained
from tasks.store.gcs.requests import GcsRequests
from tasks.store.gcs.settings import GcsSettings
from tasks.store.gcs.translation import error_response
from tasks.store.gcs.upload import UploadBody
from tasks.store.keys import check_folder, check_key, check_prefix, is_component
from tasks.store.protocol import Body, Checksum, IsImmutable, ObjectInfo, nothing_is_immutable

_PROPERTIES = "name,size,generation,timeCreated,crc32c"
_PAGE = f"kind,nextPageToken,prefixes,items({_PROPERTIES})"
_PAGE_OBJECTS = 1000
_ABSENT = "0"
"""The generation of an object that does not exist, in conditions."""

_DELETE_THREADS = 16
"""How many objects are deleted at the same time, because each is a request of its own."""


class GcsStore(BucketStore):
    """The objects under a prefix of a bucket.

    `ObjectInfo.modified_ms` is the time at which the generation was created; `get` rounds it down to seconds. Every
    method returns a checksum.
    """

    _settings: GcsSettings
    _requests: GcsRequests

    def __init__(
        self,
        settings: GcsSettings,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        is_immutable: IsImmutable = nothing_is_immutable,
    ) -> None:
        """Sends no request to the store, so a missing bucket is found only by the first request. Without a key in the
        settings, Google's library looks for credentials here, which can need requests to the machine's metadata
        service. `is_immutable` is not used, because this backend locks nothing.

        Raises what `open_client` raises.
        """
        self._settings = settings
        self._prefix = settings.root
        self._requests = GcsRequests(settings, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s)
        self._lock = threading.Lock()
        self._keeps_versions: bool | None = None
        self._is_bucket_known = False

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        """See the protocol. The store cannot verify `sha256`; it verifies the CRC-32C of the body."""
        with self._resolving_conflicts(key, None, ObjectExistsError):
            return self._put(key, body, condition_error=ObjectExistsError, generation=_ABSENT)

    def put(self, key: str, body: Body) -> ObjectInfo:
        return self._put(key, body)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        with self._resolving_conflicts(key, expected, ObjectChangedError):
            return self._put(key, body, condition_error=ObjectChangedError, generation=expected or _ABSENT)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with self._reading(key) as request:
            response = self._download(key)
            data: bytes = response.content
            headers = response.headers
            self._requests.check_is_of_gcs(headers, ("x-goog-generation", "x-goog-hash", "Last-Modified"), request)
        return data, ObjectInfo(
            key=key,
            size_bytes=len(data),
            modified_ms=int(parsedate_to_datetime(headers["Last-Modified"]).timestamp()) * 1000,
            version=headers["x-goog-generation"],
            checksum=_checksum(_crc32c_of(headers["x-goog-hash"])),
        )

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length == 0:  # HTTP has no empty ranges
            return self._empty_range(key, start)
        with self._reading(key) as request:
            response = self._download(key, Range=f"bytes={start}-{start + length - 1}")
            data: bytes = response.content
        if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise StoreError(f"{request.target}: the store returned other bytes than the requested range", key=key)
        if len(data) != length:
            raise cut_error(key, start + length)
        return data

    def head(self, key: str) -> ObjectInfo:
        with self._reading(key) as request:
            blob = self._blob(key)
            blob.reload(projection="noAcl", timeout=self._requests.timeout, retry=None)
            return self._info(key, blob._properties, request)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See the protocol. Skips objects whose names are not keys; other programs wrote them.

        Raises `UnsupportedError` if the bucket does not list its objects in order. There, a listing that continues
        after its last key would miss objects.
        """
        last = ""
        for request, page in self._pages(self._prefix + check_prefix(prefix)):
            for item in page.get("items", ()):
                self._requests.check_is_of_gcs(item, ("name",), request)
                key = item["name"][len(self._prefix) :]
                if not all(map(is_component, key.split("/"))):
                    continue
                if key <= last:
                    raise UnsupportedError(
                        f"{self.location} does not list its objects in order: use another kind of bucket."
                    )
                yield self._info(key, item, request)
                last = key

    def list_folders(self, folder: str) -> tuple[str, ...]:
        """See the protocol. Skips folders whose names cannot be a part of a key; other programs made them."""
        full = self._prefix + check_folder(folder)
        found = [prefix for _, page in self._pages(full, delimiter="/") for prefix in page.get("prefixes", ())]
        names = {prefix[len(full) :].removesuffix("/") for prefix in found}
        return tuple(sorted(name for name in names if is_component(name)))

    def check_lock(self) -> None:
        """Nothing: the settings of this backend do not ask for a lock."""

    def delete(self, keys: Iterable[str]) -> int:
        """See the protocol. Sends a request for each object, several at the same time, and one for the bucket, once. An
        object that a retention policy or a hold protects counts as locked. Without the right to read the bucket, no
        object counts as hidden."""
        doomed = [check_key(key) for key in keys]
        if not doomed:
            return 0
        keeps_versions = self._bucket_keeps_versions()
        with ThreadPoolExecutor(min(_DELETE_THREADS, len(doomed)), thread_name_prefix="gcs-deletes") as pool:
            results = dict(zip(doomed, pool.map(self._deleted, doomed), strict=True))
        errors = {key: result for key, result in results.items() if isinstance(result, KafkaBackupError)}
        hidden = list(results.values()).count("deleted") if keeps_versions else 0
        for error in errors.values():
            if isinstance(error, StoreError):
                gone = frozenset(key for key, result in results.items() if result in ("deleted", "missing"))
                error.deleted = Deleted(keys=gone, hidden=hidden)
            if not isinstance(error, AccessError):
                raise error
        retained = [key for key, result in results.items() if result == "retained"]
        if errors or retained:
            raise UndeletedError(
                denied={key: str(error) for key, error in errors.items()},
                locked={key: self._retained_until_ms(key) for key in retained},
                hidden=hidden,
            )
        return hidden

    def _put(
        self,
        key: str,
        body: Body,
        *,
        condition_error: type[StoreError] | None = None,
        generation: str | None = None,
    ) -> ObjectInfo:
        """Write the object. `generation` is the condition; None if there is none."""
        name = self._name(key)
        upload = UploadBody(body)
        parameters = {"uploadType": "multipart", "name": name, "fields": _PROPERTIES, **self._payer()}
        if generation is not None:
            parameters["ifGenerationMatch"] = generation
        client = self._requests.client
        with self._requests.request("objects.insert", key, is_write=True, condition_error=condition_error) as request:
            response = client.session.request(
                "POST",
                client.upload_url,
                params=parameters,
                data=upload,
                headers={"Content-Type": upload.content_type},
                timeout=self._requests.timeout,
            )
            if response.status_code != 200:
                raise _error_of(response)
            info = self._info(key, response.json(), request)
        if (info.size_bytes, info.checksum) != (upload.size_bytes, _checksum(upload.crc32c)):
            raise DamagedError(f"{request.target}: the store did not store the bytes that were sent", key=key)
        return info

    @contextmanager
    def _reading(self, key: str) -> Iterator[Request]:
        """A context whose body reads an object. Before an object counts as missing for the first time, the bucket is
        looked for, because the status is the same without a bucket."""
        try:
            with self._requests.request("objects.get", key) as request:
                yield request
        except ObjectNotFoundError:
            self._check_bucket()
            raise

    def _check_bucket(self) -> None:
        """Raises `NotFoundError` if there is no bucket. Sends a request only if none has shown that there is one. Does
        nothing without the right to list the objects."""
        if self._is_bucket_known:
            return
        client = self._requests.client
        with contextlib.suppress(AccessError), self._requests.request("objects.list"):
            page = client.sdk.list_blobs(
                client.bucket, max_results=1, fields="kind", timeout=self._requests.timeout, retry=None
            )
            next(page.pages, None)
        self._is_bucket_known = True

    def _download(self, key: str, **headers: str) -> Any:
        """The response with the bytes of the object."""
        client = self._requests.client
        response = client.session.request(
            "GET",
            client.download_url(self._name(key)),
            params={"alt": "media", **self._payer()},
            headers={"Accept-Encoding": "identity", **headers},
            timeout=self._requests.timeout,
        )
        if response.status_code == 404:
            # This response has no reason, so another program can have sent it. The next one has a reason.
            self._blob(key).reload(projection="noAcl", timeout=self._requests.timeout, retry=None)
        if response.status_code not in (200, 206):
            raise _error_of(response)
        return response

    def _pages(self, full_prefix: str, **more: str) -> Iterator[tuple[Request, dict[str, Any]]]:
        """Each page of a listing, with its request."""
        client = self._requests.client
        listing = client.sdk.list_blobs(
            client.bucket,
            prefix=full_prefix,
            page_size=_PAGE_OBJECTS,
            fields=_PAGE,
            timeout=self._requests.timeout,
            retry=None,
            **more,
        ).pages
        while True:
            with self._requests.request("objects.list") as request:
                page = next(listing, None)
                if page is None:
                    return
                self._requests.check_is_of_gcs(page.raw_page, ("kind",), request)
            yield request, page.raw_page

    def _deleted(self, key: str) -> Literal["deleted", "missing", "retained"] | KafkaBackupError:
        """What became of the object, or the error."""
        try:
            with self._requests.request("objects.delete", key, is_write=True):
                try:
                    self._blob(key).delete(timeout=self._requests.timeout, retry=None)
                except Forbidden as error:
                    if is_retained(error_response(error)):
                        return "retained"
                    raise
        except ObjectNotFoundError:
            return "missing"
        except KafkaBackupError as error:
            return error
        return "deleted"

    def _retained_until_ms(self, key: str) -> int | None:
        """When the retention of the object ends. None for a hold, and if that cannot be read."""
        try:
            with self._requests.request("objects.get", key):
                blob = self._blob(key)
                blob.reload(projection="noAcl", timeout=self._requests.timeout, retry=None)
        except (AccessError, StoreError):
            return None
        ends: list[datetime] = [
            end for end in (blob.retention_expiration_time, blob.retention.retain_until_time) if end is not None
        ]
        return max((int(end.timestamp() * 1000) for end in ends), default=None)

    def _bucket_keeps_versions(self) -> bool:
        """Whether the bucket keeps deleted objects as older versions. False without the right to read that."""
        with self._lock:
            if self._keeps_versions is None:
                self._keeps_versions = self._read_versioning()
            return self._keeps_versions

    def _read_versioning(self) -> bool:
        client = self._requests.client
        try:
            with self._requests.request("buckets.get"):
                client.bucket.reload(timeout=self._requests.timeout, retry=None)
        except AccessError:
            return False
        return bool(client.bucket.versioning_enabled)

    def _info(self, key: str, properties: Mapping[str, Any], request: Request) -> ObjectInfo:
        self._requests.check_is_of_gcs(properties, ("size", "generation", "timeCreated", "crc32c"), request)
        return ObjectInfo(
            key=key,
            size_bytes=int(properties["size"]),
            modified_ms=int(datetime.fromisoformat(properties["timeCreated"]).timestamp() * 1000),
            version=properties["generation"],
            checksum=_checksum(b64decode(properties["crc32c"])),
        )

    def _blob(self, key: str) -> Any:
        return self._requests.client.bucket.blob(self._name(key))

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _payer(self) -> dict[str, str]:
        """The parameter that names the project that pays."""
        project = self._settings.project
        return {} if project is None else {"userProject": project}


def _error_of(response: Any) -> Exception:
    """The exception of Google's library for an error response."""
    error: Exception = from_http_response(response)  # type: ignore[no-untyped-call]
    return error


def _crc32c_of(header: str) -> bytes:
    """The CRC-32C in the header `x-goog-hash`: `crc32c=yZRlqg==,md5=…`. Empty if it is not in it."""
    found = [part.strip().removeprefix("crc32c=") for part in header.split(",") if part.strip().startswith("crc32c=")]
    return b64decode(found[0]) if found else b""


def _checksum(crc32c: bytes) -> Checksum | None:
    return Checksum(kind="crc32c", value=crc32c.hex()) if crc32c else None
