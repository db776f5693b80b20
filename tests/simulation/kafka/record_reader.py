"""The `RecordReader` of a simulated cluster. Its records come from the log's own knowledge of its transactions, and not
from the fetcher and its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.batches.record_columns import RecordColumns
from tasks.batches.records import Record
from tasks.broker.translation import Action, Permission
from tasks.model.errors import InterruptedRunError, KafkaBackupError, UnsupportedError
from tasks.model.partition import Partition
from tests.simulation.kafka.calls import Client, T
from tests.simulation.kafka.refusals import OFFSET_OUT_OF_RANGE, Refused

RECORDS_AT_ONCE = 3
"""So few that partitions of tests need several parts, which end inside batches."""


@dataclass(frozen=True, slots=True)
class SimulatedRecordReader:
    """Reads committed records for one thread."""

    client: Client

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """See `RecordReader.bounds`."""

        def found(key: Partition, attempt: int) -> tuple[int, int]:
            log = self.client.leader_of(key).log
            return log.log_start, log.last_stable_offset

        return self._one("record_reader.bounds", partition, found, "list offsets of", "Describe")

    def read(self, partition: Partition, first: int, end: int) -> Iterator[RecordColumns]:
        """See `RecordReader.read`. What was written after the call begins is not read."""

        def found(key: Partition, attempt: int) -> list[Record]:
            log = self.client.leader_of(key).log
            self.client.kafka.permissions.require(self.client.user, Permission("Read", "Topic", key.topic))
            if not log.log_start <= first <= log.end:
                raise Refused(OFFSET_OUT_OF_RANGE)
            return [record for record in log.visible_records() if first <= record.offset < end]

        if first >= end:
            return
        records = self._one("record_reader.read", partition, found, "read", "Read")
        for start in range(0, len(records), RECORDS_AT_ONCE):
            if self.client.stop.is_set():
                raise InterruptedRunError("Stopped on request.")
            yield _columns(partition, records[start : start + RECORDS_AT_ONCE])
        self.client.leader_of(partition)

    def _one(self, call: str, partition: Partition, act: Callable[[Partition, int], T], verb: str, operation: str) -> T:
        def action(key: Partition) -> Action:
            where = f"topic {key.topic}, partition {key.partition}"
            return Action(verb, where, (Permission(operation, "Topic", key.topic),))

        answer = self.client.call_each(call, [partition], act, action)[partition]
        if isinstance(answer, KafkaBackupError):
            raise answer
        return answer


def _columns(partition: Partition, records: list[Record]) -> RecordColumns:
    for record in records:
        for name, _ in record.headers:
            if not _is_utf8(name):
                raise UnsupportedError(f"{partition}: a record has a header whose name is not UTF-8.")
    return RecordColumns._make(list(column) for column in zip(*records, strict=True))


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
