"""A repository in two places: nothing that is overwritten or deleted early is in the first one."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.model.errors import DamagedError, UndeletedError
from tasks.model.setting_fields import validation_problems
from tasks.repository.leases import acquire
from tasks.repository.names import capture_lease_key, is_immutable
from tasks.repository.repository import Repository
from tasks.store.azure.settings import AzureSettings
from tasks.store.gcs.settings import GcsSettings
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo
from tasks.store.split import SplitStore
from tests.contract.stores import create
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log

LOCKED_MS = 10**12


class _Retained(MemoryStore):
    """A bucket with a retention policy: nothing in it can be overwritten or deleted."""

    def __init__(self) -> None:
        super().__init__("fixed", is_immutable=lambda key: True, lock_ms=LOCKED_MS)

    def put(self, key: str, body: Body) -> ObjectInfo:
        raise AssertionError(f"{key} was overwritten")

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        raise AssertionError(f"{key} was overwritten")


def _store() -> tuple[SplitStore, _Retained, MemoryStore]:
    fixed, mutable = _Retained(), MemoryStore("mutable")
    return SplitStore(fixed, mutable, is_immutable), fixed, mutable


def test_backups_overwrite_and_delete_nothing_in_the_first_place() -> None:
    store, fixed, mutable = _store()
    repository = make_repository(store)

    for _ in range(2):
        lease = acquire(store, capture_lease_key(SET))
        back_up(repository, [plain_log("orders", batches=3)])
        lease.release()

    assert {"data", "fragments", "meta"} == {key.split("/")[0] for key in keys(fixed, "")}
    assert {"heads", "repository.json"} <= {key.split("/")[0] for key in keys(mutable, "")}
    assert 2 == len(Repository.open(store, lambda: 1).state(SET).points)


def test_a_listing_of_both_places_is_in_order_and_complete() -> None:
    store, fixed, mutable = _store()
    for key in ("meta/a/log/2", "meta/a/checkpoints/1", "data/b", "heads/a", "meta/a/log/1"):
        create(store, key)

    listed = [info.key for info in store.list("")]

    assert sorted(["meta/a/log/2", "meta/a/checkpoints/1", "data/b", "heads/a", "meta/a/log/1"]) == listed
    assert ("checkpoints", "log") == store.list_folders("meta/a/")
    assert (["data/b", "meta/a/log/1", "meta/a/log/2"], ["heads/a", "meta/a/checkpoints/1"]) == (
        keys(fixed, ""),
        keys(mutable, ""),
    )


def test_an_object_in_the_wrong_place_is_not_listed_because_nothing_reads_it_there() -> None:
    store, fixed, _ = _store()
    create(fixed, "heads/a")

    assert [] == list(store.list(""))


def test_what_the_first_place_refuses_to_delete_is_named_and_the_rest_deleted() -> None:
    store, fixed, mutable = _store()
    for key in ("data/a", "heads/a"):
        create(store, key)

    with pytest.raises(UndeletedError) as refused:
        store.delete(["data/a", "heads/a"])

    assert ["data/a"] == list(refused.value.locked)
    assert (["data/a"], []) == (keys(fixed, ""), keys(mutable, ""))


def test_a_repository_is_not_opened_without_its_second_place() -> None:
    store, fixed, _ = _store()
    back_up(make_repository(store), [plain_log("orders", batches=3)])

    with pytest.raises(DamagedError, match="If this repository has a mutable_bucket, mutable_container or mutable_pr"):
        Repository.open(fixed, lambda: 1)


@pytest.mark.parametrize(
    ("fields", "is_refused"),
    [
        ({"mutable_prefix": "heads"}, True),
        ({"prefix": "team", "mutable_prefix": "team/heads"}, True),
        ({"prefix": "team/data", "mutable_prefix": "team"}, True),
        ({"mutable_bucket": "backups"}, True),
        ({"prefix": "team", "mutable_prefix": "team-heads"}, False),
        ({"mutable_bucket": "heads"}, False),
        ({"prefix": "team", "mutable_bucket": "heads", "mutable_prefix": "team"}, False),
    ],
)
def test_the_two_places_cannot_contain_one_another(fields: dict[str, Any], is_refused: bool) -> None:
    azure = {name.replace("bucket", "container"): value for name, value in fields.items()}
    for kind, section in (
        (GcsSettings, {"bucket": "backups", **fields}),
        (AzureSettings, {"account_name": "account", "container_name": "backups", **azure}),
    ):
        try:
            kind.model_validate(section)
            problem = ""
        except ValidationError as error:
            problem = validation_problems(error)
        assert is_refused == ("the place for mutable objects contains the other one, or is inside it" in problem)
