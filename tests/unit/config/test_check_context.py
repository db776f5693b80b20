"""What a check opens for each backend."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.config.check_context import check_context
from tasks.engine.checks.bucket import bucket_items
from tasks.store.azure.settings import AzureSettings
from tasks.store.gcs.settings import GcsSettings
from tasks.store.local.settings import LocalSettings
from tasks.store.memory.settings import MemorySettings
from tasks.store.registry import StorageSettings

CLUSTER: Any = None  # the rows about a bucket need no cluster


def _rows(storage: StorageSettings) -> list[tuple[str, str, bool]]:
    context = check_context(CLUSTER, storage, now_ms=lambda: 0, stop=threading.Event())
    rows = bucket_items(context.open_bucket, context.location, "set")
    return [(row.status, row.found, row.is_needed) for row in rows]


@pytest.mark.parametrize(
    ("storage", "found"),
    [
        (
            GcsSettings(bucket="b"),
            "not checked: This program does not read or write the lifecycle rules of gs://b: use",
        ),
        (
            AzureSettings(account_name="acct", container_name="cont"),
            "not checked: The lifecycle rules of az://acct/cont",
        ),
    ],
)
def test_rules_that_this_program_cannot_read_are_a_row_that_stops_nothing(storage: StorageSettings, found: str) -> None:
    [(status, said, is_needed)] = _rows(storage)
    assert ("unknown", False) == (status, is_needed)
    assert said.startswith(found)


def test_a_folder_and_a_memory_have_no_row_about_rules(tmp_path: Path) -> None:
    assert [] == _rows(LocalSettings(path=str(tmp_path)))
    assert [] == _rows(MemorySettings(path="m"))
