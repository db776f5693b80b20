"""Finds processes by a mark in the environment they were started with, whoever their parent is by now, and ends them.

A worker's flow runs are in process groups of their own and outlive it, so neither parents nor groups lead to them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

END_TIMEOUT_S = 30.0


def marked(mark: str) -> list[int]:
    """The ids of all other running processes whose environment has `mark` (`NAME=value`); Linux only."""
    wanted = mark.encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _environment(pid)]


def end_marked(mark: str) -> None:
    """SIGKILL every marked process, also those that are started meanwhile, and return when none is left."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while pids := marked(mark):
        for pid in pids:
            _kill(pid)
        if time.monotonic() > deadline:
            raise TimeoutError(f"still running after SIGKILL: {pids}")
        time.sleep(0.02)  # another's child: there is nothing to wait on


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _environment(pid: int) -> list[bytes]:
    """Empty for a process that is gone, is a zombie, or is another user's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
