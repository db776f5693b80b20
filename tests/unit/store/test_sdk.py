"""A backend whose SDK is missing is refused with the command that installs it."""

from __future__ import annotations

import pytest

from tasks.model.errors import UnsupportedError
from tasks.store.sdk import required_sdk


def _import(missing: str) -> None:
    raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)


@pytest.mark.parametrize("missing", ["google", "google.cloud", "google.cloud.storage", "google.cloud.storage.retry"])
def test_a_missing_sdk_is_one_sentence_with_the_command_that_installs_it(missing: str) -> None:
    with pytest.raises(UnsupportedError) as refused, required_sdk("gcs", "google.auth", "google.cloud.storage"):
        _import(missing)

    assert (
        f"The backend 'gcs' needs the Python package {missing}, which is not installed. "
        "Run pip install 'prefect-kafka-backup[gcs]'."
    ) == str(refused.value)


@pytest.mark.parametrize("missing", ["", "requests", "google.cloud.storages", "goo", "tasks.store.gcs.missing"])
def test_another_missing_module_is_not_taken_for_the_sdk(missing: str) -> None:
    with pytest.raises(ModuleNotFoundError), required_sdk("gcs", "google.auth", "google.cloud.storage"):
        _import(missing)


def test_an_error_inside_the_sdk_is_raised_as_it_is() -> None:
    with pytest.raises(ImportError, match="cannot import name"), required_sdk("gcs", "google.cloud.storage"):
        raise ImportError("cannot import name 'x'", name="google.cloud.storage")
