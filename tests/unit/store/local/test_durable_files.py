"""Files and folders that survive a power loss."""

from __future__ import annotations

import ctypes
import mmap
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.store.local.durable_files import link_new, make_folder, temporary_file, write_all


def test_buffers_are_written_in_order_when_the_kernel_writes_only_part_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short_writev(descriptor: int, buffers: Sequence[bytes | memoryview]) -> int:
        return os.write(descriptor, b"".join(buffers)[:7])

    monkeypatch.setattr(os, "writev", short_writev)
    parts: list[bytes | memoryview] = [b"", b"abc", memoryview(b"defghij"), b"", b"k" * 20, b"l"]
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    write_all(descriptor, parts)
    os.close(descriptor)
    assert b"".join(parts) == (tmp_path / "file").read_bytes()


def test_more_buffers_than_one_call_accepts_are_all_written(tmp_path: Path) -> None:
    whole = os.urandom(5000)
    with temporary_file(tmp_path, [whole[at : at + 1] for at in range(5000)]) as temporary:
        assert whole == temporary.path.read_bytes()


def test_a_temporary_file_is_removed_after_success_and_after_a_failure(tmp_path: Path) -> None:
    def interrupted() -> None:
        with temporary_file(tmp_path, [b"x"]) as temporary:
            assert [temporary.path] == list(tmp_path.iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_a_later_time_than_the_file_it_replaces_when_the_clock_went_back(tmp_path: Path) -> None:
    ahead_ns = time.time_ns() + 10**12
    with temporary_file(tmp_path, [b"x"], after_ns=ahead_ns) as temporary:
        assert temporary.status.st_mtime_ns == ahead_ns + 1


def test_a_repeated_link_of_the_same_file_counts_as_new(tmp_path: Path) -> None:
    with temporary_file(tmp_path, [b"x"]) as temporary:
        assert link_new(temporary.path, tmp_path / "final")
        assert link_new(temporary.path, tmp_path / "final")
    with temporary_file(tmp_path, [b"y"]) as temporary:
        assert not link_new(temporary.path, tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"x"


def test_making_a_folder_again_is_no_error(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system has no posix_fadvise")
def test_a_large_file_is_dropped_from_the_page_cache_and_a_small_one_is_kept(tmp_path: Path) -> None:
    with open(_written(tmp_path, 16 << 10), "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if _pages_in_memory(Path(file.name)):
            pytest.skip("this file system keeps its files in memory")

    assert 0 == _pages_in_memory(_written(tmp_path, 2 << 20))
    assert 4 == _pages_in_memory(_written(tmp_path, 16 << 10))


def _written(folder: Path, size_bytes: int) -> Path:
    final = folder / f"{size_bytes}-{len(list(folder.iterdir()))}"
    with temporary_file(folder, [bytes(size_bytes)]) as temporary:
        assert link_new(temporary.path, final)
    return final


def _pages_in_memory(file: Path) -> int:
    """The count of mincore(2), which returns a byte for each page."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(file, "r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        pages = (ctypes.c_ubyte * (len(mapped) // mmap.PAGESIZE))()
        whole = ctypes.c_char.from_buffer(mapped)
        try:
            failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(whole)), ctypes.c_size_t(len(mapped)), pages)
        finally:
            del whole
    assert not failed, os.strerror(ctypes.get_errno())
    return sum(page & 1 for page in pages)
