"""Records that are produced while a test does something else."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.producing import OutRecord, produce


@contextmanager
def steady_load(bootstrap: str, topic: str, *, partitions: int) -> Iterator[list[int]]:
    """Produce to the partitions in turn until the end of the body. The list has one item: the number of records so far.
    Fails if a record could not be produced."""
    ended, sent, failures = threading.Event(), [0], list[Exception]()

    def work() -> None:
        turn = 0
        try:
            while not ended.wait(0.05):
                records = [OutRecord(b"%d" % (sent[0] + number), os.urandom(1_000)) for number in range(10)]
                produce(bootstrap, topic, records, partition=turn % partitions, records_per_batch=5)
                sent[0] += len(records)
                turn += 1
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join()
    assert [] == failures
