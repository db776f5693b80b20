"""Waits until the logs of target partitions stand still, because requests of a writer that died can still arrive."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.ports import LogReader, LogWriter
from tasks.engine.run_context import RunContext
from tasks.model.errors import InterruptedRunError, RefusedError
from tasks.model.partition import Partition

STILL_MS = 2_000
"""How long the ends must not change. Requests of a killed client arrived up to 92 ms after its end."""

_POLL_MS = 500
_LONGEST_MS = 60_000


def log_ends(log: LogReader | LogWriter, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The end of each log. Raises the first error if one of them has none."""
    answers = log.list_offsets(partitions, "latest")
    for failure in answers.failures.values():
        raise failure
    return answers.offsets


def still_ends(
    context: RunContext, log: LogReader | LogWriter, partitions: Sequence[Partition]
) -> dict[Partition, int]:
    """The end of each log, when none of them has changed for `STILL_MS` on the clock of the context.

    Raises `RefusedError` if they still change after a minute, because then another producer writes to a topic, the
    errors of `log_ends`, and `InterruptedRunError` if `stop` is set.
    """
    began = since = context.clock()
    ends = log_ends(log, partitions)
    while context.clock() - since < STILL_MS / 1000:
        if context.stop.wait(_POLL_MS / 1000):
            raise InterruptedRunError("Stopped while waiting until the logs of the target topics stand still.")
        now = log_ends(log, partitions)
        if now != ends:
            moving = next(part for part in partitions if now[part] != ends[part])
            if context.clock() - began > _LONGEST_MS / 1000:
                raise RefusedError(
                    f"{moving}: its log still grows, so another producer writes to the topic. Stop that producer, and "
                    "run the same restore again."
                )
            ends, since = now, context.clock()
    return ends
