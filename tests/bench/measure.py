"""Runs a command as a process of its own and says what it cost."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall and CPU seconds (user and system) of one process with its children, and its peak memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], *, log: Path) -> Cost:
    """Run to the end; raises when it fails. Its output goes to `log`."""
    started = time.monotonic()
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}; see {log}")
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(costs: Sequence[Cost]) -> Cost:
    """Each figure's own median; memory's maximum."""
    middle = len(costs) // 2
    return Cost(
        sorted(cost.wall_s for cost in costs)[middle],
        sorted(cost.cpu_s for cost in costs)[middle],
        max(cost.peak_mib for cost in costs),
    )
