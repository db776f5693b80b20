"""Gives freed memory back to the operating system, for processes that run for days."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back_freed_memory() -> None:
    """Let the C library return the memory that is not used. glibc keeps most of it, in pieces between those that are
    used, so a process that holds 60 MB can take twice as much after some thousand cycles. Takes a few milliseconds.
    Does nothing with another C library."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl and macOS have no such function, Windows no such library
        return None
    return found
