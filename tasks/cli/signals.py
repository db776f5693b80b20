"""SIGINT and SIGTERM, heard by a thread of their own, and the end of a process that shall not wait for anything."""

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

_HEARD = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"


@contextmanager
def listen_for_signals(on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `on_signal` for each SIGINT and SIGTERM while the body runs, from a side thread.

    Python's own handlers run in the main thread, and only when that is not waiting in a library's C code, as it does
    for many seconds when a cluster does not answer. Outside the main thread nothing is heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    listener = threading.Thread(target=_listen, args=(reading, on_signal), name="signals", daemon=True)
    listener.start()
    earlier = {number: signal.signal(number, _left_to_the_listener) for number in _HEARD}
    earlier_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier_fd)
        for number, handler in earlier.items():
            signal.signal(number, handler)
        os.close(writing)  # the listener reads the end
        listener.join()
        os.close(reading)


def end_at_once(exit_code: int, *, stdout: str, stderr: str) -> NoReturn:
    """End the process with these last words. Nothing is unwound or flushed: what hangs would hang that too."""
    tell(STDOUT, stdout)
    if os.isatty(STDERR):
        os.write(STDERR, _SHOW_CURSOR)  # a progress bar may have hidden it
    tell(STDERR, stderr)
    os._exit(exit_code)


def tell(descriptor: int, text: str) -> None:
    """Write to a descriptor, unless that would have to wait for its reader; then say nothing."""
    with contextlib.suppress(OSError):
        if text and select.select([], [descriptor], [], 0)[1]:
            os.write(descriptor, text.encode())


def _listen(reading: int, on_signal: Callable[[signal.Signals], None]) -> None:
    while number := os.read(reading, 1):
        if number[0] in _HEARD:
            on_signal(signal.Signals(number[0]))


def _left_to_the_listener(_number: int, _frame: FrameType | None) -> None:
    """Replaces the default actions; the interpreter has told the listener by then."""
