"""A broker whose listeners advertise addresses that clients cannot use, and one listener behind a proxy that changes
the announced requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tasks.broker.raw.connection import ConnectionOptions
from tests.support.kafka import KafkaCluster, free_ports
from tests.support.versions_proxy import VersionsProxy

_WRONG = {"NAMELESS": "kafka.invalid:9092", "CLOSED": "127.0.0.1:{closed}", "CONTROLLED": "127.0.0.1:{{controller}}"}


class MisleadingKafka(NamedTuple):
    """The listeners NAMELESS, CLOSED and CONTROLLED advertise a name that does not exist, a port that is `closed`, and
    the controller's listener. PROXIED advertises the proxy before it."""

    kafka: KafkaCluster
    proxy: VersionsProxy
    closed: int

    def address(self, listener: str) -> str:
        """`host:port` of a listener."""
        return f"127.0.0.1:{self.kafka.listeners[listener]}"

    def options(self, listener: str) -> ConnectionOptions:
        """How this program connects to a listener."""
        return ConnectionOptions(bootstrap_servers=(self.address(listener),))


@contextmanager
def misleading_kafka(version: str) -> Iterator[MisleadingKafka]:
    """The broker, running while the `with` lasts."""
    closed, proxy_port, *ports = free_ports(2 + len(_WRONG) + 1)
    listeners = dict(zip([*_WRONG, "PROXIED"], ports, strict=True))
    advertised = {name: text.format(closed=closed) for name, text in _WRONG.items()}
    advertised["PROXIED"] = f"127.0.0.1:{proxy_port}"
    protocols = ",".join(f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *listeners))
    with (
        KafkaCluster(
            version,
            listeners=listeners,
            advertised=advertised,
            overrides={"listener.security.protocol.map": protocols},
        ) as kafka,
        VersionsProxy(proxy_port, listeners["PROXIED"]) as proxy,
    ):
        yield MisleadingKafka(kafka, proxy, closed)
