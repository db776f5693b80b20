"""The error for an SDK that is not installed. The SDKs of some backends are extras of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.model.errors import UnsupportedError


@contextmanager
def required_sdk(backend: str, *modules: str) -> Iterator[None]:
    """A context whose body imports the adapter of a backend, and with it the SDK.

    `modules` are the modules of the SDK. Raises `UnsupportedError` if one of them, or a module inside or around one of
    them, is not installed. `backend` is also the name of the extra with the SDK. Any other error of an import is
    raised as it is, because then an installation is broken.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not any(_are_related(error.name or "", module) for module in modules):
            raise
        raise UnsupportedError(
            f"The backend {backend!r} needs the Python package {error.name}, which is not installed. "
            f"Run pip install 'prefect-kafka-backup[{backend}]'."
        ) from None


def _are_related(missing: str, module: str) -> bool:
    """Whether one module contains the other, or both are the same. `google` contains `google.cloud.storage`, and both
    can be missing."""
    return bool(missing) and (f"{missing}.".startswith(f"{module}.") or f"{module}.".startswith(f"{missing}."))
