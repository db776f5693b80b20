"""A Prefect server of the test session, without a worker and without a Kafka.

Only tests that need it import Prefect.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import back_up, make_repository
from tests.support.made_logs import many_logs

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Flows that a test calls are runs of this server. Their task runs and events are not stored.

    Without heartbeats, which would make each run a second longer.
    """
    from tests.support.prefect_server import PrefectServer

    settings = {"PREFECT_SERVER_UI_ENABLED": "false"}
    folder = tmp_path_factory.mktemp("prefect")
    with PrefectServer(folder, settings, ["--no-services"]) as server, server.as_client():
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
    name = f"repository-{uuid4().hex[:8]}"  # the next test can have a folder of the same name, if this one is removed
    LocalRepository(path=str(tmp_path)).save(name)
    return name
