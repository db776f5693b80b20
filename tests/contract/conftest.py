"""Fixtures: each store in turn, and each Kafka cluster."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.store.protocol import ObjectStore
from tests.conftest import KAFKA_VERSION
from tests.contract.kafkas import SIMULATED_VERSIONS, GuardedKafkaBed, KafkaBed
from tests.contract.real_kafka import GUARDED, RealBed, RealGuardedBed
from tests.contract.simulated_kafka import SimulatedBed
from tests.contract.stores import BUCKETS, LOCKING, LOCKING_BUCKETS, STORES
from tests.support.kafka import KafkaCluster

_KAFKAS = [
    *(pytest.param(version, id=f"simulated-{version}") for version in SIMULATED_VERSIONS),
    pytest.param("real", marks=pytest.mark.kafka),
]


def _marks(bucket: str) -> pytest.MarkDecorator:
    """The mark of the server of one of `BUCKETS`."""
    server, _ = BUCKETS[bucket]
    mark: pytest.MarkDecorator = getattr(pytest.mark, server.removesuffix("_tls"))
    return mark


@pytest.fixture(params=[*STORES, *(pytest.param(name, marks=_marks(name)) for name in BUCKETS)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param in BUCKETS:
        server, opened_in = BUCKETS[request.param]
        opened = opened_in(request.getfixturevalue(server))
    else:
        opened = STORES[request.param](tmp_path)
    yield opened
    opened.close()
    opened.close()


@pytest.fixture(params=[*LOCKING, *(pytest.param(name, marks=pytest.mark.minio) for name in LOCKING_BUCKETS)])
def locking(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    """Each store that locks immutable objects in turn."""
    if request.param in LOCKING_BUCKETS:
        opened = LOCKING_BUCKETS[request.param](request.getfixturevalue("minio"))
    else:
        opened = LOCKING[request.param]()
    yield opened
    opened.close()


@pytest.fixture(params=_KAFKAS)
def bed(request: pytest.FixtureRequest) -> KafkaBed:
    """Each cluster in turn; the real one is the session's, so that tests use names of their own."""
    if request.param == "real":
        return RealBed(request.getfixturevalue("kafka"), f"contract-{uuid.uuid4().hex}")
    return SimulatedBed.of(request.param)


@pytest.fixture(params=_KAFKAS)
def guarded_bed(request: pytest.FixtureRequest) -> GuardedKafkaBed:
    """Each cluster with an authorizer in turn."""
    if request.param == "real":
        return RealGuardedBed(request.getfixturevalue("guarded_kafka"), f"contract-{uuid.uuid4().hex}")
    return SimulatedBed.of(request.param, has_authorizer=True)


@pytest.fixture(scope="session")
def guarded_kafka() -> Iterator[KafkaCluster]:
    """A broker that may be restarted, and that obeys ACLs where there are any."""
    with KafkaCluster(KAFKA_VERSION, overrides=GUARDED) as cluster:
        yield cluster
