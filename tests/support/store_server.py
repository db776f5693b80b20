"""The base of the object stores that tests start: a process on 127.0.0.1 with its data in a folder."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.kafka import free_ports
from tests.support.processes import end_server, start_server, temporary_folder

START_TIMEOUT_S = 30.0


class StoreServer(ABC):
    """A server that runs while a `with` block does. Its data is in `folder`.

    Without `folder` the data is in a temporary folder that is removed at the end. The process is killed when the `with`
    block ends, and when this process ends, by SIGKILL too.
    """

    ready_path = ""

    def __init__(self, folder: Path | None = None) -> None:
        self._is_own_folder = folder is None
        self.folder = folder.resolve() if folder is not None else temporary_folder("objects-")
        [self.port] = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL for clients."""
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _tls(self) -> ssl.SSLContext | None:
        return None

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
        """Start it and return when it answers. After `kill` it is started again with the same port and data.

        Raises `RuntimeError` with its last lines if it ends, or if it does not answer after `START_TIMEOUT_S`.
        """
        log = self.folder / "server.log"
        self._process = start_server(self._command(), log=log, environment=self._environment())
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command()[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)  # the only sign that a server serves is that it serves

    def kill(self) -> None:
        """SIGKILL it, and wait until it is gone."""
        process, self._process = self._process, None
        end_server(process)

    def close(self) -> None:
        """Kill it and remove its data. May be called again."""
        self.kill()
        if self._is_own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        """Whether it answers a request, also with an error."""
        try:
            urllib.request.urlopen(f"{self.endpoint}/{self.ready_path}", timeout=1, context=self._tls()).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True
