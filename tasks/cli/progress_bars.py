"""Progress on stderr: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

from tasks.engine.progress import Progress, silent
from tasks.model.partition import Partition


class ProgressBar:
    """A `Progress` that shows a bar from `start` to the end of the `with` block, if stderr is a terminal.

    Progress that is reported before `start` is not shown.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._report: Progress = silent

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, label: str, total_bytes: int) -> None:
        """Show the bar. `total_bytes` is the log bytes of everything; 0 if it is unknown. Call it once."""
        self._report = self._stack.enter_context(_bar(label, total_bytes))

    def __call__(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        self._report(partition, records=records, log_bytes=log_bytes)


@contextmanager
def _bar(label: str, total_bytes: int) -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield silent
        return
    # Imported here, because only a terminal needs it and it takes as long as the rest of a start.
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
