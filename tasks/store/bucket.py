"""Opens what a store has besides its objects, if its backend has it: the lifecycle rules of its bucket, and its
archive. Calls are repeated as those of the store."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tasks.model.errors import OutcomeUnknownError, RefusedError, UnsupportedError
from tasks.model.waiting import Contact, OnWaiting
from tasks.store.archive import ObjectArchive, RetrievalTier
from tasks.store.azure.settings import AzureSettings
from tasks.store.bucket_rules import BucketRule, BucketRules, BucketState
from tasks.store.gcs.settings import GcsSettings
from tasks.store.registry import AZURE_SDK, StorageSettings
from tasks.store.retrying import DEADLINE_MS, RepeatedCalls
from tasks.store.s3.settings import S3Settings
from tasks.store.sdk import required_sdk


def open_bucket_rules(
    settings: StorageSettings,
    *,
    stop: threading.Event,
    on_waiting: OnWaiting | None = None,
    deadline_ms: int = DEADLINE_MS,
) -> BucketRules:
    """The lifecycle rules of the settings' bucket. Calls are repeated for at most `deadline_ms`. Raises
    `UnsupportedError` if the backend has no such rules, and the errors of `open_store`."""
    if isinstance(settings, AzureSettings):
        raise UnsupportedError(
            f"The lifecycle rules of {settings.location} belong to its storage account, and this program does not "
            "read or write them: see the portal of Azure."
        )
    if isinstance(settings, GcsSettings):
        raise UnsupportedError(
            f"This program does not read or write the lifecycle rules of {settings.bucket_location}: use `gcloud "
            "storage buckets update --lifecycle-file`."
        )
    if not isinstance(settings, S3Settings):
        raise UnsupportedError(
            f"{settings.location} has no lifecycle rules: only a bucket has them, not a folder or a memory."
        )
    from tasks.store.s3.bucket_rules import S3BucketRules

    return RetryingBucketRules(S3BucketRules(settings), _repeated(settings, stop, on_waiting, deadline_ms))


def open_archive(
    settings: StorageSettings, *, stop: threading.Event, on_waiting: OnWaiting | None = None
) -> ObjectArchive:
    """The archived objects of the store. Raises `UnsupportedError` if the backend has no archive, and the errors of
    `open_store`."""
    repeated = _repeated(settings, stop, on_waiting)
    match settings:
        case S3Settings():
            from tasks.store.s3.s3_archive import S3Archive

            return RetryingArchive(S3Archive(settings), repeated)
        case AzureSettings():
            with required_sdk(*AZURE_SDK):
                from tasks.store.azure.azure_archive import AzureArchive

                return RetryingArchive(AzureArchive(settings), repeated)
        case GcsSettings():
            raise UnsupportedError(
                f"{settings.location} has no archived objects: Google Cloud Storage reads every storage class at once."
            )
        case _:
            raise UnsupportedError(
                f"{settings.location} has no archived objects: only buckets and containers have them."
            )


class RetryingArchive:
    """An archive whose calls are repeated."""

    def __init__(self, inner: ObjectArchive, call: RepeatedCalls) -> None:
        self._inner = inner
        self._call = call

    def bring_back(self, key: str, *, days: int | None, tier: RetrievalTier) -> None:
        self._call(f"bring back {key}", lambda: self._inner.bring_back(key, days=days, tier=tier))


class RetryingBucketRules:
    """Rules whose calls are repeated. After `replace` the caller has to read the rules back: a write whose response was
    lost counts as carried out if the rules changed meanwhile."""

    def __init__(self, inner: BucketRules, call: RepeatedCalls) -> None:
        self._inner = inner
        self._call = call

    @property
    def root(self) -> str:
        return self._inner.root

    def read(self) -> BucketState:
        return self._call("read the lifecycle rules", self._inner.read)

    def replace(self, before: BucketState, rules: Sequence[BucketRule]) -> None:
        is_unknown = False

        def attempt() -> None:
            nonlocal is_unknown
            try:
                self._inner.replace(before, rules)
            except OutcomeUnknownError:
                is_unknown = True
                raise
            except RefusedError:
                if not is_unknown:
                    raise

        self._call("write the lifecycle rules", attempt)


def _repeated(
    settings: StorageSettings, stop: threading.Event, on_waiting: OnWaiting | None, deadline_ms: int = DEADLINE_MS
) -> RepeatedCalls:
    return RepeatedCalls(
        subject=settings.address,
        deadline_ms=deadline_ms,
        connect_timeout_ms=settings.first_answer_ms,
        contact=Contact(on_waiting),
        stop=stop,
    )
