"""A throwaway Prefect on 127.0.0.1: a server with its own home, port and SQLite database, and workers of it.

Their output goes to files in `folder`. The last lines of such a file are in the error if the process does not start.
The project's settings of Prefect (`[tool.prefect]` in pyproject.toml) are put into the environment, because the process
of a flow run is not started in the project's folder and would not find them.

A server's first start makes its database by several hundred migrations, which is most of the start. So the database of
the first server that starts here is kept in `.bin`, and later servers of the same version start with a copy of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import prefect
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import _temporary_global_settings_context, get_settings_context
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from tests.support.kafka import free_ports
from tests.support.processes import end_marked, end_server, start_server

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
NEW_DATABASE = ROOT / ".bin" / f"prefect-{prefect.__version__}.db"
"""The database of a server that has just been started for the first time."""

START_TIMEOUT_S = 240.0
_DRAIN_TIMEOUT_S = 120.0
"""What is not sent until then is lost: Prefect gives no error, and sends it to a server that it starts itself."""

BRISK: Mapping[str, str] = {
    "PREFECT_WORKER_QUERY_SECONDS": "0.5",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
}
"""Waits of tests and the demo. They are shorter than those of an installation."""


class PrefectStartError(Exception):
    """A server did not start. The message ends with the last lines of its output."""


class PrefectServer:
    """A server that runs while a `with` block does. All its files, the database too, are in `folder`.

    `settings` are environment variables, `arguments` are further arguments of `prefect server start`.
    The server and every process with its `environment` (workers, their flow runs) are killed when the `with` block
    ends, and when this process ends, by SIGKILL too. Between, the server can be killed and started again with the same
    port and database.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = BRISK, arguments: Sequence[str] = ()) -> None:
        self.folder = folder.resolve()
        [self._port] = free_ports(1)
        self._settings = dict(settings)
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ui_url(self) -> str:
        """The address for a browser."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """The setting PREFECT_API_URL of its clients."""
        return f"{self.ui_url}/api"

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.folder / "prefect.db"

    @property
    def log(self) -> Path:
        """The file with everything that the server prints."""
        return self.folder / "server.log"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of processes that are its clients. Settings of another Prefect are removed."""
        foreign = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        own = {"PREFECT_HOME": str(self.folder), "PREFECT_API_URL": self.api_url, "TMPDIR": str(self.folder / "tmp")}
        return {**foreign, **project_settings(), **self._settings, **own}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it and return when it answers. After `kill` it is started again.

        Raises `PrefectStartError` if it ends, or if it does not answer after `START_TIMEOUT_S`.
        """
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        is_first = not self.database.exists()
        if is_first and NEW_DATABASE.exists():
            shutil.copy(NEW_DATABASE, self.database)
        where = ("--host", "127.0.0.1", "--port", str(self._port))
        self._process = self.spawn("prefect", "server", "start", *where, *self._arguments, log=self.log)
        self._await_ready(self._process)
        if is_first and not NEW_DATABASE.exists():
            _keep(self.database)

    def kill(self) -> None:
        """SIGKILL the server alone and wait until it is gone. Its workers and flow runs continue without it."""
        process, self._process = self._process, None
        end_server(process)

    def close(self) -> None:
        """Kill every process with its environment. May be called again."""
        end_marked(f"PREFECT_HOME={self.folder}")
        self.kill()

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """Run a program of this Python (`prefect`, `python`) as a client, and return its output.

        Raises `AssertionError` with the output if the program fails.
        """
        done = subprocess.run(
            [str(PROGRAMS / program), *arguments],
            cwd=ROOT,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}:\n{done.stdout}"
        return done.stdout

    def spawn(self, program: str, *arguments: str, log: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start a program of this Python (`prefect`, `python`) as a client. What it prints is appended to `log`."""
        command = [str(PROGRAMS / program), *arguments]
        return start_server(command, log=log, environment={**self.environment, **variables}, folder=ROOT)

    def client(self) -> AbstractContextManager[SyncPrefectClient]:
        """A client of its API."""
        with temporary_settings({PREFECT_API_URL: self.api_url}):
            return get_client(sync_client=True)

    @contextmanager
    def as_client(self) -> Iterator[None]:
        """While this `with` block runs, flows that this process itself calls are runs of this server.

        They send no heartbeats. Prefect keeps one sender of events and one of log lines per process. Both are drained
        before and after, because they stay with the server that they found first.
        """
        _drain()
        settings = {PREFECT_API_URL: self.api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        with temporary_settings(settings), _in_all_threads():
            try:
                yield
            finally:
                _drain()

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with httpx.Client(timeout=5, verify=False) as client:  # loading the system's authorities costs CPU time
            while not self._is_healthy(client):
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
                    raise PrefectStartError(f"Prefect's server did not start:\n{tail}")
                time.sleep(0.1)  # the only sign that it serves is that it serves

    def _is_healthy(self, client: httpx.Client) -> bool:
        try:
            return client.get(f"{self.api_url}/health").is_success
        except httpx.TransportError:
            return False


class PrefectWorker:
    """A worker of a work pool that runs while a `with` block does. SIGTERM ends it and its flow runs."""

    def __init__(self, server: PrefectServer, pool: str, *, name: str = "worker", options: Sequence[str] = ()) -> None:
        self._server = server
        self._arguments = ("prefect", "worker", "start", "--pool", pool, "--name", name, *options)
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file with everything that the worker and its flow runs print."""
        return self._server.folder / f"{self._name}.log"

    def __enter__(self) -> Self:
        self._process = self._server.spawn(*self._arguments, log=self.log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM)

    def end(self, sign: signal.Signals) -> None:
        """Send the signal to the worker alone and wait until it is gone, see `end_server`. May be called again."""
        process, self._process = self._process, None
        end_server(process, sign)


@contextmanager
def _in_all_threads() -> Iterator[None]:
    """Threads that have no settings of their own have those of the main thread, as if they were in the environment.

    Without this, a log line of such a thread starts a temporary server in this process.
    """
    if threading.current_thread() is threading.main_thread():
        with _temporary_global_settings_context(get_settings_context()):
            yield
    else:
        yield


def _drain() -> None:
    EventsWorker.drain_all(timeout=_DRAIN_TIMEOUT_S)
    APILogWorker.drain_all(timeout=_DRAIN_TIMEOUT_S)


def _keep(database: Path) -> None:
    """Copy it to `NEW_DATABASE`, renamed last, so that the copy is always complete."""
    NEW_DATABASE.parent.mkdir(exist_ok=True)
    part = NEW_DATABASE.with_name(f"{NEW_DATABASE.name}.part-{os.getpid()}")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
    os.replace(part, NEW_DATABASE)


def project_settings() -> dict[str, str]:
    """`[tool.prefect]` of pyproject.toml as environment variables."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(_variables(document["tool"].get("prefect", {}), "PREFECT"))


def _variables(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{prefix}_{key.upper()}"
        if isinstance(value, Mapping):
            yield from _variables(value, name)
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)
