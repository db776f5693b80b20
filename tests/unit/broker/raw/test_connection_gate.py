"""After a broker refused connections fewer threads have some, and the others wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.broker.raw.connection_gate import ConnectionGate, GateTicket
from tasks.broker.raw.offsets import list_offsets
from tasks.model.errors import BrokerUnavailableError, InterruptedRunError
from tests.unit.broker.scripted_broker import ReceivedRequest, ScriptedBroker, options, versions
from tests.unit.broker.scripts import FIRST, ScriptedMetadata, offsets


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def in_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(60)


def established(gate: ConnectionGate, address: str = "b:1") -> GateTicket:
    ticket = gate.enter(address, patience_ms=0)
    gate.establish(ticket)
    return ticket


def test_a_closed_connection_is_no_refusal_if_no_other_connection_works() -> None:
    gate = ConnectionGate()
    in_thread(lambda: established(gate, "other:1"))

    assert not gate.refuse(gate.enter("b:1", patience_ms=0))
    assert gate.most_threads() is None


def test_silence_is_a_limit_only_if_another_connection_to_the_address_was_answered_just_now() -> None:
    """A frozen broker answers nothing at all; one at its limit of connections answers the others."""
    clock = Clock()
    gate = ConnectionGate(clock)
    in_thread(lambda: established(gate))
    gate.note_answer("b:1")
    clock.now += 20
    gate.note_answer("other:1")
    assert not gate.refuse(gate.enter("b:1", patience_ms=0), is_silent=True)
    assert gate.most_threads() is None

    gate.note_answer("b:1")
    assert gate.refuse(gate.enter("b:1", patience_ms=0), is_silent=True)
    assert 1 == gate.most_threads()


def test_a_broker_that_freezes_is_not_called_limited_by_a_new_connection() -> None:
    frozen, end = threading.Event(), threading.Event()

    def versions_until_frozen(received: ReceivedRequest) -> Any:
        if frozen.is_set():
            end.wait(60)
            return None
        return versions()(received)

    with ScriptedBroker({ApiKey.API_VERSIONS: versions_until_frozen}) as broker:
        clock = Clock()
        connection = replace(options(broker.address, request_timeout_ms=100), gate=ConnectionGate(clock))
        address = BrokerAddress("127.0.0.1", broker.port)
        connection.contact.mark_answered()
        first = Connection(address, connection)
        frozen.set()
        clock.now = 30.0
        with pytest.raises(BrokerUnavailableError, match="timed out") as failed:
            Connection(address, connection)
        end.set()
        first.close()
    assert "limit" not in str(failed.value)


def test_a_refusal_limits_the_threads_and_the_limit_grows_again() -> None:
    clock = Clock()
    gate = ConnectionGate(clock)
    for _ in range(5):
        in_thread(lambda: established(gate))
    refused = gate.enter("b:1", patience_ms=0)

    assert gate.refuse(refused)
    gate.leave(refused)
    assert 2 == gate.most_threads()
    clock.now = 25
    assert 4 == gate.most_threads()


def test_a_thread_with_a_connection_never_waits_for_another_one() -> None:
    gate = ConnectionGate()
    first = established(gate)
    assert gate.refuse(gate.enter("b:1", patience_ms=0))

    assert gate.enter("b:1", patience_ms=0).thread == first.thread
    assert gate.enter("c:1", patience_ms=0).thread == first.thread


def test_a_thread_without_a_connection_waits_until_another_thread_has_closed_all_of_its() -> None:
    gate = ConnectionGate()
    first = established(gate)
    second = gate.enter("b:1", patience_ms=0)
    gate.refuse(second)
    entered = threading.Event()

    def enter() -> None:
        gate.enter("b:1", patience_ms=60_000)
        entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    gate.leave(second)
    assert not entered.wait(0.2)
    gate.leave(first)
    gate.leave(first)
    assert entered.wait(60)


def test_waiting_ends_on_stop_and_when_nothing_of_the_process_gets_answers() -> None:
    gate = ConnectionGate()
    in_thread(lambda: gate.refuse((established(gate), gate.enter("b:1", patience_ms=0))[1]))
    stop = threading.Event()

    with pytest.raises(BrokerUnavailableError, match=r"max\.connections\.per\.ip.*lower max_concurrent_partitions"):
        gate.enter("b:1", patience_ms=50)
    stop.set()
    with pytest.raises(InterruptedRunError):
        gate.enter("b:1", patience_ms=60_000, stop=stop)


def test_sixteen_threads_share_the_connections_that_a_broker_allows() -> None:
    open_now: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    class LimitedBroker(ScriptedBroker):
        """Closes connections beyond the sixth right after it accepted them."""

        def _serve(self, sock: Any) -> None:
            with lock:
                is_refused = len(open_now) >= 6
                if not is_refused:
                    open_now.append(1)
                    most.append(len(open_now))
            if is_refused:
                sock.close()
                return
            try:
                super()._serve(sock)
            finally:
                with lock:
                    open_now.pop()

    def answer(received: ReceivedRequest) -> Any:
        return offsets(lambda partition, timestamp: (0, 7))(received)

    with LimitedBroker({ApiKey.LIST_OFFSETS: answer, ApiKey.API_VERSIONS: versions()}) as broker:
        ScriptedMetadata({FIRST: 1}, broker)
        connection = options(broker.address, connect_timeout_ms=60_000, retry_deadline_ms=60_000)

        def work(_: int) -> int:
            with Cluster(connection) as cluster:
                for _ in range(3):
                    threading.Event().wait(0.02)  # so that the threads have their connections at the same time
                    assert {FIRST: 7} == list_offsets(cluster, [FIRST], "latest").offsets
            return 1

        with ThreadPoolExecutor(16) as pool:
            assert 40 == sum(pool.map(work, range(40)))
    assert 6 == max(most)
