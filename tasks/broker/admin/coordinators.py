"""Sends requests about groups to their coordinators: the brokers that keep their positions."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from tasks.broker.admin.admin_requests import Answers, Attempt, T, lost_error
from tasks.broker.admin.group_messages import request_coordinators
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.raw.connection import Connection
from tasks.broker.translation import Action, error_for_code
from tasks.model.errors import BrokerError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError


class Coordinators:
    """Remembers the coordinators of groups. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_group: dict[str, int] = {}

    def answers(
        self,
        attempt: Attempt,
        group_ids: Sequence[str],
        request: Callable[[Connection, list[str]], Mapping[str, T | KafkaBackupError]],
        action: Callable[[str], Action],
    ) -> Answers[str, T]:
        """For each group the result of `request` at its coordinator, or the group's error.

        `request` gets a connection, and the groups that this broker coordinates. If a broker cannot be reached, only
        its groups get the error; every other error of `request` is raised. From the second attempt on, the coordinators
        are looked up again.
        """
        found = self._look_up(attempt, group_ids)
        answers: Answers[str, T] = {}
        by_node: dict[int, list[str]] = defaultdict(list)
        for group_id in group_ids:
            node = found.get(group_id)
            if node is None:
                answers[group_id] = BrokerError(
                    f"Cannot {action(group_id)}: Kafka's answer does not contain the group."
                )
            elif isinstance(node, Failed):
                answers[group_id] = error_for_code(node.code, action(group_id), node.message)
            else:
                by_node[node].append(group_id)
        for node, own in by_node.items():
            try:
                answers.update(request(attempt.broker(node), own))
            except InterruptedRunError:
                raise
            except BrokerUnavailableError as error:
                answers.update({group_id: lost_error(action(group_id), error) for group_id in own})
        return answers

    def _look_up(self, attempt: Attempt, group_ids: Sequence[str]) -> dict[str, int | Failed]:
        with self._lock:
            known = (
                {} if attempt.number > 1 else {one: self._by_group[one] for one in group_ids if one in self._by_group}
            )
        missing = [group_id for group_id in group_ids if group_id not in known]
        found = request_coordinators(attempt, missing) if missing else {}
        with self._lock:
            self._by_group.update({one: node for one, node in found.items() if not isinstance(node, Failed)})
        return {**known, **found}
