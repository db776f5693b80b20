"""Makes the context of a check from the sections of a file. A check has shorter timeouts than a run, because a person
waits for its result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from tasks.broker.kafka_access import KafkaAccess
from tasks.config.adapters import connection_options
from tasks.config.models import ClusterSection, StorageSection
from tasks.engine.check import CheckContext
from tasks.repository.names import is_immutable
from tasks.repository.repository import Repository
from tasks.store.bucket import open_bucket_rules
from tasks.store.bucket_rules import BucketRules
from tasks.store.local.settings import LocalSettings
from tasks.store.memory.settings import MemorySettings
from tasks.store.registry import open_store
from tasks.store.retrying import RetryingStore
from tasks.store.trial import TRIAL_DEADLINE_MS, free_bytes, open_trial

_REQUEST_TIMEOUT_MS = 10_000
_RETRY_DEADLINE_MS = 20_000


def check_context(
    cluster: ClusterSection, storage: StorageSection, *, now_ms: Callable[[], int], stop: threading.Event
) -> CheckContext:
    """The context to check this cluster and this store. Opens nothing; the check opens them when it needs them."""

    def open_cluster() -> KafkaAccess:
        options = connection_options(cluster)
        return KafkaAccess(
            replace(options, request_timeout_ms=_REQUEST_TIMEOUT_MS, retry_deadline_ms=_RETRY_DEADLINE_MS)
        )

    def open_repository() -> Repository:
        store = RetryingStore(open_store(storage, is_immutable=is_immutable), deadline_ms=TRIAL_DEADLINE_MS, stop=stop)
        return Repository.open(store, now_ms)

    def open_bucket() -> BucketRules | None:
        if isinstance(storage, (LocalSettings, MemorySettings)):
            return None
        return open_bucket_rules(storage, stop=stop, deadline_ms=TRIAL_DEADLINE_MS)

    mutable = storage.mutable_settings()
    return CheckContext(
        location=storage.location,
        trial_location=(mutable or storage).location,
        open_data_place=None if mutable is None else lambda: open_trial(storage, stop=stop, in_data_place=True),
        open_cluster=open_cluster,
        open_trial=lambda: open_trial(storage, stop=stop),
        open_repository=open_repository,
        free_bytes=lambda: free_bytes(storage),
        open_bucket=open_bucket,
        now_ms=now_ms,
        stop=stop,
    )
