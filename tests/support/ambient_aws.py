"""Hides what the machine that runs the tests knows of AWS from boto3, here and in processes that are started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_NOTHING = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def no_ambient_aws() -> Iterator[None]:
    """Neither variables nor files nor the machine's role."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in _NOTHING.items():
            patch.setenv(name, value)
        yield
