"""How large a request for changes may be. Pure.

A KRaft controller refuses a request that makes more than 10,000 records of its own log ("excessively large batch
operation", POLICY_VIOLATION), or that asks for more than 10,000 partitions. A topic is one record, and so is each
partition and each setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tasks.broker.admin_values import ConfigChange, NewTopicSpec

LARGEST_CHANGE: Final = 4_000
"""The controller's records that one request makes, at most."""


def creation_weight(spec: NewTopicSpec) -> int:
    """The controller's records of a new topic. The brokers' number of partitions counts as one."""
    return 1 + max(1, spec.partitions) + len(spec.configs)


def change_weight(change: ConfigChange) -> int:
    """The controller's records of a change of settings."""
    return max(1, len(change.to_set) + len(change.to_delete))


def first_part(spec: NewTopicSpec) -> NewTopicSpec:
    """The topic as it is created: with as many partitions as one request makes."""
    most = LARGEST_CHANGE - 1 - len(spec.configs)
    return spec if spec.partitions <= most else replace(spec, partitions=most)


def partition_counts(spec: NewTopicSpec) -> Iterator[int]:
    """The numbers of partitions that a topic gets after its creation, one request after the other."""
    count = first_part(spec).partitions
    while count < spec.partitions:
        count = min(count + LARGEST_CHANGE, spec.partitions)
        yield count
