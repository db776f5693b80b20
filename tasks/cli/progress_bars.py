"""Progress on stderr: a bar on a terminal, otherwise a line every 10 seconds. Both show the rate and the time left."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

from tasks.cli.session import Session
from tasks.engine.progress import Progress, silent
from tasks.model.counting import counted
from tasks.model.partition import Partition
from tasks.reports.figures import duration_text, size_text

LINE_EVERY_S = 10.0
"""The shortest time between two lines, so that a log of stderr gets at most 8,640 lines a day."""


class ProgressBar:
    """A `Progress` that is shown from `start` to the end of the `with` block. With `--quiet` nothing is shown.

    Progress that is reported before `start` is not shown. The environment variable `NO_COLOR` removes the colours, and
    with `TERM=dumb` lines are printed instead of a bar.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stack = ExitStack()
        self._report: Progress = silent

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, label: str, total_bytes: int) -> None:
        """Begin to show the progress. `total_bytes` are the log bytes of the whole job; 0 if they are unknown. Call it
        once."""
        if self._session.is_quiet:
            return
        if _is_terminal():
            self._report = self._stack.enter_context(_bar(label, total_bytes))
        else:
            self._report = ProgressLines(label, total_bytes, self._session.log)

    def __call__(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        self._report(partition, records=records, log_bytes=log_bytes)


class ProgressLines:
    """A `Progress` that writes a line if `LINE_EVERY_S` seconds have passed since the last one. The first line is also
    written after this time, so a short run has none. Thread-safe. `clock` returns seconds and never goes back."""

    def __init__(
        self,
        label: str,
        total_bytes: int,
        write: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._total_bytes, self._write, self._clock = label, total_bytes, write, clock
        self._lock = threading.Lock()
        self._began = self._written = clock()
        self._records = self._log_bytes = 0

    def __call__(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        with self._lock:
            self._records += records
            self._log_bytes += log_bytes
            now = self._clock()
            if now - self._written < LINE_EVERY_S:
                return
            self._written = now
            seconds = now - self._began
            text = progress_text(self._label, self._log_bytes, self._total_bytes, self._records, seconds)
        self._write(text)


def progress_text(label: str, log_bytes: int, total_bytes: int, records: int, seconds: float) -> str:
    """`backing up: 1.0 GiB of 4.0 GiB (25 %), 12,345 records, 102.4 MiB/s, about 30.0 s left`. Pure.

    `total_bytes` is an estimate, 0 if it is unknown. If `log_bytes` reaches it, the total, the percentage and the time
    left are not in the text.
    """
    rate = log_bytes / seconds if seconds > 0 else 0.0
    is_estimated = 0 < log_bytes < total_bytes
    of_total = f" of {size_text(total_bytes)} ({100 * log_bytes // total_bytes} %)" if is_estimated else ""
    left = f", about {duration_text((total_bytes - log_bytes) / rate)} left" if is_estimated and rate > 0 else ""
    return f"{label}: {size_text(log_bytes)}{of_total}, {counted(records, 'record')}, {size_text(rate)}/s{left}"


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def _bar(label: str, total_bytes: int) -> Iterator[Progress]:
    # Imported here, because only a terminal needs it, and the import takes as long as the rest of a start.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TextColumn("{task.fields[records]:,} records"),
        TimeRemainingColumn(),
    )
    lock = threading.Lock()
    done = {"records": 0}
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total_bytes or None, records=0)

        def advance(partition: Partition, *, records: int, log_bytes: int) -> None:
            with lock:
                done["records"] += records
                bar.update(task, advance=log_bytes, records=done["records"])

        yield advance
