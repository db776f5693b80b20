"""The lifecycle rules of an S3 bucket: reads and writes them as bytes, and reads versioning and the default lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from tasks.model.counting import counted
from tasks.model.errors import RefusedError, StoreError
from tasks.store.bucket_rules import BucketRule, BucketState
from tasks.store.s3.lifecycle_xml import parse_rules, with_rules
from tasks.store.s3.requests import S3Requests
from tasks.store.s3.settings import S3Settings

_DOCUMENT = "RawDocument"
_SIZES = "TransitionDefaultMinimumObjectSize"
"""The smallest object that transitions move, for all rules of the bucket. A write without it sets the default."""

_NO_LOCK = frozenset({"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "NotImplemented"})


class S3BucketRules:
    """The rules of the settings' bucket. For one thread at a time. Does not retry."""

    def __init__(self, settings: S3Settings) -> None:
        """Sends no request to S3. Raises what `open_client` raises."""
        self._settings = settings
        self._requests = S3Requests(settings)

    @property
    def root(self) -> str:
        return self._settings.root

    def read(self) -> BucketState:
        document, attributes = self._read_document()
        return BucketState(
            rules=parse_rules(document),
            has_versions=self._has_versions(),
            default_lock=self._default_lock(),
            document=document,
            attributes=attributes,
        )

    def replace(self, before: BucketState, rules: Sequence[BucketRule]) -> None:
        if self._read_document() != (before.document, before.attributes):
            raise RefusedError(
                f"Another program changed the lifecycle rules of {self._settings.bucket_location} meanwhile. Nothing "
                "was changed. Run the command again."
            )
        if not rules:
            with self._requests.request("DeleteBucketLifecycle", is_write=True):
                self._requests.client.delete_bucket_lifecycle(Bucket=self._settings.bucket)
            return
        with (
            self._requests.request("PutBucketLifecycleConfiguration", is_write=True),
            _sent_as(self._requests.client, with_rules(before.document, rules)),
        ):
            self._requests.client.put_bucket_lifecycle_configuration(
                Bucket=self._settings.bucket, LifecycleConfiguration={"Rules": []}, **dict(before.attributes)
            )

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self._requests.close()

    def _read_document(self) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        """(the configuration as bytes, empty if there is none; the settings that a write has to repeat)."""
        with self._requests.request("GetBucketLifecycleConfiguration") as request, _kept(self._requests.client):
            try:
                found = self._requests.client.get_bucket_lifecycle_configuration(Bucket=self._settings.bucket)
            except ClientError as error:
                if _code(error) == "NoSuchLifecycleConfiguration":
                    return b"", ()
                raise
            self._requests.check_is_of_s3(found, (_DOCUMENT,), request)
        return found[_DOCUMENT], ((_SIZES, found[_SIZES]),) if _SIZES in found else ()

    def _has_versions(self) -> bool:
        """Whether older versions remain. Also true if versioning was suspended, because older versions stay then."""
        with self._requests.request("GetBucketVersioning"):
            found = self._requests.client.get_bucket_versioning(Bucket=self._settings.bucket)
        return "Status" in found

    def _default_lock(self) -> str | None:
        with self._requests.request("GetObjectLockConfiguration"):
            try:
                found = self._requests.client.get_object_lock_configuration(Bucket=self._settings.bucket)
            except ClientError as error:
                if _code(error) in _NO_LOCK:
                    return None
                raise
        return _lock_text(found.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention"))


def _lock_text(retention: Mapping[str, Any] | None) -> str | None:
    if not retention:
        return None
    unit = "day" if "Days" in retention else "year"
    amount = counted(int(retention.get("Days") or retention.get("Years") or 0), unit)
    return f"{retention.get('Mode')} for {amount}"


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _kept(client: Any) -> Iterator[None]:
    """While the body runs, responses about rules contain their bytes as `RawDocument`, because boto3's parsed rules
    lack the elements that it does not know."""

    def keep(response_dict: Mapping[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
        if response_dict["status_code"] == 200:
            customized_response_dict[_DOCUMENT] = bytes(response_dict["body"])

    event = "before-parse.s3.GetBucketLifecycleConfiguration"
    client.meta.events.register(event, keep)
    try:
        yield
    finally:
        client.meta.events.unregister(event, keep)


@contextmanager
def _sent_as(client: Any, document: bytes) -> Iterator[None]:
    """While the body runs, writes of rules send this document. boto3 signs it and adds its checksum afterwards. Raises
    `StoreError` if a write was not changed to it."""
    sent: list[bytes] = []

    def send(params: dict[str, Any], **_: object) -> None:
        params["body"] = document
        sent.append(document)

    event = "before-call.s3.PutBucketLifecycleConfiguration"
    client.meta.events.register_last(event, send)  # because another handler replaces line breaks in the document
    try:
        yield
        if not sent:
            raise StoreError("This version of boto3 does not send the lifecycle rules that it was given.")
    finally:
        client.meta.events.unregister(event, send)
