"""The archived objects of an S3 bucket: reads their state from responses, and asks for them (`RestoreObject`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from tasks.store.archive import RetrievalTier
from tasks.store.keys import check_key
from tasks.store.protocol import ArchiveInfo
from tasks.store.s3.requests import S3Requests
from tasks.store.s3.settings import S3Settings

ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""The storage classes whose objects cannot be read at once. Those of GLACIER_IR can."""

TIERING = "INTELLIGENT_TIERING"
"""The storage class whose objects can be in an archive, which a listing does not show. An object that is back is in the
archive no more, so a request for it must not have a number of days."""

_DONE = frozenset({"RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError"})


class S3Archive:
    """The archived objects under the prefix of the settings. Does not retry."""

    def __init__(self, settings: S3Settings) -> None:
        """Sends no request to S3. Raises what `open_client` raises."""
        self._settings = settings
        self._requests = S3Requests(settings)

    def bring_back(self, key: str, *, days: int | None, tier: RetrievalTier) -> None:
        wanted: dict[str, Any] = {"GlacierJobParameters": {"Tier": tier}}
        if days is not None:
            wanted["Days"] = days
        place = {"Bucket": self._settings.bucket, "Key": self._settings.root + check_key(key)}
        with self._requests.request("RestoreObject", key, is_write=True):
            try:
                self._requests.client.restore_object(**place, RestoreRequest=wanted)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _DONE:
                    raise

    def close(self) -> None:
        """Release the connections. May be called twice."""
        self._requests.close()


def listed_archive(item: Mapping[str, Any]) -> ArchiveInfo | None:
    """The archive of an object in a listing. Its state is unknown if the listing has no `RestoreStatus` of it: S3 has
    none for an object that nobody asked for, and other stores never have one."""
    storage_class = item.get("StorageClass")
    if storage_class not in ARCHIVES:
        return None
    status = item.get("RestoreStatus")
    if status is None:
        return ArchiveInfo(storage_class=storage_class, state="unknown")
    return _info(storage_class, bool(status.get("IsRestoreInProgress")), status.get("RestoreExpiryDate"))


def is_archive_hidden(item: Mapping[str, Any]) -> bool:
    """Whether an object in a listing can be in an archive that only HEAD shows."""
    return item.get("StorageClass") == TIERING


def headed_archive(response: Mapping[str, Any]) -> ArchiveInfo | None:
    """The archive of an object in a response to HEAD. An object of INTELLIGENT_TIERING can be in an archive too."""
    inner = response.get("ArchiveStatus")
    storage_class = f"{TIERING} {inner}" if inner else response.get("StorageClass")
    if inner is None and storage_class not in ARCHIVES:
        return None
    status = str(response.get("Restore") or "")
    found = re.search(r'expiry-date="([^"]*)"', status)
    until = parsedate_to_datetime(found[1]) if found else None
    info = _info(str(storage_class), 'ongoing-request="true"' in status, until)
    return replace(info, stays_readable=inner is not None)


def _info(storage_class: str, is_returning: bool, until: datetime | None) -> ArchiveInfo:
    if is_returning:
        return ArchiveInfo(storage_class=storage_class, state="returning")
    if until is None:
        return ArchiveInfo(storage_class=storage_class, state="archived")
    until_ms = int(until.timestamp()) * 1000
    return ArchiveInfo(storage_class=storage_class, state="readable", readable_until_ms=until_ms)
