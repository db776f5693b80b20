"""Lists, describes and deletes groups of all types, and reads the operations that are allowed on them. Their positions
are in `positions`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import Attempt, by_number, values_or_raise
from tasks.broker.admin.group_messages import (
    ClassicGroup,
    ListedGroup,
    request_classic_groups,
    request_consumer_groups,
    request_group_deletion,
    request_groups,
    request_streams_groups,
)
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.admin_values import GroupDescription, GroupListing
from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.connection import Connection
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import BrokerError, KafkaBackupError
from tasks.model.quoting import quoted

GROUPS_PER_REQUEST = 500
_DEAD = "Dead"


def list_groups(admin: Admin) -> list[GroupListing]:
    """Every group of every type that this user is allowed to describe, ordered by id. Raises an error if one broker
    does not answer, because the list would be incomplete."""
    action = Action("list the groups of", admin.location)

    def send(attempt: Attempt) -> list[ListedGroup]:
        listed = []
        for node_id in attempt.cluster.refresh_brokers():
            groups = request_groups(attempt, attempt.broker(node_id))
            if isinstance(groups, Failed):
                raise error_for_code(groups.code, action)
            listed += groups
        return listed

    # While a coordinator moves, two brokers can list the same group.
    found = {group.group_id: _listing(group) for group in admin.answer(action, send)}
    return [found[group_id] for group_id in sorted(found)]


def _listing(group: ListedGroup) -> GroupListing:
    return GroupListing(
        group_id=group.group_id,
        group_type=group.group_type.lower() or "classic",  # brokers that report no type have classic groups only
        state=group.state,
        protocol_type=group.protocol_type,
    )


def describe_groups(admin: Admin, group_ids: Sequence[str]) -> list[GroupDescription]:
    """State and member count of each group, in the given order. Raises the first error if a group cannot be described.

    A group that does not exist, or is a share group, is described as a classic group in the state `Dead` without
    members.
    """
    action = group_action("describe")

    def send(attempt: Attempt, groups: list[str]) -> Mapping[str, GroupDescription | KafkaBackupError]:
        def request(connection: Connection, own: list[str]) -> dict[str, GroupDescription | KafkaBackupError]:
            return _described(attempt, connection, own, action)

        return admin.coordinators.answers(attempt, groups, request, action)

    answers = admin.answer_each(list(dict.fromkeys(group_ids)), send, action, by_number(GROUPS_PER_REQUEST))
    found = values_or_raise(answers)
    return [found[group_id] for group_id in group_ids]


def _described(
    attempt: Attempt, connection: Connection, group_ids: list[str], action: Callable[[str], Action]
) -> dict[str, GroupDescription | KafkaBackupError]:
    """Describe all groups as classic groups. Those that are `Dead` then are described as groups of the newer types,
    because DescribeGroups reports groups of other types as `Dead`."""
    found: dict[str, GroupDescription | KafkaBackupError] = {}
    for group_id, group in request_classic_groups(attempt, connection, group_ids).items():
        if isinstance(group, Failed):
            found[group_id] = error_for_code(group.code, action(group_id))
        else:
            found[group_id] = _description(group_id, "classic", group.state, group.members)
    for kind, request in (("consumer", request_consumer_groups), ("streams", request_streams_groups)):
        dead = [one for one, answer in found.items() if isinstance(answer, GroupDescription) and answer.state == _DEAD]
        for group_id, described in request(attempt, connection, dead).items():
            if not described.error_code:
                found[group_id] = _description(group_id, kind, described.state, described.members)
            elif described.error_code not in (ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNSUPPORTED_VERSION):
                found[group_id] = error_for_code(described.error_code, action(group_id), described.error_message)
    return found


def _description(group_id: str, kind: str, state: str, members: int) -> GroupDescription:
    return GroupDescription(group_id=group_id, group_type=kind, state=state, members=members)


def delete_groups(admin: Admin, group_ids: Sequence[str]) -> dict[str, KafkaBackupError | None]:
    """See `ClusterAdmin.delete_groups`. If the answer to a deletion is lost, the retry does not find the group, which
    counts as deleted."""
    sent: Counter[str] = Counter()

    def action(group_id: str) -> Action:
        return Action("delete", f"group {quoted(group_id)}", (Permission("Delete", "Group", group_id),))

    def send(attempt: Attempt, groups: list[str]) -> Mapping[str, KafkaBackupError | None]:
        def request(connection: Connection, own: list[str]) -> dict[str, KafkaBackupError | None]:
            sent.update(own)
            found = request_group_deletion(attempt, connection, own)
            return {
                one: None if failed is None else error_for_code(failed.code, action(one))
                for one, failed in found.items()
            }

        return admin.coordinators.answers(attempt, groups, request, action)

    answers = admin.answer_each(list(dict.fromkeys(group_ids)), send, action, by_number(GROUPS_PER_REQUEST))
    return {
        group_id: None if sent[group_id] > 1 and _is_unknown_group(error) else error
        for group_id, error in answers.items()
    }


def _is_unknown_group(error: KafkaBackupError | None) -> bool:
    return isinstance(error, BrokerError) and error.code == ErrorCode.GROUP_ID_NOT_FOUND


def group_operations(admin: Admin, group_ids: Sequence[str]) -> dict[str, frozenset[int] | KafkaBackupError]:
    """The codes of the operations that this user is allowed to do with each group, or the error. Brokers also
    report operations for groups that do not exist."""
    action = group_action("describe")

    def send(attempt: Attempt, groups: list[str]) -> Mapping[str, frozenset[int] | KafkaBackupError]:
        def request(connection: Connection, own: list[str]) -> dict[str, frozenset[int] | KafkaBackupError]:
            answers = request_classic_groups(attempt, connection, own, with_operations=True)
            return {one: _operations(answer, action(one)) for one, answer in answers.items()}

        return admin.coordinators.answers(attempt, groups, request, action)

    return admin.answer_each(list(group_ids), send, action, by_number(GROUPS_PER_REQUEST))


def _operations(answer: ClassicGroup | Failed, action: Action) -> frozenset[int] | KafkaBackupError:
    return error_for_code(answer.code, action) if isinstance(answer, Failed) else answer.operations


def group_action(verb: str) -> Callable[[str], Action]:
    """The action `verb` on a group, which needs the permission Describe on it."""
    return lambda group_id: Action(verb, f"group {quoted(group_id)}", (Permission("Describe", "Group", group_id),))
