"""Runs a command as a process of its own and says what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_TOUCH = "import mmap\nwith mmap.mmap(-1, 1 << 30) as memory:\n for at in range(0, 1 << 30, 4096): memory[at] = 1"


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall and CPU seconds (user and system) of one process with its children, and its peak memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], *, log: Path) -> Cost:
    """Run to the end; raises when it fails. Its output goes to `log`."""
    _warm_memory()
    return _ended(_started(command, log), log)


def at_once(commands: Sequence[Sequence[str]], *, log: Path) -> Cost:
    """Run all at the same time; the cost of the one that took longest. Raises when one fails."""
    _warm_memory()
    started = [_started(command, log) for command in commands]
    return max((_ended(one, log) for one in started), key=lambda cost: cost.wall_s)


def _started(command: Sequence[str], log: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Python's compiled modules are kept, as they are where nobody forbids it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env=environment), time.monotonic()


def _ended(started: tuple[subprocess.Popen[bytes], float], log: Path) -> Cost:
    process, since = started
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - since
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}; see {log}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _warm_memory() -> None:
    """Have the host give this machine a GiB of pages, and leave them free. A virtual machine pays for the first touch
    of a page (2.7 s per GB written here, 0.2 s after that), whichever program happens to do it."""
    subprocess.run([sys.executable, "-S", "-c", _TOUCH], check=True)


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
