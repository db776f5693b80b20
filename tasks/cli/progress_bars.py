"""Progress on stderr: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tasks.engine.progress import Progress, silent
from tasks.model.partition import Partition


@contextmanager
def progress_bar(what: str, total_bytes: int) -> Iterator[Progress]:
    """A bar over `total_bytes` of log, with the records done so far; silent unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

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
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total_bytes or None, records=0)

        def advance(partition: Partition, *, records: int, log_bytes: int) -> None:
            with lock:
                done["records"] += records
                bar.update(task, advance=log_bytes, records=done["records"])

        yield advance


class LateBar:
    """A progress whose bar begins when its total is known, and ends with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._bar: Progress = silent

    def begin(self, what: str, total_bytes: int) -> None:
        """Show the bar from now on."""
        self._bar = self._stack.enter_context(progress_bar(what, total_bytes))

    def __call__(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        self._bar(partition, records=records, log_bytes=log_bytes)
