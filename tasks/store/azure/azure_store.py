"""A container of Azure Blob Storage as an object store.

Each write is one Put Blob with the MD5 of its bytes, which Azure verifies and keeps. `put_if_absent` and
`compare_and_swap` add a condition (`If-None-Match: *`, `If-Match`); `put` has none. `version` is the ETag. This store
does not retry: see `RetryingStore`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.core.paging import ItemPaged
from azure.core.pipeline import PipelineResponse
from azure.storage.blob import BlobClient, BlobPrefix, BlobProperties, ContentSettings, StorageStreamDownloader

from tasks.model.errors import (
    AccessError,
    Deleted,
    KafkaBackupError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    UndeletedError,
    UnsupportedError,
)
from tasks.store.azure.azure_archive import archive_info
from tasks.store.azure.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from tasks.store.azure.error_responses import DIRECTORY, IMMUTABLE, LEASED, SNAPSHOTS
from tasks.store.azure.requests import AzureRequests
from tasks.store.azure.settings import AzureSettings
from tasks.store.azure.translation import error_response
from tasks.store.azure.transport import sends
from tasks.store.body_reader import BodyReader
from tasks.store.bucket_store import BucketStore, cut_error
from tasks.store.keys import check_folder, check_key, check_prefix, is_component
from tasks.store.protocol import ArchiveInfo, Body, Checksum, ObjectInfo

_DELETING_THREADS = 16
_PAGE_BLOBS = 5000
_REASONS_TO_KEEP = {
    SNAPSHOTS: "has snapshots, and they would be deleted with it: delete them first",
    **dict.fromkeys(LEASED, "has a lease of another program: end the lease"),
}
"""The codes for blobs that Azure does not delete, and the reason for each in messages."""

_Failures = list[KafkaBackupError]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deletion:
    """What became of a blob. Without any of these it is gone. `is_hidden`: Azure keeps it as an older version or as a
    deleted blob. `denied` is why it was not deleted."""

    is_hidden: bool = False
    is_locked: bool = False
    locked_until_ms: int | None = None
    denied: str = ""


class AzureStore(BucketStore):
    """The blobs under a prefix of a container.

    `ObjectInfo.modified_ms` is rounded down to seconds. Only writes and `head` return a checksum.
    """

    _settings: AzureSettings
    _requests: AzureRequests

    def __init__(
        self,
        settings: AzureSettings,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Sends no request to Azure, so a missing container and a refused identity are found only by the first request.
        Raises `ConfigError` if no request can be made with the settings (see `open_client`)."""
        self._settings = settings
        self._prefix = settings.root
        self._requests = AzureRequests(settings, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s)

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        """See the protocol. `sha256` is not used: Azure verifies an MD5."""
        with self._resolving_conflicts(key, None, ObjectExistsError):
            return self._put(key, body, ObjectExistsError, match_condition=MatchConditions.IfMissing)

    def put(self, key: str, body: Body) -> ObjectInfo:
        return self._put(key, body)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        condition: dict[str, Any] = (
            {"match_condition": MatchConditions.IfMissing}
            if expected is None
            else {"match_condition": MatchConditions.IfNotModified, "etag": expected}
        )
        with self._resolving_conflicts(key, expected, ObjectChangedError):
            return self._put(key, body, ObjectChangedError, **condition)

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        with self._requests.request("GetBlob", key):
            download = self._blob(key).download_blob(**self._requests.timeouts)
            properties = download.properties
            data = _whole(download)
        self._check_is_no_directory(key, properties)
        return data, _info(key, len(data), properties.last_modified, properties.etag)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length == 0:  # HTTP has no empty ranges
            return self._empty_range(key, start)
        ranges: list[str] = []

        def note(response: PipelineResponse[Any, Any]) -> None:
            ranges.append(response.http_response.headers.get("Content-Range", ""))

        with self._requests.request("GetBlob", key) as request:
            data = _whole(
                self._blob(key).download_blob(
                    offset=start, length=length, raw_response_hook=note, **self._requests.timeouts
                )
            )
        if not all(one.startswith(f"bytes {start}-") for one in ranges):
            raise StoreError(f"{request.target}: the store returned other bytes than the requested range", key=key)
        if len(data) != length:
            raise cut_error(key, start + length)
        return data

    def head(self, key: str) -> ObjectInfo:
        properties = self._properties(key)
        return _info(
            key,
            properties.size,
            properties.last_modified,
            properties.etag,
            content_md5=properties.content_settings.content_md5,
            archive=archive_info(properties),
        )

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See the protocol. Skips blobs whose names are not keys, because other programs wrote them, and directories of
        an account with a hierarchical namespace.

        Raises `UnsupportedError` if the store does not list its blobs in order, because a listing that continues after
        its last key would miss blobs.
        """
        last = ""
        for item in self._listed(self._prefix + check_prefix(prefix)):
            key = item.name[len(self._prefix) :]
            if _is_directory(item.metadata) or not all(map(is_component, key.split("/"))):
                continue
            if key <= last:
                raise UnsupportedError(f"{self.location} does not list its blobs in order: use another store.")
            yield _info(key, item.size, item.last_modified, item.etag, archive=archive_info(item))
            last = key

    def list_folders(self, folder: str) -> tuple[str, ...]:
        """See the protocol. Sends one request for every 5,000 folders. Skips folders whose names cannot be a part of a
        key; other programs made them."""
        full = self._prefix + check_folder(folder)
        found = [item.name for item in self._walked(full)]
        names = {name[len(full) :].removesuffix("/") for name in found if name.endswith("/")}
        return tuple(sorted(name for name in names if is_component(name)))

    def check_lock(self) -> None:
        """See the protocol: the settings of this store ask for no lock."""

    def delete(self, keys: Iterable[str]) -> int:
        """See the protocol. Each key is a request of its own, because a batch needs a right for the whole container. A
        blob with snapshots is not deleted, because its snapshots would be lost with it."""
        doomed = [check_key(key) for key in keys]
        failures: _Failures = []

        def delete_one(key: str) -> _Deletion | None:
            return None if failures else self._delete_one(key, failures)

        with ThreadPoolExecutor(_DELETING_THREADS, thread_name_prefix="delete-blobs") as pool:
            results = dict(zip(doomed, pool.map(delete_one, doomed), strict=True))
        found = {key: result for key, result in results.items() if result is not None}
        hidden = sum(one.is_hidden for one in found.values())
        if failures:
            gone = frozenset(key for key, one in found.items() if not one.is_locked and not one.denied)
            raise _failure(failures, Deleted(keys=gone, hidden=hidden))
        locked = {key: one.locked_until_ms for key, one in found.items() if one.is_locked}
        denied = {key: one.denied for key, one in found.items() if one.denied}
        if locked or denied:
            raise UndeletedError(denied=denied, locked=locked, hidden=hidden)
        return hidden

    def _put(
        self, key: str, body: Body, condition_error: type[StoreError] | None = None, **condition: Any
    ) -> ObjectInfo:
        reader, digest = BodyReader(body), _md5(body)
        with self._requests.request("PutBlob", key, is_write=True, condition_error=condition_error):
            response = self._blob(key).upload_blob(
                b"",
                length=0,
                overwrite=True,
                content_settings=ContentSettings(content_md5=bytearray(digest)),
                raw_request_hook=sends(reader, b64encode(digest).decode()),
                **condition,
                **self._requests.timeouts,
            )
        return _info(
            key, reader.size_bytes, response["last_modified"], response["etag"], content_md5=response["content_md5"]
        )

    def _delete_one(self, key: str, failures: _Failures) -> _Deletion | None:
        """Delete a blob. An error that concerns all blobs is added to `failures`, and the result is None."""
        kinds: list[str] = []

        def note(response: PipelineResponse[Any, Any]) -> None:
            kinds.append(response.http_response.headers.get("x-ms-delete-type-permanent", "true"))

        try:
            with self._requests.request("DeleteBlob", key, is_write=True):
                try:
                    self._blob(key).delete_blob(raw_response_hook=note, **self._requests.timeouts)
                except HttpResponseError as error:
                    if (kept := self._kept(key, error)) is None:
                        raise
                    return kept
        except ObjectNotFoundError:
            return _Deletion()
        except AccessError as error:
            return _Deletion(denied=str(error))
        except KafkaBackupError as error:
            failures.append(error)
            return None
        return _Deletion(is_hidden=kinds[-1:] == ["false"])

    def _kept(self, key: str, error: HttpResponseError) -> _Deletion | None:
        """The result if Azure keeps this blob. None for any other error."""
        response = error_response(error)
        code = response.code if response else ""
        if code in DIRECTORY:  # then there is no blob with this name
            return _Deletion()
        if code in IMMUTABLE:
            return _Deletion(is_locked=True, locked_until_ms=self._locked_until_ms(key))
        reason = _REASONS_TO_KEEP.get(code)
        return _Deletion(denied=f"{key} in {self._settings.container_location} {reason}") if reason else None

    def _locked_until_ms(self, key: str) -> int | None:
        """When the policy of a blob ends. None if it has a legal hold, or if only the policy of its container knows."""
        try:
            properties = self._properties(key)
        except KafkaBackupError:
            return None
        until = properties.immutability_policy.expiry_time
        return None if properties.has_legal_hold or until is None else int(until.timestamp() * 1000)

    def _properties(self, key: str) -> BlobProperties:
        with self._requests.request("GetBlobProperties", key) as request:
            properties = self._blob(key).get_blob_properties(**self._requests.timeouts)
            self._requests.check_is_of_azure(properties, request)
        self._check_is_no_directory(key, properties)
        return properties

    def _check_is_no_directory(self, key: str, properties: BlobProperties) -> None:
        if _is_directory(properties.metadata):
            raise ObjectNotFoundError(f"{key} is not in {self._settings.container_location}", key=key)

    def _listed(self, full_prefix: str) -> Iterator[BlobProperties]:
        """The blobs in all pages of a listing, with the metadata that marks directories."""
        yield from self._pages(
            lambda: self._requests.client.list_blobs(
                full_prefix, include=["metadata"], results_per_page=_PAGE_BLOBS, **self._requests.timeouts
            )
        )

    def _walked(self, full_prefix: str) -> Iterator[BlobProperties | BlobPrefix]:
        """The blobs and folders directly inside a folder."""
        yield from self._pages(
            lambda: self._requests.client.walk_blobs(
                full_prefix, delimiter="/", results_per_page=_PAGE_BLOBS, **self._requests.timeouts
            )
        )

    def _pages(self, begin: Callable[[], ItemPaged[_Item]]) -> Iterator[_Item]:
        token: str | None = None
        while token != "":
            with self._requests.request("ListBlobs") as request, self._requests.pages_of_azure(request):
                pages = begin().by_page(continuation_token=token)
                items = list(next(pages))
                token = getattr(pages, "continuation_token", None) or ""
            yield from items

    def _blob(self, key: str) -> BlobClient:
        return self._requests.client.get_blob_client(self._prefix + check_key(key))


def _failure(failures: _Failures, deleted: Deleted) -> KafkaBackupError:
    """The first failure, with what the deletion has done."""
    first = failures[0]
    if isinstance(first, StoreError):
        first.deleted = deleted
    return first


def _md5(body: Body) -> bytes:
    digest = md5(usedforsecurity=False)
    for part in body:
        digest.update(part)
    return digest.digest()


def _whole(download: StorageStreamDownloader[bytes]) -> bytes:
    """The bytes of a download. Not `readall`, because that copies them."""
    return b"".join(download.chunks())


def _is_directory(metadata: Mapping[str, str] | None) -> bool:
    """Whether a blob stands for a directory of an account with a hierarchical namespace."""
    return any(name.lower() == "hdi_isfolder" and value.lower() == "true" for name, value in (metadata or {}).items())


def _info(
    key: str,
    size_bytes: int,
    modified: datetime,
    etag: str,
    *,
    content_md5: bytes | bytearray | None = None,
    archive: ArchiveInfo | None = None,
) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        modified_ms=int(modified.timestamp()) * 1000,
        version=f'"{etag.strip(chr(34))}"',  # listings have ETags without quotation marks
        checksum=Checksum(kind="md5", value=bytes(content_md5).hex()) if content_md5 else None,
        archive=archive,
    )
