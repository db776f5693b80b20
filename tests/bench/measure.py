"""Runs a command as a process of its own and says what it cost."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


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


def side_by_side(
    ours: Callable[[], Cost], theirs: Callable[[], Cost], *, repeats: int = 3
) -> tuple[list[Cost], list[Cost]]:
    """Run the two in turns, so that a machine that gets slower or busier does so for both."""
    pairs = [(ours(), theirs()) for _ in range(repeats)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def ratio(ours: Sequence[Cost], theirs: Sequence[Cost], figure: str) -> float:
    """The median of the pairs' ratios of one figure."""
    return float(
        median(getattr(mine, figure) / getattr(other, figure) for mine, other in zip(ours, theirs, strict=True))
    )


def peak(costs: Sequence[Cost]) -> float:
    """The largest peak memory, in MiB."""
    return max(cost.peak_mib for cost in costs)


def slower(one: Cost, other: Cost) -> Cost:
    """Whichever took longer."""
    return max(one, other, key=lambda cost: cost.wall_s)
