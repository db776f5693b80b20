"""A member of a Streams group (KIP-1071), made by hand: no client of the tests has the protocol.

The member's topology has one subtopology that reads one topic. StreamsGroupHeartbeat, version 0, is encoded here.
Source: Kafka's StreamsGroupHeartbeatRequest.json.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.protocol.consumer import OffsetCommitRequest

from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection, ConnectionOptions

_KEY = 88
_NULL, _EMPTY, _TAGS = b"\x00", b"\x01", b"\x00"
_NULL_STRUCT = b"\xff"
_JOIN, _LEAVE = 0, -1


def _string(text: str) -> bytes:
    encoded = text.encode()
    assert len(encoded) < 127
    return bytes([len(encoded) + 1]) + encoded


def _topology(topic: str) -> bytes:
    subtopology = _string("0") + b"\x02" + _string(topic) + _EMPTY * 5 + _TAGS
    return b"\x01" + struct.pack(">i", 0) + b"\x02" + subtopology + _TAGS


def _heartbeat(group: str, member: str, epoch: int, topic: str, correlation_id: int) -> bytes:
    joins = epoch == _JOIN
    body = _string(group) + _string(member) + struct.pack(">ii", epoch, 0) + _NULL * 2
    body += struct.pack(">i", 60_000 if joins else -1) + (_topology(topic) if joins else _NULL_STRUCT)
    body += (_EMPTY if joins else _NULL) * 3  # active, standby, warm-up tasks
    body += (_string("process") if joins else _NULL) + _NULL_STRUCT + (_EMPTY if joins else _NULL)
    body += _NULL * 2 + b"\x00" + _TAGS  # task offsets, shutdown
    head = struct.pack(">hhih", _KEY, 0, correlation_id, 0) + _TAGS
    return struct.pack(">i", len(head + body)) + head + body


def _call(connection: Connection, group: str, member: str, epoch: int, topic: str) -> int:
    """Send one heartbeat; returns the member's epoch."""
    sock = connection._open_socket()
    sock.settimeout(30)
    sock.sendall(_heartbeat(group, member, epoch, topic, 77))
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack_from(">i", data)[0]:
        part = sock.recv(1 << 16)
        assert part, "the broker closed the connection"
        data += part
    at = 4 + 4 + 1 + 4  # length, correlation id, tags, throttle time
    (code,) = struct.unpack_from(">h", data, at)
    assert 0 == code, data[at:]
    at += 2 + 1 + data[at + 2 + 1] if data[at + 2] == 0 else 0
    assert at, "an error message"
    (found,) = struct.unpack_from(">i", data, at)
    return int(found)


@contextmanager
def streams_member(options: ConnectionOptions, group: str, topic: str, offset: int) -> Iterator[None]:
    """A live member of a Streams group that has committed this position of partition 0."""
    member = str(uuid.uuid4())
    with Cluster(options) as cluster:
        connection = cluster.any_connection()
        epoch = _call(connection, group, member, _JOIN, topic)
        _commit(connection, group, member, epoch, topic, offset)
        yield
        _call(connection, group, member, _LEAVE, topic)


def _commit(connection: Connection, group: str, member: str, epoch: int, topic: str, offset: int) -> None:
    topic_class = OffsetCommitRequest.OffsetCommitRequestTopic
    part = topic_class.OffsetCommitRequestPartition(
        partition_index=0, committed_offset=offset, committed_leader_epoch=-1, committed_metadata="of a stream"
    )
    request = OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=epoch,
        member_id=member,
        group_instance_id=None,
        topics=[topic_class(name=topic, partitions=[part])],
    )
    request.API_VERSION = 9
    [answered] = connection.call(request).topics
    assert [0] == [one.error_code for one in answered.partitions]
