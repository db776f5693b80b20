"""Runs a command as a process of its own and says what it cost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_TOUCH = """
import mmap, sys
size = int(sys.argv[1]) << 30
with mmap.mmap(-1, size) as memory:
    for at in range(0, size, 4096):
        memory[at] = 1
"""

_LAUNCH = """
import os, sys, time
since = time.monotonic()
to_the_log = [(os.POSIX_SPAWN_DUP2, 2, 1)]
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=to_the_log)
print(child, flush=True)
_, status, usage = os.wait4(child, 0)
figures = time.monotonic() - since, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
print(os.waitstatus_to_exitcode(status), *figures)
"""
"""Starts the command from a process that is small: the peak memory of a process counts from before its exec, when it
was still a copy of its parent."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall and CPU seconds (user and system) of one process with its children, and its peak memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], *, log: Path, environment: Mapping[str, str] = os.environ) -> Cost:
    """Run to the end; raises when it fails. Its output goes to `log`."""
    return start(command, log=log, environment=environment).cost()


@dataclass(frozen=True, slots=True)
class Running:
    """A command that runs. `pid` is its process."""

    command: Sequence[str]
    pid: int
    launcher: subprocess.Popen[str]
    log: Path

    def end(self, number: signal.Signals) -> Cost:
        """Send the signal, and wait as `cost` does."""
        os.kill(self.pid, number)
        return self.cost()

    def kill(self) -> None:
        """End it. What it cost is not known then."""
        os.kill(self.pid, signal.SIGKILL)
        self.launcher.communicate()

    def cost(self) -> Cost:
        """Wait for the end. Raises when it fails."""
        figures, _ = self.launcher.communicate()
        code, *cost = figures.split() or ["nothing"]
        if code != "0":
            raise RuntimeError(f"{self.command!r} ended with {code}; see {self.log}")
        wall_s, cpu_s, peak_mib = map(float, cost)
        return Cost(wall_s, cpu_s, peak_mib)


def start(command: Sequence[str], *, log: Path, environment: Mapping[str, str] = os.environ) -> Running:
    """Start the command. Its output goes to `log`."""
    warm_memory()
    return _started(command, log, environment)


def at_once(commands: Sequence[Sequence[str]], *, log: Path) -> Cost:
    """Run all at the same time; the cost of the one that took longest. Raises when one fails."""
    warm_memory()
    started = [_started(command, log, os.environ) for command in commands]
    return max((one.cost() for one in started), key=lambda cost: cost.wall_s)


def _started(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Running:
    """Python keeps its compiled modules, as it does by default."""
    usual = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    launch = [sys.executable, "-S", "-c", _LAUNCH, *command]
    with log.open("ab") as out:
        launcher = subprocess.Popen(launch, stdout=subprocess.PIPE, stderr=out, env=usual, text=True)
    assert launcher.stdout is not None
    return Running(command, int(launcher.stdout.readline()), launcher, log)


def warm_memory(gib: int = 1) -> None:
    """Have the host give this machine so many GiB of pages, and leave them free. A virtual machine pays for the first
    touch of a page (2.7 s per GB written here, 0.2 s after that), whichever program happens to do it."""
    subprocess.run([sys.executable, "-S", "-c", _TOUCH, str(gib)], check=True)


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


def difference(ours: Sequence[Cost], theirs: Sequence[Cost], figure: str) -> float:
    """The median of the pairs' differences of one figure."""
    return float(
        median(getattr(mine, figure) - getattr(other, figure) for mine, other in zip(ours, theirs, strict=True))
    )


def peak(costs: Sequence[Cost]) -> float:
    """The largest peak memory, in MiB."""
    return max(cost.peak_mib for cost in costs)
