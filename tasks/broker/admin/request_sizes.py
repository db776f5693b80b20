"""Limits the size of requests that change topics. Pure.

A KRaft controller refuses a request that would write more than 10,000 records to the controller's own log ("excessively
large batch operation", POLICY_VIOLATION), or that would create more than 10,000 partitions. Each topic, each partition
and each setting is one record of that log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tasks.broker.admin_values import ConfigChange, NewTopicSpec

LARGEST_CHANGE: Final = 4_000
"""The most records of the controller's log that one request writes."""

LARGEST_STEP: Final = 1_000
"""Topics are created in steps. A step has at most this many partitions, or a single topic with more, and ends when all
partitions of the step have leaders."""


def creation_weight(spec: NewTopicSpec) -> int:
    """The number of records in the controller's log for a new topic. If the brokers choose the number of partitions
    (-1), it counts as one partition."""
    return 1 + max(1, spec.partitions) + len(spec.configs)


def change_weight(change: ConfigChange) -> int:
    """The number of records in the controller's log for a change of settings."""
    return max(1, len(change.to_set) + len(change.to_delete))


def first_part(spec: NewTopicSpec) -> NewTopicSpec:
    """The topic as one request can create it: with all its partitions, or with as many as fit into the request."""
    most = LARGEST_CHANGE - 1 - len(spec.configs)
    return spec if spec.partitions <= most else replace(spec, partitions=most)


def partition_counts(spec: NewTopicSpec) -> Iterator[int]:
    """The requests that add the partitions which `first_part` does not have: the total number of partitions after each.
    Empty if `first_part` has all."""
    count = first_part(spec).partitions
    while count < spec.partitions:
        count = min(count + LARGEST_CHANGE, spec.partitions)
        yield count
