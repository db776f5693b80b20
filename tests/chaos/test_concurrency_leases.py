"""What Prefect does to runs of a deployment with a concurrency limit, and why the deployments here have none.

The waits of Prefect's client are shortened: a lease is renewed every 0.6 s instead of every 225 s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import pytest
from prefect import Flow, flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, StateType
from prefect.concurrency import _leases
from prefect.deployments.runner import RunnerDeployment
from prefect.flow_engine import run_flow
from prefect.states import Pending

from tests.support.prefect_server import BRISK, PrefectServer

LEASES_IN_FILES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
WAIT_S = 60.0

released = threading.Event()
attempts: list[int] = []


@flow(name="patient")
def patient() -> str:
    """Runs until the test releases it. Short sleeps, because Prefect ends a thread at its next instruction."""
    deadline = time.monotonic() + WAIT_S
    while not released.is_set() and time.monotonic() < deadline:
        time.sleep(0.05)
    return "done"


@flow(name="retried", retries=1, retry_delay_seconds=3)
def retried() -> str:
    """Fails once, and then succeeds."""
    attempts.append(len(attempts))
    if len(attempts) == 1:
        raise RuntimeError("the first attempt fails")
    return "done"


@pytest.fixture(autouse=True)
def brisk_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_leases, "_RENEWAL_FRACTION", 0.002)
    monkeypatch.setattr(_leases, "_RENEWAL_RETRY_BASE_DELAY", 0.1)
    monkeypatch.setattr(_leases, "_RENEWAL_RETRY_MAX_DELAY", 0.2)
    released.clear()
    attempts.clear()


class Limited:
    """A run of a deployment, with a limit of one run at a time or without a limit, in a thread of this process."""

    def __init__(self, server: PrefectServer, deployed: Flow[[], str], *, has_limit: bool) -> None:
        self._server = server
        self._flow = deployed
        limit = ConcurrencyLimitConfig(limit=1) if has_limit else None
        deployment = deployed.to_deployment(f"limited-{has_limit}", concurrency_limit=limit)
        assert isinstance(deployment, RunnerDeployment)  # it is a coroutine only where an event loop runs
        deployed_id = deployment.apply(work_pool_name=None)
        assert isinstance(deployed_id, UUID)
        self.deployment = deployed_id
        with server.client() as client:
            self.run = client.create_flow_run_from_deployment(self.deployment).id
            client.set_flow_run_state(self.run, Pending())  # as a worker does: the run gets its slot and its lease
        self._thread = threading.Thread(target=self._execute, daemon=True)
        self._thread.start()

    def _execute(self) -> None:
        with suppress(BaseException), self._server.as_client(), self._server.client() as client:
            run_flow(self._flow, flow_run=client.read_flow_run(self.run))

    def end(self) -> StateType | None:
        """Wait until the run has ended; the type of its state."""
        self._thread.join(WAIT_S)
        return self.state()

    def state(self) -> StateType | None:
        with self._server.client() as client:
            return client.read_flow_run(self.run).state_type

    def await_state(self, expected: StateType) -> None:
        deadline = time.monotonic() + WAIT_S
        while self.state() != expected:
            assert time.monotonic() < deadline, self.state()
            time.sleep(0.1)

    def used_slots(self) -> int:
        """How many runs of the deployment hold a slot, as the server counts them."""
        with self._server.client() as client:
            limit = client.read_deployment(self.deployment).global_concurrency_limit
            assert limit is not None
            return limit.active_slots


@contextmanager
def _server(folder: Path, **settings: str) -> Iterator[PrefectServer]:
    with PrefectServer(folder, {**BRISK, **settings}) as server, server.as_client():
        yield server


def _restart(server: PrefectServer) -> None:
    server.kill()
    server.start()


def test_a_restarted_server_with_leases_in_memory_ends_a_run_with_a_limit_and_not_one_without(tmp_path: Path) -> None:
    with _server(tmp_path) as server:
        limited, unlimited = (Limited(server, patient, has_limit=has_limit) for has_limit in (True, False))
        limited.await_state(StateType.RUNNING)
        unlimited.await_state(StateType.RUNNING)
        _restart(server)

        assert StateType.COMPLETED != limited.end(), "Prefect keeps such runs now: the deployments may have limits"
        released.set()
        assert StateType.COMPLETED == unlimited.end()


def test_a_restarted_server_with_leases_in_files_does_not_end_a_run_with_a_limit(tmp_path: Path) -> None:
    with _server(tmp_path, **LEASES_IN_FILES) as server:
        limited = Limited(server, patient, has_limit=True)
        limited.await_state(StateType.RUNNING)
        _restart(server)
        time.sleep(3)  # a few renewals, which give no sign

        assert StateType.RUNNING == limited.state()
        released.set()
        assert StateType.COMPLETED == limited.end()


def test_a_run_that_waits_for_its_retry_keeps_its_slot_and_completes(tmp_path: Path) -> None:
    with _server(tmp_path) as server:
        limited = Limited(server, retried, has_limit=True)
        limited.await_state(StateType.SCHEDULED)

        assert 1 == limited.used_slots()
        assert StateType.COMPLETED == limited.end()
        assert [0, 1] == attempts
        assert 0 == limited.used_slots()
