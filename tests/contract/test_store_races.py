"""The promises about concurrent callers: threads and processes for every store, and killed processes for the local
store."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import pytest

from tasks.model.errors import ObjectChangedError, ObjectExistsError
from tasks.store.local.local_store import LocalStore
from tasks.store.protocol import ObjectInfo, ObjectStore
from tests.contract.stores import create
from tests.support.store_cases import CASES

_T = TypeVar("_T")
THREADS = 16
WRITER = Path(__file__).with_name("local_writer.py")


def race(act: Callable[[int], _T], *, threads: int = THREADS) -> list[_T | ObjectExistsError | ObjectChangedError]:
    """The result of each thread; the threads start together."""
    barrier = threading.Barrier(threads)

    def run(number: int) -> _T | ObjectExistsError | ObjectChangedError:
        barrier.wait()
        try:
            return act(number)
        except (ObjectExistsError, ObjectChangedError) as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def winners(answers: list[ObjectInfo | ObjectExistsError | ObjectChangedError]) -> list[int]:
    return [number for number, answer in enumerate(answers) if isinstance(answer, ObjectInfo)]


def test_of_concurrent_creators_exactly_one_returns_and_its_bytes_stay(store: ObjectStore) -> None:
    for attempt in range(5):
        key = f"race/{attempt}/object"
        bodies = [str(number).encode() * 1000 for number in range(THREADS)]
        won = winners(race(lambda number, key=key, bodies=bodies: create(store, key, bodies[number])))  # type: ignore[misc]
        assert len(won) == 1
        assert bodies[won[0]] == store.get(key)[0]


def test_of_concurrent_swaps_with_one_expectation_exactly_one_returns(store: ObjectStore) -> None:
    version: str | None = None
    for attempt in range(5):
        bodies = [f"{attempt} {number}".encode() for number in range(THREADS)]
        answers = race(
            lambda number, bodies=bodies, version=version: store.compare_and_swap(  # type: ignore[misc]
                "lease", [bodies[number]], expected=version
            )
        )
        won = winners(answers)
        assert len(won) == 1
        data, info = store.get("lease")
        assert bodies[won[0]] == data
        version = info.version


def test_of_creators_and_swappers_of_a_missing_object_exactly_one_returns(store: ObjectStore) -> None:
    for attempt in range(5):
        key = f"race/{attempt}"

        def create_or_swap(number: int, key: str = key) -> ObjectInfo:
            body = str(number).encode()
            return create(store, key, body) if number % 2 else store.compare_and_swap(key, [body], expected=None)

        won = winners(race(create_or_swap))
        assert len(won) == 1
        assert str(won[0]).encode() == store.get(key)[0]


def test_a_counter_swapped_by_many_threads_gives_no_number_twice(store: ObjectStore) -> None:
    store.put("counter", [b"0:start"])

    def next_number(thread: int, beat: int) -> int:
        while True:
            data, info = store.get("counter")
            number = int(data.split(b":")[0]) + 1
            with contextlib.suppress(ObjectChangedError):
                store.compare_and_swap("counter", [f"{number}:{thread}.{beat}".encode()], expected=info.version)
                return number

    answers = race(lambda thread: [next_number(thread, beat) for beat in range(3)], threads=4)
    numbers = [number for answer in answers if isinstance(answer, list) for number in answer]
    assert len(set(numbers)) == 4 * 3
    assert max(numbers) == int(store.get("counter")[0].split(b":")[0])


def test_a_reader_never_sees_part_of_an_object(store: ObjectStore) -> None:
    bodies = {sha256(data).hexdigest(): data for data in (bytes([n]) * (100_000 + n) for n in range(4))}
    store.put("hint", [bodies[next(iter(bodies))]])

    def write_or_read(number: int) -> bool:
        if number == 0:
            for data in list(bodies.values()) * 5:
                store.put("hint", [data[:50_000], data[50_000:]])
            return True
        reads = [store.get("hint") for _ in range(5)]
        return all(sha256(data).hexdigest() in bodies and len(data) == info.size_bytes for data, info in reads)

    assert all(race(write_or_read))


@contextmanager
def writers(root: Path | str, *argument_lists: list[str]) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(
            [sys.executable, str(WRITER), str(root), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for arguments in argument_lists
    ]
    try:
        yield started
    finally:
        for writer in started:
            writer.kill()
            writer.communicate()


def read_line(writer: subprocess.Popen[str]) -> str:
    assert writer.stdout
    return writer.stdout.readline().strip()


def test_of_several_processes_that_create_the_same_keys_each_key_has_one_winner(tmp_path: Path) -> None:
    _race_processes(tmp_path, LocalStore(tmp_path, create=True))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=getattr(pytest.mark, case.server_name)) for name, case in CASES.items()]
)
def test_of_several_processes_that_create_the_same_keys_in_a_bucket_each_key_has_one_winner(
    request: pytest.FixtureRequest, name: str
) -> None:
    case = CASES[name](request.getfixturevalue(CASES[name].server_name))
    bucket = case.new_bucket()
    _race_processes(json.dumps(case.section(bucket)), case.open(bucket, "team"))


def _race_processes(root: Path | str, store: ObjectStore) -> None:
    """Four processes create the same keys of an empty store."""
    names = [str(number) for number in range(4)]
    with writers(root, *(["create", name, "40"] for name in names)) as started:
        assert [read_line(writer) for writer in started] == ["ready"] * 4
        for writer in started:
            assert writer.stdin
            writer.stdin.write("go\n")
            writer.stdin.flush()
        claims = [
            (key, name) for name, writer in zip(names, started, strict=True) for key in writer.communicate()[0].split()
        ]
    assert len(claims) == 40
    assert sorted(claims) == [(info.key, store.get(info.key)[0].decode()) for info in store.list("")]


def test_a_writing_process_that_is_killed_leaves_every_object_whole(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, create=True)
    for round_number in range(8):
        with writers(tmp_path, ["forever", str(round_number)]) as (writer,):
            durable = {read_line(writer) for _ in range(2 + round_number)}
        found = {info.key: store.get(info.key)[0] for info in store.list("")}
        assert durable <= found.keys()
        assert [key for key, data in found.items() if sha256(data[32:]).digest() != data[:32]] == []
