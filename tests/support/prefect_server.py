"""A throwaway Prefect on 127.0.0.1: a server with its own home, port and SQLite database, and workers of it.

What they print goes to files in `folder`, whose last lines are in the error when one does not come up. The project's
own settings of Prefect (`[tool.prefect]` in pyproject.toml) are put into the environment, because a flow's process is
not started in the project's folder and would not find them.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.support.kafka import free_ports
from tests.support.processes import end_marked

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0

BRISK: Mapping[str, str] = {
    "PREFECT_WORKER_QUERY_SECONDS": "0.5",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
}
"""Shorter waits than an installation wants, for tests and the demo."""


class PrefectStartError(Exception):
    """A server or a worker did not come up; the message ends with its last lines."""


class PrefectServer:
    """A running server between `with` and its end. Everything of it, its database too, is in `folder`.

    The server and all that ran in its `environment` (workers, their flow runs) is killed at the end, and at interpreter
    exit. It may be killed and started again in between: same port, same database.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = BRISK) -> None:
        self.folder = folder.resolve()
        [self._port] = free_ports(1)
        self._settings = dict(settings)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ui_url(self) -> str:
        """What to open in a browser."""
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
    def environment(self) -> dict[str, str]:
        """For processes that are its clients: nothing of another Prefect's settings is left in it."""
        foreign = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        own = {"PREFECT_HOME": str(self.folder), "PREFECT_API_URL": self.api_url, "TMPDIR": str(self.folder / "tmp")}
        return {**foreign, **project_settings(), **self._settings, **own}

    def __enter__(self) -> Self:
        atexit.register(self.close)
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
        """Start it, or start it again after `kill`, and return when it answers."""
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._process = self.spawn("server", "start", "--host", "127.0.0.1", "--port", str(self._port), talk="server")
        for _ in self._until_ready("server", self._process):
            if self._is_healthy():
                return

    def kill(self) -> None:
        """SIGKILL the server alone, and wait until it is gone. Its workers and flow runs go on without it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Kill everything that ran in its environment. May be called again."""
        atexit.unregister(self.close)
        end_marked(f"PREFECT_HOME={self.folder}")
        self.kill()

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """Run a program of this Python (`prefect`, `python`) as a client, and return what it printed.

        Raises `AssertionError` with that when it fails.
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

    def spawn(self, *arguments: str, talk: str) -> subprocess.Popen[bytes]:
        """`prefect ARGUMENTS` beside us; what it prints goes to `{talk}.log`."""
        with open(self.folder / f"{talk}.log", "ab") as file:
            return subprocess.Popen(
                [str(PROGRAMS / "prefect"), *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C at the terminal reaches only us; we end them ourselves
            )

    def client(self) -> AbstractContextManager[SyncPrefectClient]:
        """A client of its API."""
        with temporary_settings({PREFECT_API_URL: self.api_url}):
            return get_client(sync_client=True)

    def _is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _until_ready(self, talk: str, process: subprocess.Popen[bytes]) -> Iterator[None]:
        deadline = time.monotonic() + START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            yield
            time.sleep(0.1)  # it gives no signal when it serves, except by serving
        lines = (self.folder / f"{talk}.log").read_text(errors="replace").splitlines()
        raise PrefectStartError(f"Prefect's {talk} did not start:\n" + "\n".join(lines[-20:]))


class PrefectWorker:
    """A running worker of a work pool between `with` and its end, when it and its flow runs are stopped in order."""

    def __init__(self, server: PrefectServer, pool: str, *, name: str = "worker", options: Sequence[str] = ()) -> None:
        self._server = server
        self._arguments = ("worker", "start", "--pool", pool, "--name", name, *options)
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def talk(self) -> Path:
        """The file with everything that it and its flow runs print."""
        return self._server.folder / f"{self._name}.log"

    def __enter__(self) -> Self:
        self._process = self._server.spawn(*self._arguments, talk=self._name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM)

    def end(self, sign: signal.Signals) -> None:
        """Send the signal to the worker alone and wait until it is gone; one that does not obey in time is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(sign)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def project_settings() -> dict[str, str]:
    """`[tool.prefect]` of pyproject.toml as the environment variables that say the same."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(_variables(document["tool"].get("prefect", {}), "PREFECT"))


def _variables(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{prefix}_{key.upper()}"
        if isinstance(value, Mapping):
            yield from _variables(value, name)
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)
