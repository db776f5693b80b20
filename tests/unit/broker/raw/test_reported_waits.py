"""Every operation on records that is repeated is reported while it lasts: what is waited for, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tasks.broker.error_codes import ErrorCode
from tasks.broker.log_values import OutgoingBatch
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.offsets import list_offsets
from tasks.broker.raw.produce import init_producer_id, produce
from tasks.model.errors import InterruptedRunError
from tasks.model.waiting import WaitReport
from tests.support.batch_factory import make_batch, make_records
from tests.unit.broker.scripted_broker import Answer, ScriptedBroker, options
from tests.unit.broker.scripts import FIRST, Log, ScriptedMetadata, fetched, serve


def _fetch(cluster: Cluster) -> None:
    fetcher = Fetcher(cluster, stop=cluster.stop, max_wait_ms=10)
    fetcher.send(FIRST, 0, None)
    fetcher.receive()


def _produce(cluster: Cluster) -> None:
    batch = OutgoingBatch(make_batch(make_records(3), base_offset=0, producer_id=7, base_sequence=0), 3, 0)
    produce(
        cluster, {FIRST: iter([batch])}, timeout_ms=10, stop=cluster.stop, on_acknowledged=lambda partition, batch: None
    )


_CUT: Answer = lambda request: None  # noqa: E731 - an answer of one line


@pytest.mark.parametrize(
    ("operation", "key", "answer", "subject", "reason"),
    [
        (_fetch, ApiKey.FETCH, _CUT, "the cluster to fetch records", "topic orders, partition 0, offset 0: Broker"),
        (
            _fetch,
            ApiKey.FETCH,
            lambda request: fetched(request, error_code=ErrorCode.KAFKA_STORAGE_ERROR),
            "the cluster to fetch records",
            "KAFKA_STORAGE_ERROR",
        ),
        (_produce, ApiKey.PRODUCE, _CUT, "the cluster to store records", "topic orders, partition 0: Broker"),
        (
            lambda cluster: list_offsets(cluster, [FIRST], "latest"),
            ApiKey.LIST_OFFSETS,
            _CUT,
            "the cluster to list offsets of partitions",
            "closed the connection",
        ),
        (
            init_producer_id,
            ApiKey.INIT_PRODUCER_ID,
            _CUT,
            "the cluster to obtain a producer id",
            "closed the connection",
        ),
        (
            lambda cluster: cluster.check_reachable(is_writing=False),
            ApiKey.METADATA,
            _CUT,
            "the cluster to answer",
            "closed the connection",
        ),
    ],
)
def test_a_request_that_is_cut_again_and_again_is_reported_while_it_is_repeated(
    operation: Callable[[Cluster], object],
    key: ApiKey,
    answer: Answer,
    subject: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each new connection works, and so do all other requests: only the operation itself knows that it waits."""
    monkeypatch.setattr("tasks.model.waiting._FIRST_REPORT_S", 0.1)
    stop = threading.Event()
    reports: list[WaitReport] = []

    def report(found: WaitReport) -> None:
        reports.append(found)
        if found.subject == subject:
            stop.set()

    with ScriptedBroker(serve([Log()])) as broker:
        ScriptedMetadata({FIRST: 1}, broker)
        broker.answers[key] = answer
        connection = options(broker.address, retry_deadline_ms=60_000, connect_timeout_ms=60_000, on_waiting=report)
        with Cluster(connection, stop=stop) as cluster, pytest.raises(InterruptedRunError):
            operation(cluster)
    assert reason in next(found.reason for found in reports if found.subject == subject)
