"""Counts the requests of a backup. `python -m tests.bench.requests FILE ARGUMENT…` runs the command `kafka-backup` with
these arguments, and writes the counts to the file.

A request to the store is a call of its adapter, below the retries; a listing is one request for each page. An object
store gets one request for each of them. A request to a broker is one that a connection sends, also those that set the
connection up.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.counting_store import CountingStore

_OPEN_STORE = "open_store"
"""The name in `tasks.config.adapters` by which a command opens its stores."""


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests of each kind: to the store by operation, to the brokers by Kafka's name of the request."""

    store: Counter[str]
    brokers: Counter[str]

    @classmethod
    def of(cls, stores: Sequence[CountingStore], brokers: Counter[str]) -> Self:
        """The requests of these stores and these requests to brokers."""
        return cls(Counter(one.operation for store in stores for one in store.requests), brokers)

    @classmethod
    def read(cls, file: Path) -> Self:
        """What `write` wrote."""
        found = json.loads(file.read_text())
        return cls(Counter(found["store"]), Counter(found["brokers"]))

    def write(self, file: Path) -> None:
        """Write the counts to the file."""
        file.write_text(json.dumps({"store": self.store, "brokers": self.brokers}))

    def text(self) -> str:
        """One line with all counts, the largest first."""
        return f"store {_text(self.store)}; brokers {_text(self.brokers)}"


def _text(counts: Counter[str]) -> str:
    return f"{counts.total():,}: " + ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


@contextmanager
def broker_requests() -> Iterator[Counter[str]]:
    """The requests that connections of this process send while the body runs."""
    from tasks.broker.messages.api_keys import ApiKey
    from tasks.broker.raw.connection import Connection

    counts, post = Counter[str](), Connection.post

    def counted(self: Connection, encode: Any, api_key: int, api_version: int, **more: int) -> None:
        counts[ApiKey(api_key).request_name] += 1
        post(self, encode, api_key, api_version, **more)

    Connection.post = counted  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        Connection.post = post  # type: ignore[method-assign]


@contextmanager
def command_stores() -> Iterator[list[CountingStore]]:
    """The stores that a command opens while the body runs."""
    from tasks.config import adapters
    from tasks.store.registry import open_store

    stores = list[CountingStore]()

    def counted(*arguments: Any, **more: Any) -> CountingStore:
        stores.append(CountingStore(open_store(*arguments, **more)))
        return stores[-1]

    setattr(adapters, _OPEN_STORE, counted)
    try:
        yield stores
    finally:
        setattr(adapters, _OPEN_STORE, open_store)


def main(arguments: Sequence[str]) -> None:
    """Run the command and write its counts."""
    from tasks.cli.main import main as run_command

    file, *sys.argv[1:] = arguments
    with command_stores() as stores, broker_requests() as brokers:
        try:
            run_command()
        finally:
            Requests.of(stores, brokers).write(Path(file))


if __name__ == "__main__":
    main(sys.argv[1:])
