"""Hides what the machine that runs the tests knows of Azure from the SDK, here and in processes that are started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_NO_IDENTITY = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:1"}
"""Nothing listens there, so no machine that runs the tests has an identity."""

_PREFIXES = ("AZURE_", "IDENTITY_", "IMDS_", "MSI_")


@contextmanager
def no_ambient_azure() -> Iterator[None]:
    """No variables of an identity, and no identity of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_PREFIXES)]:
            patch.delenv(name)
        for name, value in _NO_IDENTITY.items():
            patch.setenv(name, value)
        yield
