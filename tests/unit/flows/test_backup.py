"""The flow `snapshot-backup` in cases that need no Kafka."""

from __future__ import annotations

import threading
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType

from blocks import KafkaCluster
from flows.backup import snapshot_backup
from tasks.repository.leases import acquire, kept
from tasks.repository.names import capture_lease_key
from tasks.store.local.local_store import LocalStore
from tests.support.made_backup import SET


def test_a_run_whose_set_is_locked_is_skipped_and_names_the_owner(
    client: SyncPrefectClient, repository_name: str, tmp_path: Path
) -> None:
    KafkaCluster(bootstrap_servers=["127.0.0.1:9"]).save("nobody", overwrite=True)
    lease = acquire(LocalStore(tmp_path, create=False), capture_lease_key(SET), ttl_ms=2000)

    with kept(lease, threading.Event()):
        state = snapshot_backup(SET, "nobody", repository_name, return_state=True)

    assert (StateType.COMPLETED, "Skipped") == (state.type, state.name)
    assert lease.record.owner in (state.message or "")
    run = client.read_flow_run(state.state_details.flow_run_id)  # type: ignore[arg-type]
    assert "Skipped" == run.state_name
    assert run.name.startswith(f"{SET} 20")


def test_an_invalid_set_name_fails_before_anything_is_written(client: object, tmp_path: Path) -> None:
    state = snapshot_backup("no/name", "nobody", "none", return_state=True)

    assert StateType.FAILED == state.type
    assert "not a name for a backup set" in (state.message or "")
    assert [] == list(tmp_path.iterdir())
