"""A Prefect of the test session, without a worker and without a Kafka. Only tests that ask for it import Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import back_up, make_repository
from tests.support.made_logs import many_logs

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[None]:
    """Prefect's own harness: a server with a database of its own. Heartbeats would make each run a second longer."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture
def client(prefect_api: None) -> Iterator[SyncPrefectClient]:
    """A client of that server."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def repository_name(prefect_api: None, tmp_path: Path) -> str:
    """A LocalRepository block of a folder with one point of the set `demo`, made without a Kafka."""
    from blocks import LocalRepository

    repository = make_repository(LocalStore(tmp_path, create=True))
    back_up(repository, many_logs())
    name = tmp_path.name.lower().replace("_", "-")
    LocalRepository(path=str(tmp_path)).save(name)
    return name
