"""The promises of the `ClusterProbe`: it looks at a cluster from outside and changes nothing."""

from __future__ import annotations

import threading

import pytest

from tasks.broker.ports import ClusterProbe
from tasks.broker.probe_values import CredentialLifetimes
from tasks.model.errors import InterruptedRunError
from tests.contract.kafka_logs import admin_of, create, partitions_of
from tests.contract.kafkas import GuardedKafkaBed, KafkaBed


def _probe(bed: KafkaBed) -> ClusterProbe:
    return bed.access.probe(threading.Event())


def test_the_bootstrap_address_comes_first_and_then_every_broker(bed: KafkaBed) -> None:
    bootstrap, *brokers = _probe(bed).describe_brokers()

    with admin_of(bed) as admin:
        assert admin.node_count() == len(brokers)
    assert bootstrap.node_id is None
    assert all(one.node_id is not None for one in brokers)
    assert [] == [one.failure for one in (bootstrap, *brokers) if one.failure is not None]
    assert all(one.address.rpartition(":")[2].isdecimal() for one in (bootstrap, *brokers))


def test_brokers_tell_the_requests_that_they_offer(bed: KafkaBed) -> None:
    for broker in _probe(bed).describe_brokers():
        fetch = broker.requests["Fetch"]
        assert fetch.lowest <= 12 <= fetch.highest
        assert {"Metadata", "ListOffsets", "Produce", "CreateTopics", "OffsetFetch"} <= set(broker.requests)


def test_without_tls_and_sasl_nothing_ends(bed: KafkaBed) -> None:
    probe = _probe(bed)

    assert CredentialLifetimes() == probe.credential_lifetimes()
    assert {(None, None)} == {(one.certificate_ends_ms, one.session_lifetime_ms) for one in probe.describe_brokers()}


def test_connections_are_counted_up_to_the_wanted_number(bed: KafkaBed) -> None:
    assert 5 == _probe(bed).count_connections(5)


def test_a_stop_request_ends_the_probe(bed: KafkaBed) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        bed.access.probe(stop).describe_brokers()


@pytest.mark.parametrize("denied", [(), ("Write",), ("Read",), ("Write", "Read")])
def test_rights_on_a_topic_that_does_not_exist_are_told_and_the_topic_is_not_created(
    guarded_bed: GuardedKafkaBed, topic_name: str, denied: tuple[str, ...]
) -> None:
    other = f"{topic_name}-other"
    with admin_of(guarded_bed) as admin, guarded_bed.deny("Topic", topic_name, *denied):
        found = _probe(guarded_bed).denied_on_new_topics([topic_name, other])

        assert {topic_name: denied, other: ()} == found
        assert [] == admin.describe_topics([other])
        assert {topic_name, other}.isdisjoint(topic.name for topic in admin.describe_topics())


def test_a_topic_that_exists_is_not_written(bed: KafkaBed, topic_name: str) -> None:
    create(bed, topic_name)
    assert {topic_name: ()} == _probe(bed).denied_on_new_topics([topic_name])

    with bed.access.reader(threading.Event()) as reader, admin_of(bed) as admin:
        assert [0] == list(reader.list_offsets(partitions_of(admin, topic_name), "latest").offsets.values())
