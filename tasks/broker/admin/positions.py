"""Reads and writes the positions of groups: their committed offsets. Waits for open transactions that are about to
replace positions, limits the size of a commit, and names the brokers' limit for metadata that is too large."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import Answers, Attempt, by_number, by_weight
from tasks.broker.admin.group_messages import GroupPositions, request_commit, request_positions
from tasks.broker.admin.groups import GROUPS_PER_REQUEST, group_action
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.broker.error_codes import ErrorCode, kafka_name
from tasks.broker.raw.connection import Connection
from tasks.broker.retry import RetryDeadline
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import BrokerError, ConfigError, KafkaBackupError
from tasks.model.quoting import quoted

UNSETTLED_WAIT_MS = 10_000
"""How long `committed_offsets` waits in total for the transactions that are about to replace positions. Most
transactions commit much sooner. A transaction that does not commit soon can stay open for days."""

_LONGEST_POLL_MS = 500
_COMMIT_BYTES = 400_000
"""The most bytes of positions in one OffsetCommit. A broker writes them as one batch to `__consumer_offsets`, whose
batches have at most 1 MiB by default."""

_POSITION_BYTES = 100
_METADATA_LIMIT = "offset.metadata.max.bytes"


def committed_offsets(admin: Admin, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
    """All positions of each group, or the error. If one position of a group cannot be read, the group gets its error. A
    group that does not exist has no positions.

    Waits up to `UNSETTLED_WAIT_MS`, in total for all groups, for the transactions that are about to replace positions.
    After that time the last committed positions are returned with `is_unsettled`.
    """
    ids = list(dict.fromkeys(group_ids))
    found = _read(admin, ids, is_stable=True)
    deadline = RetryDeadline(min(UNSETTLED_WAIT_MS, admin.deadline_ms), admin.stop, longest_wait_ms=_LONGEST_POLL_MS)
    while (unsettled := [one for one in ids if _is_unsettled(found[one])]) and deadline.wait():
        found |= _read(admin, unsettled, is_stable=True)
    last = _read(admin, unsettled, is_stable=False)
    return {group_id: _merged(found[group_id], last.get(group_id)) for group_id in ids}


def _is_unsettled(answer: GroupPositions | KafkaBackupError) -> bool:
    return isinstance(answer, GroupPositions) and bool(answer.unsettled)


def _read(admin: Admin, group_ids: list[str], *, is_stable: bool) -> Answers[str, GroupPositions]:
    action = group_action("read the positions of")

    def send(attempt: Attempt, groups: list[str]) -> Mapping[str, GroupPositions | KafkaBackupError]:
        def request(connection: Connection, own: list[str]) -> dict[str, GroupPositions | KafkaBackupError]:
            answers = request_positions(attempt, connection, own, is_stable=is_stable)
            return {one: _answer(one, answer, action) for one, answer in answers.items()}

        return admin.coordinators.answers(attempt, groups, request, action)

    return admin.answer_each(group_ids, send, action, by_number(GROUPS_PER_REQUEST))


def _answer(
    group_id: str, answer: GroupPositions | Failed, action: Callable[[str], Action]
) -> GroupPositions | KafkaBackupError:
    if isinstance(answer, Failed):
        return error_for_code(answer.code, action(group_id))
    for (topic, partition), failed in answer.failed:
        position = f"the position of group {quoted(group_id)} on {topic}-{partition}"
        needs = (Permission("Describe", "Group", group_id), Permission("Describe", "Topic", topic))
        return error_for_code(failed.code, Action("read", position, needs))
    return answer


def _merged(
    stable: GroupPositions | KafkaBackupError, last: GroupPositions | KafkaBackupError | None
) -> list[CommittedOffset] | KafkaBackupError:
    """The stable positions, and for the unsettled partitions the last committed positions."""
    if isinstance(stable, KafkaBackupError) or last is None:
        return stable if isinstance(stable, KafkaBackupError) else stable.positions
    if isinstance(last, KafkaBackupError):
        return last
    before = {(one.topic, one.partition): one for one in last.positions}
    return stable.positions + [replace(before[one], is_unsettled=True) for one in stable.unsettled if one in before]


def commit_offsets(
    admin: Admin, group_id: str, offsets: Sequence[CommittedOffset]
) -> dict[TopicPartition, KafkaBackupError | None]:
    """Write positions of a group without members. Returns None or the error for each partition. Not atomic: some
    positions can be written and others not. May be called again.

    A group that does not exist becomes a classic group. Kafka accepts offsets beyond the end of the log, so the caller
    has to check them. If the group has a member, every partition gets a `BrokerError` with the code UNKNOWN_MEMBER_ID.
    A negative offset gets a `ConfigError` and is not sent.
    """
    by_partition = {(one.topic, one.partition): one for one in offsets}
    negative: dict[TopicPartition, KafkaBackupError | None] = {
        place: ConfigError(f"Group {quoted(group_id)} cannot have the offset {one.offset} on {place[0]}-{place[1]}.")
        for place, one in by_partition.items()
        if one.offset < 0
    }
    to_send = [place for place in by_partition if place not in negative]
    answers = _committed(admin, group_id, by_partition, to_send)
    _name_the_limit(admin, group_id, by_partition, answers)
    return {place: negative[place] if place in negative else answers[place] for place in by_partition}


def _committed(
    admin: Admin,
    group_id: str,
    by_partition: Mapping[TopicPartition, CommittedOffset],
    places: list[TopicPartition],
) -> Answers[TopicPartition, None]:
    def send(attempt: Attempt, chunk: list[TopicPartition]) -> Mapping[TopicPartition, KafkaBackupError | None]:
        def request(
            connection: Connection, own: list[str]
        ) -> dict[str, dict[TopicPartition, Failed | None] | KafkaBackupError]:
            return {group_id: request_commit(attempt, connection, group_id, [by_partition[one] for one in chunk])}

        found = admin.coordinators.answers(attempt, [group_id], request, lambda _: _commit_action(group_id, chunk[0]))
        return {place: _result(found[group_id], place, _commit_action(group_id, place)) for place in chunk}

    def weight(place: TopicPartition) -> int:
        return _POSITION_BYTES + len(group_id) + len(place[0]) + len(by_partition[place].metadata.encode())

    def action(place: TopicPartition) -> Action:
        return _commit_action(group_id, place)

    return admin.answer_each(places, send, action, by_weight(weight, _COMMIT_BYTES))


def _result(
    found: Mapping[TopicPartition, Failed | None] | KafkaBackupError, place: TopicPartition, action: Action
) -> KafkaBackupError | None:
    if isinstance(found, KafkaBackupError):
        return found
    if place not in found:
        return BrokerError(f"Cannot {action}: Kafka's answer does not contain this partition.")
    failed = found[place]
    return None if failed is None else error_for_code(failed.code, action)


def _commit_action(group_id: str, place: TopicPartition) -> Action:
    topic, partition = place
    needs = (Permission("Read", "Group", group_id), Permission("Read", "Topic", topic))
    return Action("commit", f"the offset of group {quoted(group_id)} on {topic}-{partition}", needs)


def _name_the_limit(
    admin: Admin,
    group_id: str,
    by_partition: Mapping[TopicPartition, CommittedOffset],
    answers: Answers[TopicPartition, None],
) -> None:
    """Replace the errors for metadata that is too large by errors that contain its size and the brokers' limit."""
    code = ErrorCode.OFFSET_METADATA_TOO_LARGE
    places = [one for one, answer in answers.items() if isinstance(answer, BrokerError) and answer.code == code]
    if not places:
        return
    limit = admin.broker_setting(_METADATA_LIMIT)
    most = f"at most {int(limit):,} ({_METADATA_LIMIT})" if limit else f"fewer ({_METADATA_LIMIT})"
    for place in places:
        size = java_length(by_partition[place].metadata)
        answers[place] = BrokerError(
            f"Cannot {_commit_action(group_id, place)}: its metadata has {size:,} characters, and the brokers accept "
            f"{most} ({kafka_name(code)}).",
            code=code,
        )


def java_length(text: str) -> int:
    """The length of a text as Kafka's brokers count it: in UTF-16 units, although the name of the setting contains
    `bytes`."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
