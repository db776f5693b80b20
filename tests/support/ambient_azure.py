"""Hides what the machine that runs the tests knows of Azure from the SDK, here and in processes that are started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_PREFIXES = ("AZURE_", "IDENTITY_", "IMDS_", "MSI_")


@contextmanager
def no_ambient_azure() -> Iterator[None]:
    """No variables of an identity. The machine's own identity stays, so tests name the identity that they use."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_PREFIXES)]:
            patch.delenv(name)
        yield
