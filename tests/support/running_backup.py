"""A continuous backup in a process of its own, with the points that it prints and the lines that it logs."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.command import COMMAND

LINES_S = 60
"""The longest wait for a line of a process, in seconds."""


@dataclass
class RunningBackup:
    """A continuous backup. `points` are the entries that it has printed, `log` is its stderr."""

    process: subprocess.Popen[str]
    points: list[dict[str, Any]]
    log: list[str]

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so. Fails if the process ends before."""
        deadline = time.monotonic() + LINES_S
        while not is_so():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)  # no event exists for the output of another process

    def end(self, number: signal.Signals) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LINES_S)


@contextmanager
def running_backup(
    file: Path, environment: Mapping[str, str] | None = None, *, program: Sequence[str] = (COMMAND,)
) -> Iterator[RunningBackup]:
    """Run the backup of the file by the `program`. It is killed at the end if it still runs."""
    command = [*program, "backup", "--config", str(file), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        running = RunningBackup(process, [], [])
        assert process.stdout is not None
        assert process.stderr is not None
        for stream, take in (
            (process.stdout, lambda line: running.points.append(json.loads(line)["point"])),
            (process.stderr, running.log.append),
        ):
            threading.Thread(target=_read, args=(stream, take), daemon=True).start()
        try:
            yield running
        finally:
            process.kill()


def _read(stream: Any, take: Callable[[str], object]) -> None:
    for line in stream:
        take(line)
