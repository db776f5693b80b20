"""Reads the bounds and the committed records of partitions with librdkafka, and decides when a read has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tasks.batches.record_columns import RecordColumns
from tasks.batches.records import Headers
from tasks.broker.admin.admin import Admin
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.retry import RetryDeadline
from tasks.broker.second_reader.client_errors import ClientReports, client_error
from tasks.broker.second_reader.client_settings import client_settings, consumer_settings
from tasks.broker.translation import Action, Permission
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError, TopicGoneError, UnsupportedError
from tasks.model.partition import Partition

_STOP_CHECK_S: Final = 0.2
_RECORDS_AT_ONCE: Final = 2_000
"""The most records that are taken from librdkafka at once. A call takes only records that its queue contains already,
so the size of the queue limits their bytes."""

_LONGEST_CALL_S: Final = 2.0
"""A call that does not look at `stop` takes at most so long. After a timeout it is repeated."""


class KafkaRecordReader:
    """The `RecordReader` of real brokers. Its clients connect when they are first used. Use it as a context."""

    def __init__(self, options: ConnectionOptions, stop: threading.Event) -> None:
        self._options = options
        self._stop = stop
        location = f"the cluster at {','.join(options.bootstrap_servers)}"
        self._subject = f"{location} (librdkafka)"
        self._reports = ClientReports(Action("read with librdkafka from", location))
        self._admin = Admin(options, stop=stop)
        self._consumer_client: Consumer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._consumer_client is not None:
            self._consumer_client.close()
        self._consumer_client = None
        self._admin.close()

    # ── bounds ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """See `RecordReader.bounds`."""
        self._require_topic(partition)
        place = TopicPartition(partition.topic, partition.partition)
        action = _action("list offsets of", partition, "Describe")
        deadline = RetryDeadline(self._options.deadline_ms, self._stop)
        with self._options.contact.operation(self._subject) as waiting:
            while True:
                self._check()
                try:
                    start, end = self._consumer().get_watermark_offsets(place, timeout=_LONGEST_CALL_S)
                    return int(start), int(end)
                except KafkaException as error:
                    failure = client_error(error.args[0], action)
                self._serve_callbacks()
                self._check()
                if not failure.retryable:
                    raise failure
                # librdkafka's reason for a timeout is only in its reports.
                failure = self._reports.reason or failure
                waiting.failed(failure)
                deadline.pause(failure)

    def _require_topic(self, partition: Partition) -> None:
        """Raises `TopicGoneError` unless the topic has the id, because librdkafka finds topics by name.

        The request goes over this program's connections: librdkafka can end the process in administrative requests.
        """
        found = self._admin.describe_topics([partition.topic])
        if partition.topic_id not in {topic.topic_id for topic in found}:
            raise TopicGoneError(f"Topic {partition.incarnation} was deleted, or deleted and created again.")
        if partition.partition not in {one.partition for topic in found for one in topic.partitions}:
            raise BrokerUnavailableError(f"Topic {partition.incarnation} has no partition {partition.partition}.")

    def _serve_callbacks(self) -> None:
        """Let librdkafka call the callbacks for errors and tokens. Nothing is assigned now, so there are no records."""
        self._consumer().poll(0)

    def _check(self) -> None:
        """Raises `InterruptedRunError` if `stop` is set, and a permanent error that librdkafka has reported."""
        if self._stop.is_set():
            raise InterruptedRunError("Stopped on request.")
        self._reports.raise_permanent()

    # ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, partition: Partition, first: int, end: int) -> Iterator[RecordColumns]:
        """See `RecordReader.read`."""
        if first >= end:
            return
        self._require_topic(partition)
        deadline = RetryDeadline(self._options.deadline_ms, self._stop)
        consumer, position = self._consumer(), first
        while position < end:
            consumer.assign([TopicPartition(partition.topic, partition.partition, position)])
            for messages, position in self._parts(consumer, partition):
                inside = messages if position <= end else [one for one in messages if _offset_of(one) < end]
                if inside:
                    yield _columns(partition, inside)
                if position >= end or not messages:
                    break
            consumer.unassign()
            if position < end:
                # A new leader can report an end for a moment that is below the real one.
                if self.bounds(partition)[1] <= position:
                    break
                deadline.pause(BrokerUnavailableError(f"{partition}: the leader ends its log at offset {position}."))
        self._require_topic(partition)

    def _parts(self, consumer: Consumer, partition: Partition) -> Iterator[tuple[list[Message], int]]:
        """(messages, the position after them). At the end of the partition there are no messages. Raises
        `BrokerUnavailableError` if nothing arrives until the deadline."""
        last_s = time.monotonic()
        with self._options.contact.operation(self._subject) as waiting:
            while True:
                # The first call takes all that is there. Only if that is nothing, the second one waits.
                messages = consumer.consume(_RECORDS_AT_ONCE, 0) or consumer.consume(1, _STOP_CHECK_S)
                self._check()
                if messages:
                    last_s = time.monotonic()
                    waiting.over()
                    yield from _split(messages, _action("read", partition, "Read"))
                elif time.monotonic() - last_s > self._options.deadline_ms() / 1000:
                    raise self._reports.reason or BrokerUnavailableError(
                        f"{partition}: the leader sends no records to librdkafka."
                    )
                elif self._reports.reason is not None:
                    waiting.failed(self._reports.reason)

    # ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _consumer(self) -> Consumer:
        if self._consumer_client is None:
            settings = {**client_settings(self._options, self._reports.on_token_error), **consumer_settings()}
            self._consumer_client = Consumer({**settings, "error_cb": self._reports.on_error}, logger=self._reports)
        return self._consumer_client


def _action(verb: str, partition: Partition, operation: str) -> Action:
    where = f"topic {partition.topic}, partition {partition.partition}"
    return Action(verb, where, (Permission(operation, "Topic", partition.topic),))


def _split(messages: list[Message], action: Action) -> Iterator[tuple[list[Message], int]]:
    """The records of a call and the position after them. Raises the error that a message contains; the end of the
    partition is not an error."""
    if not any(map(Message.error, messages)):
        yield messages, _offset_of(messages[-1]) + 1
        return
    records: list[Message] = []
    for message in messages:
        error = message.error()
        if error is None:
            records.append(message)
            continue
        if records:
            yield records, _offset_of(records[-1]) + 1
            records = []
        if error.code() == KafkaError._PARTITION_EOF:
            yield [], _offset_of(message)
        elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # there is no group
            failure = client_error(error, action)
            if not failure.retryable:
                raise failure
    if records:
        yield records, _offset_of(records[-1]) + 1


def _offset_of(message: Message) -> int:
    return int(message.offset() or 0)


def _columns(partition: Partition, messages: Sequence[Message]) -> RecordColumns:
    """The records of the messages. `map` with the methods of the class is much faster than a call for each message."""
    try:
        headers = [_headers(one) if one else () for one in map(Message.headers, messages)]
    except (SystemError, UnicodeDecodeError) as error:
        raise UnsupportedError(
            f"{partition}: a record between offset {messages[0].offset()} and {messages[-1].offset()} has a header "
            "whose name is not UTF-8, which librdkafka's library for Python cannot return. Leave the topic out."
        ) from error
    return RecordColumns(
        offsets=list(map(_OFFSET, messages)),
        timestamps=[time_ms for _, time_ms in map(_TIMESTAMP, messages)],
        keys=list(map(_KEY, messages)),
        values=list(map(_VALUE, messages)),
        headers=headers,
    )


_OFFSET: Callable[[Message], Any] = Message.offset
_TIMESTAMP: Callable[[Message], Any] = Message.timestamp
_KEY: Callable[[Message], Any] = Message.key
_VALUE: Callable[[Message], Any] = Message.value


def _headers(found: Any) -> Headers:
    return tuple((name.encode(), content) for name, content in found)
