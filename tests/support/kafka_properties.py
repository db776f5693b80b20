"""Broker properties of a throwaway Kafka: small and fast. All others are Kafka's defaults, as users have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class NodePorts(NamedTuple):
    """The ports of a node on 127.0.0.1."""

    broker: int
    controller: int


QUICK = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.retention.check.interval.ms": "1000",
    "log.retention.ms": "-1",  # the default would delete records with old timestamps within a second
    "log.initial.task.delay.ms": "500",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "1000",
}
SINCE_4 = {"share.coordinator.state.topic.num.partitions": "2"}


def server_properties(
    version: str,
    node_id: int,
    voters: Mapping[int, NodePorts],
    log_dir: Path,
    more_listeners: Mapping[str, int] | None = None,
    advertised: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """All properties of one node of a cluster whose nodes are `voters`.

    `more_listeners` are the ports of listeners other than PLAINTEXT and CONTROLLER, by name. `advertised` are the
    addresses of listeners that the broker advertises instead of the ones it serves; `{controller}` in them is the
    controller's port.
    """
    ports = voters[node_id]
    named = {"PLAINTEXT": ports.broker, **(more_listeners or {})}
    served = [f"{name}://127.0.0.1:{port}" for name, port in named.items()]
    told = {name: f"127.0.0.1:{port}" for name, port in named.items()}
    told |= {name: text.format(controller=ports.controller) for name, text in (advertised or {}).items()}
    is_4 = not version.startswith("3.")
    return {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        "controller.quorum.voters": ",".join(f"{i}@127.0.0.1:{peer.controller}" for i, peer in voters.items()),
        "listeners": ",".join([*served, f"CONTROLLER://127.0.0.1:{ports.controller}"]),
        "advertised.listeners": ",".join(f"{name}://{address}" for name, address in told.items()),
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(log_dir),
        **_internal_topics(min(3, len(voters)), is_4=is_4),
        **QUICK,
        **(SINCE_4 if is_4 else {}),
    }


def _internal_topics(replicas: int, *, is_4: bool) -> dict[str, str]:
    prefixes = ["transaction.state.log", *(["share.coordinator.state.topic"] if is_4 else [])]
    properties = {"offsets.topic.replication.factor": str(replicas)}
    for prefix in prefixes:
        properties[f"{prefix}.replication.factor"] = str(replicas)
        properties[f"{prefix}.min.isr"] = str(max(1, replicas - 1))
    return properties


def properties_file(properties: Mapping[str, str]) -> str:
    """The text of a Java properties file."""
    return "".join(f"{name}={value}\n" for name, value in properties.items())
