"""Giving freed memory back."""

from __future__ import annotations

import ctypes

import pytest

from tasks.engine import freed_memory
from tasks.engine.freed_memory import give_back_freed_memory


def test_it_asks_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(freed_memory, "_malloc_trim", lambda: asked.append)

    give_back_freed_memory()

    assert [0] == asked


def test_with_another_c_library_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    freed_memory._malloc_trim.cache_clear()

    give_back_freed_memory()

    freed_memory._malloc_trim.cache_clear()
