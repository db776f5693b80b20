"""The first contact fails fast, and patience is earned; an advertised address that does not work is named as such."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from kafka.protocol.metadata import MetadataResponse

from tasks.broker.kafka_access import KafkaAccess
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.raw.offsets import list_offsets
from tasks.broker.raw.produce import init_producer_id
from tasks.model.errors import BrokerUnavailableError, ConfigError, KafkaBackupError
from tasks.model.waiting import Contact, WaitReport
from tests.support.kafka import free_ports
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options
from tests.unit.broker.scripts import FIRST, ScriptedMetadata, offsets

HOUR_MS = 3_600_000


def advertising(broker: ScriptedBroker, host: str, port: int) -> None:
    """Let the broker advertise this address as the one of broker 1, the leader of FIRST."""
    metadata = ScriptedMetadata({FIRST: 1}, broker)

    def answer(received: ReceivedRequest) -> Any:
        response = metadata.answer(received)
        response.brokers = [MetadataResponse.MetadataResponseBroker(node_id=1, host=host, port=port)]
        return response

    broker.answers[ApiKey.METADATA] = answer


def check(connection: ConnectionOptions) -> None:
    KafkaAccess(connection).check_reachable(threading.Event(), is_writing=False)


@contextmanager
def silent_port() -> Iterator[str]:
    """A port that accepts connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_closed_port_is_given_up_after_the_connect_timeout() -> None:
    [port] = free_ports(1)
    connection = options(f"127.0.0.1:{port}", connect_timeout_ms=200, retry_deadline_ms=HOUR_MS)

    with pytest.raises(BrokerUnavailableError) as failed:
        check(connection)
    advice = "Check bootstrap_servers; `kafka-backup check` tries each address."
    assert f"Cannot connect to 127.0.0.1:{port}: connection refused. {advice}" == str(failed.value)
    assert not connection.contact.has_answered


def test_a_port_that_answers_nothing_is_given_up_after_the_connect_timeout_and_not_the_request_timeout() -> None:
    with silent_port() as address:
        connection = options(address, connect_timeout_ms=200, retry_deadline_ms=HOUR_MS, request_timeout_ms=HOUR_MS)
        with pytest.raises(BrokerUnavailableError, match="timed out"):
            check(connection)


def test_a_cluster_that_has_answered_once_is_waited_for_longer() -> None:
    with ScriptedBroker() as broker:
        ScriptedMetadata({FIRST: 1}, broker)
        connection = options(broker.address, connect_timeout_ms=20_000, retry_deadline_ms=HOUR_MS)
        assert 20_000 == connection.deadline_ms()
        check(connection)
        assert HOUR_MS == connection.deadline_ms()

        calls: list[int] = []

        def after_many(partition: int, timestamp: int) -> tuple[int, int]:
            calls.append(partition)
            return (0, 7) if len(calls) > 4 else (5, -1)  # LEADER_NOT_AVAILABLE

        broker.answers[ApiKey.LIST_OFFSETS] = offsets(after_many)
        with Cluster(connection) as cluster:
            assert {FIRST: 7} == list_offsets(cluster, [FIRST], "latest").offsets


def test_waiting_for_the_first_answer_is_reported_before_the_operation_ends() -> None:
    events: list[str] = []
    reported = threading.Event()

    def report(wait: WaitReport) -> None:
        events.append(wait.subject)
        reported.set()

    stop = threading.Event()
    with silent_port() as address:
        connection = options(
            address,
            connect_timeout_ms=HOUR_MS,
            request_timeout_ms=HOUR_MS,
            retry_deadline_ms=HOUR_MS,
            on_waiting=report,
        )

        def wait() -> None:
            with pytest.raises(KafkaBackupError):
                KafkaAccess(connection).check_reachable(stop, is_writing=False)
            events.append("ended")

        thread = threading.Thread(target=wait)
        thread.start()
        assert reported.wait(60)
    stop.set()  # the listener is closed, which resets the connection
    thread.join(60)
    assert [address, "ended"] == events[:2]


def test_an_established_connection_whose_broker_becomes_silent_is_reported_too() -> None:
    reported, answer_now = threading.Event(), threading.Event()
    waits: list[WaitReport] = []

    def report(wait: WaitReport) -> None:
        waits.append(wait)
        reported.set()

    with ScriptedBroker() as broker:
        ScriptedMetadata({FIRST: 1}, broker)

        def late(received: ReceivedRequest) -> Any:
            assert answer_now.wait(60)
            return offsets(lambda partition, timestamp: (0, 7))(received)

        broker.answers[ApiKey.LIST_OFFSETS] = late
        with Cluster(options(broker.address, request_timeout_ms=60_000, on_waiting=report)) as cluster:
            thread = threading.Thread(target=lambda: list_offsets(cluster, [FIRST], "latest"))
            thread.start()
            assert reported.wait(60)
            answer_now.set()
            thread.join(60)
        address = broker.address
    assert (address, "no answer yet") == (waits[0].subject, waits[0].reason)


def _reads(cluster: Cluster) -> None:
    for error in list_offsets(cluster, [FIRST], "latest").failures.values():
        raise error


@pytest.mark.parametrize(
    "operation",
    [lambda cluster: cluster.check_reachable(is_writing=False), _reads],
)
def test_an_advertised_address_that_is_refused_is_named_and_not_tried_in_a_busy_loop(
    operation: Callable[[Cluster], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    [closed] = free_ports(1)
    attempts: list[int] = []
    connect = socket.create_connection

    def counted(address: tuple[str, int], timeout: float) -> socket.socket:
        attempts.append(address[1])
        return connect(address, timeout=timeout)

    monkeypatch.setattr(socket, "create_connection", counted)
    with ScriptedBroker() as broker:
        advertising(broker, "127.0.0.1", closed)
        with (
            Cluster(options(broker.address, connect_timeout_ms=2_000, retry_deadline_ms=HOUR_MS)) as cluster,
            pytest.raises(BrokerUnavailableError) as failed,
        ):
            operation(cluster)
    assert (
        f"Broker 1 advertises the address 127.0.0.1:{closed}, which does not work from this machine. Cannot connect to "
        f"127.0.0.1:{closed}: connection refused. Correct `advertised.listeners` of the broker, or let this machine "
        "reach that address (DNS or a hosts entry)."
    ) == str(failed.value)
    assert 30 > attempts.count(closed) > 1


def test_an_advertised_name_that_cannot_be_resolved_is_named() -> None:
    with ScriptedBroker() as broker:
        advertising(broker, "kafka.invalid", 9092)
        with pytest.raises(BrokerUnavailableError, match=r"advertises the address kafka\.invalid:9092.*kafka\.invalid"):
            check(options(broker.address, connect_timeout_ms=300))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_advertised_address_that_is_none_for_clients_is_refused_at_once(host: str) -> None:
    with ScriptedBroker() as broker:
        advertising(broker, host, broker.port)
        with pytest.raises(ConfigError, match=r"to which no client can connect\. Correct `advertised\.listeners`"):
            check(options(broker.address, connect_timeout_ms=HOUR_MS, retry_deadline_ms=HOUR_MS))


def test_an_advertised_port_of_another_program_is_named() -> None:
    with ScriptedBroker() as broker, socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            sock, _ = other.accept()
            with sock:
                sock.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                sock.recv(1000)

        threading.Thread(target=serve, daemon=True).start()
        advertising(broker, "127.0.0.1", other.getsockname()[1])
        with pytest.raises(ConfigError, match=r"Broker 1 advertises the address .*does not speak Kafka's protocol"):
            check(options(broker.address))


def test_many_advertised_addresses_that_do_not_answer_do_not_add_up() -> None:
    with ScriptedBroker() as broker, socket.create_server(("127.0.0.1", 0)) as silent:
        node = MetadataResponse.MetadataResponseBroker
        nodes = [node(node_id=number, host="127.0.0.1", port=silent.getsockname()[1]) for number in range(50)]
        broker.answers[ApiKey.METADATA] = lambda received: MetadataResponse(brokers=nodes, topics=[], cluster_id="c")
        with pytest.raises(BrokerUnavailableError, match="advertises the address"):
            check(options(broker.address, connect_timeout_ms=300, retry_deadline_ms=HOUR_MS))
        silent.setblocking(False)
        accepted = 0
        with contextlib.suppress(BlockingIOError):
            while accepted < 50:
                silent.accept()[0].close()
                accepted += 1
    assert 0 < accepted < 5


def test_bootstrap_servers_share_the_connect_timeout() -> None:
    servers = tuple(f"127.0.0.1:{port}" for port in range(1, 5))
    connection = options(*servers, connect_timeout_ms=20_000, request_timeout_ms=30_000)

    assert 5_000 == connection.setup_timeout_ms()
    connection.contact.mark_answered()
    assert 30_000 == connection.setup_timeout_ms()


def test_the_bootstrap_connection_is_used_for_the_broker_itself() -> None:
    with ScriptedBroker() as broker, Cluster(options(broker.address)) as cluster:
        ScriptedMetadata({FIRST: 1}, broker)
        cluster.connection(cluster.leader(FIRST).node_id)

        assert 1 == broker.connections


def test_a_producer_id_that_is_not_ready_yet_is_waited_for_like_everything_of_a_known_cluster() -> None:
    from kafka.protocol.producer import InitProducerIdResponse

    def identity(request: ReceivedRequest) -> object:
        is_loading = len(broker.requests(ApiKey.INIT_PRODUCER_ID)) < 7  # longer than the first contact
        return InitProducerIdResponse(
            throttle_time_ms=0, error_code=14 if is_loading else 0, producer_id=9, producer_epoch=0
        )

    with (
        ScriptedBroker({ApiKey.INIT_PRODUCER_ID: identity}) as broker,
        Cluster(options(broker.address, connect_timeout_ms=700, retry_deadline_ms=HOUR_MS)) as cluster,
    ):
        assert 9 == init_producer_id(cluster).producer_id


def test_a_wait_for_an_address_that_does_not_work_ends_when_another_one_answers() -> None:
    clock = [0.0]
    [closed] = free_ports(1)
    with ScriptedBroker() as broker:
        ScriptedMetadata({FIRST: 1}, broker)
        connection = replace(options(f"127.0.0.1:{closed}", broker.address), contact=Contact(clock=lambda: clock[0]))
        with Cluster(connection) as cluster:
            cluster.any_connection()
            clock[0] = 10.0
            assert [] == connection.contact.due_reports()


def test_only_the_first_thread_tries_the_addresses_that_do_not_work() -> None:
    [closed] = free_ports(1)
    with ScriptedBroker() as broker:
        ScriptedMetadata({}, broker)
        connection = options(f"127.0.0.1:{closed}", broker.address)
        with Cluster(connection) as first:
            first.any_connection()
        assert broker.address == connection.contact.last_address
        with Cluster(connection) as second:
            assert broker.address == str(second._bootstrap_order()[0])
            second.any_connection()
