"""The cache of whole objects: one download for all threads, downloads side by side, bounded memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.repository.object_cache import ObjectCache


class Downloads:
    """Objects of 10 bytes. `calls` are the downloads so far, in order."""

    def __init__(self, cache: ObjectCache) -> None:
        self.cache = cache
        self.calls: list[str] = []

    def get(self, key: str) -> bytes:
        def download() -> bytes:
            self.calls.append(key)
            return key.encode().ljust(10)

        return self.cache.get(key, download)


def test_an_object_is_downloaded_once_while_it_is_kept() -> None:
    downloads = Downloads(ObjectCache())
    assert [b"a         "] * 3 == [downloads.get("a") for _ in range(3)]
    assert ["a"] == downloads.calls


def test_threads_that_want_the_same_object_wait_for_one_download() -> None:
    cache, began, release = ObjectCache(), threading.Event(), threading.Event()
    calls: list[int] = []

    def download() -> bytes:
        calls.append(1)
        began.set()
        assert release.wait(10)
        return b"data"

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(cache.get, "a", download)
        assert began.wait(10)
        others = [pool.submit(cache.get, "a", download) for _ in range(7)]
        assert not any(other.done() for other in others)
        release.set()
        assert {b"data"} == {future.result(10) for future in (first, *others)}
    assert [1] == calls


def test_different_objects_are_downloaded_side_by_side() -> None:
    """Each download waits until the other one has begun."""
    cache, both = ObjectCache(), threading.Barrier(2, timeout=10)

    def download() -> bytes:
        both.wait()
        return b"data"

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(cache.get, key, download) for key in ("a", "b")]
        assert [b"data", b"data"] == [future.result(10) for future in futures]


def test_the_least_recently_used_objects_are_dropped_and_the_bound_is_kept() -> None:
    downloads = Downloads(ObjectCache(bytes_per_thread=20))
    for key in ("a", "b", "a", "c"):
        downloads.get(key)
    assert ["a", "b", "c"] == downloads.calls
    downloads.get("a")
    assert ["a", "b", "c"] == downloads.calls
    downloads.get("b")
    assert ["a", "b", "c", "b"] == downloads.calls


def test_an_object_that_is_larger_than_the_bound_is_kept_alone() -> None:
    downloads = Downloads(ObjectCache(bytes_per_thread=5))
    for key in ("a", "a", "b", "b", "a"):
        downloads.get(key)
    assert ["a", "b", "a"] == downloads.calls


def test_the_bound_grows_with_the_threads_that_use_the_cache_and_shrinks_when_they_end() -> None:
    downloads = Downloads(ObjectCache(bytes_per_thread=10))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(downloads.get, "a").result(10)
        downloads.get("b")
        pool.submit(downloads.get, "a").result(10)
        assert ["a", "b"] == downloads.calls
    downloads.get("c")
    downloads.get("b")
    assert ["a", "b", "c", "b"] == downloads.calls


def test_a_failed_download_is_raised_and_the_next_one_begins_anew() -> None:
    cache = ObjectCache()

    def fail() -> bytes:
        raise ValueError("no answer")

    with pytest.raises(ValueError, match="no answer"):
        cache.get("a", fail)
    assert b"data" == cache.get("a", lambda: b"data")


def test_a_thread_that_waited_for_a_failed_download_starts_its_own() -> None:
    cache, began, release = ObjectCache(), threading.Event(), threading.Event()

    def fail() -> bytes:
        began.set()
        assert release.wait(10)
        raise ValueError("no answer")

    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(cache.get, "a", fail)
        assert began.wait(10)
        waiting = pool.submit(cache.get, "a", lambda: b"data")
        release.set()
        assert isinstance(failing.exception(10), ValueError)
        assert b"data" == waiting.result(10)
