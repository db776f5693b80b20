"""The requests that a job needs of brokers."""

from __future__ import annotations

import pytest

from tasks.broker.admin import acl_messages, group_messages, quota_messages, topic_messages, users
from tasks.broker.messages.fetch_request import FETCH_VERSIONS
from tasks.broker.messages.produce_request import PRODUCE_VERSION
from tasks.broker.messages.request_names import REQUEST_NAMES
from tasks.broker.probe_values import BrokerDescription, VersionRange
from tasks.broker.raw import epochs, log_dirs, producers
from tasks.broker.raw.required_versions import INIT_PRODUCER_ID_VERSIONS, LIST_OFFSETS_VERSIONS, METADATA_VERSIONS
from tasks.engine.checks.jobs import BackupJob, CheckJob, RestoreJob
from tasks.engine.checks.requests import NeededRequest, needed_requests, request_items
from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.model.errors import UnsupportedError
from tasks.repository.points import PointReference
from tests.simulation.kafka.outside import OFFERED

BACKUP = BackupJob(
    set_name="s",
    topics=TopicSelection(),
    options=BackupOptions.model_validate({"consumer_group_snapshot": True, "client_state_snapshot": True}),
)


def _restore(**options: object) -> RestoreJob:
    request = RestoreRequest(
        restore="r", topics=TopicSelection(), options=RestoreOptions.model_validate(options), most_bins=1
    )
    return RestoreJob(reference=PointReference("s"), request=request)


RESTORE = _restore(
    purge_topics=True, consumer_group_strategy="header-based", reset_consumer_offsets=True, acls="apply", quotas="apply"
)
JOBS: tuple[CheckJob, ...] = (BACKUP, RESTORE)


def _broker(**changes: VersionRange | None) -> BrokerDescription:
    offered = {**OFFERED, **changes}
    return BrokerDescription(
        node_id=1, address="b:1", requests={name: one for name, one in offered.items() if one is not None}
    )


def _versions(name: str) -> tuple[int, int]:
    [found] = {(one.lowest, one.highest) for job in JOBS for one in needed_requests(job) if one.name == name}
    return found


def test_the_versions_are_those_that_the_raw_side_sends() -> None:
    assert FETCH_VERSIONS == _versions("Fetch")
    assert (PRODUCE_VERSION, PRODUCE_VERSION) == _versions("Produce")
    assert METADATA_VERSIONS == _versions("Metadata")
    assert LIST_OFFSETS_VERSIONS == _versions("ListOffsets")
    assert log_dirs._VERSIONS == _versions("DescribeLogDirs")
    assert epochs._VERSIONS == _versions("OffsetForLeaderEpoch")
    assert (producers._VERSION, producers._VERSION) == _versions("DescribeProducers")
    assert INIT_PRODUCER_ID_VERSIONS == _versions("InitProducerId")


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("DescribeConfigs", topic_messages._DESCRIBE_CONFIGS),
        ("IncrementalAlterConfigs", topic_messages._INCREMENTAL_ALTER_CONFIGS),
        ("CreateTopics", topic_messages._CREATE_TOPICS),
        ("DeleteRecords", topic_messages._DELETE_RECORDS),
        ("FindCoordinator", group_messages._FIND_COORDINATOR),
        ("DescribeGroups", group_messages._DESCRIBE_GROUPS),
        ("ListGroups", group_messages._LIST_GROUPS),
        ("OffsetFetch", group_messages._OFFSET_FETCH),
        ("OffsetCommit", group_messages._OFFSET_COMMIT),
        ("DescribeAcls", acl_messages._DESCRIBE_ACLS),
        ("CreateAcls", acl_messages._CREATE_ACLS),
        ("AlterClientQuotas", quota_messages._ALTER_QUOTAS),
        ("DescribeClientQuotas", quota_messages._DESCRIBE_QUOTAS),
        ("DescribeUserScramCredentials", users._DESCRIBE_SCRAM),
    ],
)
def test_the_versions_are_those_that_the_administrative_side_sends(name: str, versions: tuple[int, int]) -> None:
    assert versions == _versions(name)


@pytest.mark.parametrize("job", JOBS)
def test_every_needed_request_has_a_name_of_kafka(job: CheckJob) -> None:
    assert {one.name for one in needed_requests(job)} <= set(REQUEST_NAMES.values())


@pytest.mark.parametrize("job", JOBS)
def test_brokers_of_today_offer_everything(job: CheckJob) -> None:
    [item] = request_items([_broker(), _broker()], job)
    assert ("ok", "2 brokers") == (item.status, item.subject)
    assert all(one.name in item.found for one in needed_requests(job))


def test_a_request_that_one_broker_lacks_is_named_with_its_versions() -> None:
    first, rest = request_items([_broker(), _broker(Fetch=VersionRange(0, 11))], BACKUP)

    assert ("broker 1", "request Fetch", True) == (first.subject, first.name, first.stops_the_job)
    assert "the broker offers version 0 to 11; this program sends version 12 to 17" == first.found
    assert "Use a newer Kafka." in first.advice
    assert UnsupportedError is first.error
    assert ", Fetch " not in rest.found


def test_a_request_that_is_too_new_and_one_that_is_absent_are_told_apart() -> None:
    too_new = next(iter(request_items([_broker(ListOffsets=VersionRange(9, 12))], BACKUP)))
    absent = next(iter(request_items([_broker(ListOffsets=None)], BACKUP)))

    assert "Use a newer version of this program." in too_new.advice
    assert ("the broker does not offer it" in absent.found, "Use a newer Kafka." in absent.advice) == (True, True)


def test_a_request_that_is_optional_does_not_stop_the_job() -> None:
    first = next(iter(request_items([_broker(DescribeLogDirs=None)], BACKUP)))

    assert ("missing", False) == (first.status, first.is_needed)
    assert "Without it workers are balanced by offsets instead of bytes." == first.advice


def test_a_range_of_one_version_is_one_number() -> None:
    assert "8" == NeededRequest("Produce", 8, 8).versions
