"""The state of an archived object in the responses of S3."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.store.protocol import ArchiveInfo
from tasks.store.s3.s3_archive import headed_archive, is_archive_hidden, listed_archive

UNTIL = datetime(2026, 12, 2, tzinfo=UTC)
UNTIL_MS = int(UNTIL.timestamp()) * 1000


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({}, None),
        ({"StorageClass": "STANDARD_IA"}, None),
        ({"StorageClass": "GLACIER_IR"}, None),
        ({"StorageClass": "GLACIER"}, ("GLACIER", "archived", None)),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'}, ("GLACIER", "returning", None)),
        (
            {
                "StorageClass": "DEEP_ARCHIVE",
                "Restore": 'ongoing-request="false", expiry-date="Wed, 02 Dec 2026 00:00:00 GMT"',
            },
            ("DEEP_ARCHIVE", "readable", UNTIL_MS),
        ),
        ({"StorageClass": "INTELLIGENT_TIERING"}, None),
        (
            {"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "DEEP_ARCHIVE_ACCESS"},
            ("INTELLIGENT_TIERING DEEP_ARCHIVE_ACCESS", "archived", None),
        ),
    ],
)
def test_a_head_shows_whether_an_object_can_be_read(response: dict[str, Any], expected: Any) -> None:
    assert expected == _parts(headed_archive(response))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"StorageClass": "STANDARD"}, None),
        ({}, None),
        ({"StorageClass": "GLACIER"}, ("GLACIER", "unknown", None)),
        ({"StorageClass": "GLACIER", "RestoreStatus": {"IsRestoreInProgress": True}}, ("GLACIER", "returning", None)),
        (
            {"StorageClass": "GLACIER", "RestoreStatus": {"IsRestoreInProgress": False, "RestoreExpiryDate": UNTIL}},
            ("GLACIER", "readable", UNTIL_MS),
        ),
    ],
)
def test_a_listing_shows_it_only_for_objects_that_somebody_asked_for(item: dict[str, Any], expected: Any) -> None:
    assert expected == _parts(listed_archive(item))


def test_only_a_head_shows_the_archive_of_an_object_of_intelligent_tiering_which_stays_readable() -> None:
    item = {"StorageClass": "INTELLIGENT_TIERING"}
    assert (None, True) == (listed_archive(item), is_archive_hidden(item))
    assert not is_archive_hidden({"StorageClass": "GLACIER"})
    archived = headed_archive({**item, "ArchiveStatus": "ARCHIVE_ACCESS"})
    assert archived is not None
    assert archived.stays_readable
    plain = headed_archive({"StorageClass": "GLACIER"})
    assert plain is not None
    assert not plain.stays_readable


def _parts(info: ArchiveInfo | None) -> tuple[str, str, int | None] | None:
    return None if info is None else (info.storage_class, info.state, info.readable_until_ms)
