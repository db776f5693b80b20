"""Fetches from a follower in the client's rack, to which the leader refers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from kafka.protocol.consumer import FetchRequest

from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.near_replicas import LEADERS_ONLY_S, NearReplicas
from tests.support.batch_factory import make_batch, make_records
from tests.unit.broker.scripted_broker import Answer, ReceivedRequest, ScriptedBroker, options
from tests.unit.broker.scripts import FIRST, ScriptedMetadata, fetched

BATCH = make_batch(make_records(3), base_offset=0)
LEADER_BATCH = make_batch(make_records(2), base_offset=0)


class Replicas(NamedTuple):
    """Broker 1 leads, broker 2 follows."""

    leader: ScriptedBroker
    follower: ScriptedBroker
    cluster: Cluster

    def fetch(self, fetcher: Fetcher, position: int = 0) -> Any:
        """One answer."""
        fetcher.send(FIRST, position, None)
        return fetcher.receive()

    def fetcher(self, rack: str = "here") -> Fetcher:
        """A fetcher of a client in this rack."""
        return Fetcher(self.cluster, stop=threading.Event(), max_bytes=1_000, max_wait_ms=10, rack=rack)

    def counts(self) -> tuple[int, int]:
        """The fetches that the leader and the follower received."""
        return len(self.leader.requests(ApiKey.FETCH)), len(self.follower.requests(ApiKey.FETCH))


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    with _replicas(lambda request: fetched(request, records=BATCH, stable=9, high=9)) as made:
        yield made


@contextmanager
def _replicas(follower_answer: Answer) -> Iterator[Replicas]:
    def lead(request: ReceivedRequest) -> Any:
        """As a leader with a RackAwareReplicaSelector."""
        if request.decoded(FetchRequest).rack_id:
            return fetched(request, stable=9, high=9, preferred=2)
        return fetched(request, records=LEADER_BATCH, stable=9, high=9)

    with (
        ScriptedBroker() as leader,
        ScriptedBroker() as follower,
        Cluster(options(leader.address, rack="here")) as cluster,
    ):
        ScriptedMetadata({FIRST: 1}, leader, follower)
        leader.answers[ApiKey.FETCH] = lead
        follower.answers[ApiKey.FETCH] = follower_answer
        yield Replicas(leader, follower, cluster)


def test_records_come_from_the_follower_in_the_rack_and_the_leader_is_asked_once(replicas: Replicas) -> None:
    fetcher = replicas.fetcher()
    assert [BATCH] * 3 == [replicas.fetch(fetcher, position).records for position in (0, 3, 6)]
    assert (1, 3) == replicas.counts()


def test_without_a_rack_the_leader_serves(replicas: Replicas) -> None:
    assert LEADER_BATCH == replicas.fetch(replicas.fetcher(rack="")).records
    assert (1, 0) == replicas.counts()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"error_code": ErrorCode.OFFSET_OUT_OF_RANGE},
        {"error_code": ErrorCode.OFFSET_NOT_AVAILABLE},
        {"error_code": ErrorCode.NOT_LEADER_OR_FOLLOWER},
        {"error_code": ErrorCode.TOPIC_AUTHORIZATION_FAILED},
        {"records": BATCH, "diverging": (0, 1)},
    ],
    ids=["empty", "out-of-range", "not-available", "no-replica", "denied", "diverging"],
)
def test_anything_but_records_of_the_follower_is_settled_by_the_leader(fields: dict[str, Any]) -> None:
    with _replicas(lambda request: fetched(request, **{"stable": 9, "high": 9, **fields})) as replicas:
        answer = replicas.fetch(replicas.fetcher())
        assert (LEADER_BATCH, None) == (answer.records, answer.diverging)
        assert (2, 1) == replicas.counts()


def test_a_throttling_follower_is_not_given_up(replicas: Replicas) -> None:
    script: list[dict[str, Any]] = [{"throttle_time_ms": 1}, {"records": BATCH}]
    answers = iter(script)
    replicas.follower.answers[ApiKey.FETCH] = lambda request: fetched(request, **next(answers))
    fetcher = replicas.fetcher()
    assert (b"", BATCH) == (replicas.fetch(fetcher).records, replicas.fetch(fetcher).records)
    assert (1, 2) == replicas.counts()


def test_after_a_follower_is_lost_all_fetches_of_the_process_go_to_leaders_for_a_time(replicas: Replicas) -> None:
    fetcher = replicas.fetcher()
    assert BATCH == replicas.fetch(fetcher).records
    del replicas.follower.answers[ApiKey.FETCH]  # the connection is closed instead

    assert LEADER_BATCH == replicas.fetch(fetcher, 3).records
    assert LEADER_BATCH == replicas.fetch(fetcher, 5).records
    assert LEADER_BATCH == replicas.fetch(replicas.fetcher(), 7).records
    assert (4, 2) == replicas.counts()


def test_followers_are_tried_again_later() -> None:
    now = [100.0]
    near = NearReplicas(lambda: now[0])
    assert near.are_usable
    near.note_failure()
    now[0] += LEADERS_ONLY_S - 1
    assert not near.are_usable
    now[0] += 1
    assert near.are_usable


def test_the_answer_that_names_the_follower_does_not_make_the_next_request_larger(replicas: Replicas) -> None:
    replicas.fetch(replicas.fetcher())
    [request] = replicas.follower.requests(ApiKey.FETCH)
    assert 1_000 == request.decoded(FetchRequest).topics[0].partitions[0].partition_max_bytes
