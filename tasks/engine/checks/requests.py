"""The requests of Kafka's protocol that a job sends, and what is missing in what brokers offer. Pure.

Tests compare the versions with those that `tasks/broker` sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.broker.probe_values import BrokerDescription, VersionRange
from tasks.engine.checks.items import CheckItem, missing, ok, optional
from tasks.engine.checks.jobs import BackupJob, CheckJob
from tasks.model.counting import counted
from tasks.model.errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class NeededRequest:
    """A request of a job. `lowest` and `highest` are the versions that this program can send.

    `without` says what a job does without an optional request; it is empty for a request that the job needs.
    """

    name: str
    lowest: int
    highest: int
    without: str = ""

    def is_offered(self, offered: VersionRange | None) -> bool:
        """Whether both sides have a version in common."""
        if offered is None:
            return False
        return offered.highest >= self.lowest and offered.lowest <= self.highest

    @property
    def versions(self) -> str:
        """The text `12 to 17`."""
        return str(VersionRange(self.lowest, self.highest))


_EVERY_JOB: Final = (
    NeededRequest("Metadata", 10, 12),
    NeededRequest("ListOffsets", 2, 7),
    NeededRequest("Fetch", 12, 17),
)
_SETTINGS: Final = NeededRequest("DescribeConfigs", 1, 4)
_GROUPS: Final = (NeededRequest("FindCoordinator", 1, 5), NeededRequest("DescribeGroups", 3, 5))

BACKUP_REQUESTS: Final = (
    *_EVERY_JOB,
    _SETTINGS,
    NeededRequest("DescribeLogDirs", 1, 4, "workers are balanced by offsets instead of bytes"),
    NeededRequest("DescribeAcls", 1, 3, "the point contains no ACLs"),
    NeededRequest("OffsetForLeaderEpoch", 2, 4, "an incremental backup cannot continue the newest point"),
    NeededRequest("DescribeProducers", 0, 0, "the producer of an open transaction is not named"),
)
BACKUP_GROUP_REQUESTS: Final = (*_GROUPS, NeededRequest("ListGroups", 0, 5), NeededRequest("OffsetFetch", 7, 9))
BACKUP_CLIENT_REQUESTS: Final = (
    NeededRequest("DescribeClientQuotas", 0, 1, "the point contains no client quotas"),
    NeededRequest("DescribeUserScramCredentials", 0, 0, "the point contains no users"),
)
RESTORE_REQUESTS: Final = (
    *_EVERY_JOB,
    _SETTINGS,
    NeededRequest("Produce", 8, 8),
    NeededRequest("InitProducerId", 0, 4),
    NeededRequest("IncrementalAlterConfigs", 0, 1),
)
RESTORE_GROUP_REQUESTS: Final = (*_GROUPS, NeededRequest("OffsetFetch", 7, 9), NeededRequest("OffsetCommit", 6, 9))
_ACLS: Final = (NeededRequest("DescribeAcls", 1, 3), NeededRequest("CreateAcls", 1, 3))
_QUOTAS: Final = (NeededRequest("DescribeClientQuotas", 0, 1), NeededRequest("AlterClientQuotas", 0, 1))
_CREATE: Final = NeededRequest("CreateTopics", 2, 7)
_PURGE: Final = NeededRequest("DeleteRecords", 0, 2)


def needed_requests(job: CheckJob) -> tuple[NeededRequest, ...]:
    """The requests that the job sends with its options, also those without which it works too.

    Left out are requests that the check itself needs (ApiVersions, SASL, DescribeCluster), and requests that only some
    groups (ConsumerGroupDescribe, StreamsGroupDescribe), topics with very many partitions (CreatePartitions) or failed
    restores (DeleteTopics) need.
    """
    if isinstance(job, BackupJob):
        return (
            *BACKUP_REQUESTS,
            *(BACKUP_GROUP_REQUESTS if job.options.consumer_group_snapshot else ()),
            *(BACKUP_CLIENT_REQUESTS if job.options.client_state_snapshot else ()),
        )
    options = job.request.options
    return (
        *RESTORE_REQUESTS,
        *((_CREATE,) if options.create_topics else ()),
        *((_PURGE,) if options.purge_topics else ()),
        *(RESTORE_GROUP_REQUESTS if options.reset_consumer_offsets else ()),
        *(_ACLS if options.acls == "apply" else ()),
        *(_QUOTAS if options.quotas == "apply" else ()),
    )


def request_items(brokers: Sequence[BrokerDescription], job: CheckJob) -> Iterator[CheckItem]:
    """A row for each request that a broker lacks, and one for all others with the versions that all brokers offer."""
    offered = []
    for request in needed_requests(job):
        lacking = [one for one in brokers if not request.is_offered(one.requests.get(request.name))]
        if lacking:
            yield from (_missing_request(request, broker) for broker in lacking)
        else:
            offered.append(f"{request.name} {_common_versions(request.name, brokers)}")
    if offered:
        yield ok(counted(len(brokers), "broker"), "requests", f"offered: {', '.join(offered)}")


def broker_name(broker: BrokerDescription) -> str:
    """`broker 2`, or for a bootstrap address `bootstrap server kafka:9092`."""
    return f"bootstrap server {broker.address}" if broker.node_id is None else f"broker {broker.node_id}"


def _missing_request(request: NeededRequest, broker: BrokerDescription) -> CheckItem:
    offered: Mapping[str, VersionRange] = broker.requests
    versions = f"offers version {offered[request.name]}" if request.name in offered else "does not offer it"
    text = f"the broker {versions}; this program sends version {request.versions}"
    if request.without:
        return optional(_missing(broker, request, text, f"Without it {request.without}."))
    is_newer = request.name in offered and offered[request.name].lowest > request.lowest
    newer = "a newer version of this program" if is_newer else "a newer Kafka"
    return _missing(broker, request, text, f"Use {newer}. A proxy in between can also be the reason.")


def _missing(broker: BrokerDescription, request: NeededRequest, text: str, advice: str) -> CheckItem:
    return missing(broker_name(broker), f"request {request.name}", text, advice, UnsupportedError)


def _common_versions(name: str, brokers: Sequence[BrokerDescription]) -> VersionRange:
    ranges = [broker.requests[name] for broker in brokers]
    return VersionRange(max(one.lowest for one in ranges), min(one.highest for one in ranges))
