"""How much Python a piece of work executes: a measure of cost that does not depend on the machine or on its load."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import TraceFunction


def steps_of(work: Callable[[], object]) -> int:
    """The number of lines of Python that the work executes, comprehensions included; work inside C is not counted."""
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> TraceFunction:
        nonlocal steps
        steps += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return steps
