"""A process that writes to a store until it is done or killed; started by path by the race tests. ROOT is a folder, or
the `storage` section of another store as JSON.

local_writer.py ROOT create NAME COUNT    wait for a line, create key/0… with the body NAME, print the keys won
local_writer.py ROOT forever ROUND        create, overwrite and swap sealed objects, print each key when it is durable
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from tasks.model.errors import ObjectExistsError
from tasks.store.local.local_store import LocalStore
from tasks.store.protocol import ObjectStore
from tasks.store.registry import BACKENDS, open_store


def sealed_body() -> list[bytes | memoryview]:
    """About 1 MiB in 16 buffers after the SHA-256 of them all."""
    parts = [os.urandom(64 + n) * 1024 for n in range(16)]
    return [sha256(b"".join(parts)).digest(), *parts]


def create(store: ObjectStore, name: str, count: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        try:
            store.put_if_absent(f"key/{number}", [name.encode()], sha256=sha256(name.encode()).hexdigest())
            print(f"key/{number}")
        except ObjectExistsError:
            continue


def write_forever(store: ObjectStore, round_name: str) -> None:
    for number in itertools.count():
        key = f"torn/{round_name}/{number}"
        body = sealed_body()
        store.put_if_absent(key, body, sha256=sha256(b"".join(body)).hexdigest())
        print(key, flush=True)
        store.put("torn/put", sealed_body())
        print("torn/put", flush=True)
        expected = store.head("torn/swap").version if any(store.list("torn/swap")) else None
        store.compare_and_swap("torn/swap", sealed_body(), expected=expected)
        print("torn/swap", flush=True)


def main(root: str, command: str, *arguments: str) -> None:
    commands: dict[str, Callable[[ObjectStore], None]] = {
        "create": lambda store: create(store, arguments[0], int(arguments[1])),
        "forever": lambda store: write_forever(store, arguments[0]),
    }
    commands[command](_opened(root))


def _opened(root: str) -> ObjectStore:
    if not root.startswith("{"):
        return LocalStore(Path(root), create=True)
    section = json.loads(root)
    return open_store(BACKENDS[section["backend"]].model_validate(section))


if __name__ == "__main__":
    main(*sys.argv[1:])
