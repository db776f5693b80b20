"""Handles SIGINT and SIGTERM in a thread, and ends a process at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STDOUT, STDERR = 1, 2

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"


@contextmanager
def listen_for_signals(on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `on_signal` from another thread for each SIGINT and SIGTERM that arrives while the body runs.

    Python runs its signal handlers in the main thread, and only between two bytecodes. If the main thread waits in the
    C code of a library, for example for a cluster that does not answer, a handler would not run for many seconds.
    Outside the main thread this does nothing, because Python cannot install handlers there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    listener = threading.Thread(target=_listen, args=(reading, on_signal), name="signals", daemon=True)
    listener.start()
    earlier = {number: signal.signal(number, _do_nothing) for number in _SIGNALS}
    earlier_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier_fd)
        for number, handler in earlier.items():
            signal.signal(number, handler)
        os.close(writing)  # ends the listener's loop
        listener.join()
        os.close(reading)


def end_process(exit_code: int, *, stdout: str, stderr: str) -> NoReturn:
    """Print these texts and end the process at once. No `finally` block runs and no buffer is flushed, because they
    could wait, as the main thread possibly does."""
    write_if_ready(STDOUT, stdout)
    if os.isatty(STDERR):
        os.write(STDERR, _SHOW_CURSOR)  # because a progress bar can have hidden it
    write_if_ready(STDERR, stderr)
    os._exit(exit_code)


def write_if_ready(descriptor: int, text: str) -> None:
    """Write to a file descriptor. If the write would have to wait or fails, the text is dropped without an error."""
    with contextlib.suppress(OSError):
        if text and select.select([], [descriptor], [], 0)[1]:
            os.write(descriptor, text.encode())


def _listen(reading: int, on_signal: Callable[[signal.Signals], None]) -> None:
    while number := os.read(reading, 1):
        if number[0] in _SIGNALS:
            on_signal(signal.Signals(number[0]))


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Does nothing, but replaces the default action of the signal. The interpreter writes the signal's number to the
    listener's pipe."""
