"""Hides what the machine that runs the tests knows of Google's cloud from its libraries, here and in processes that are
started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_PREFIXES = ("GOOGLE_", "CLOUDSDK_", "STORAGE_EMULATOR_HOST", "GCE_METADATA_")
_NOTHING = {"CLOUDSDK_CONFIG": "/nonexistent", "NO_GCE_CHECK": "true"}


@contextmanager
def no_ambient_google() -> Iterator[None]:
    """Neither variables nor files nor the machine's service account."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_PREFIXES)]:
            patch.delenv(name)
        for name, value in _NOTHING.items():
            patch.setenv(name, value)
        yield
