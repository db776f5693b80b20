"""What only Azure has: archived blobs, directories of a hierarchical namespace, snapshots, leases, and policies that
keep blobs. Azurite ignores policies, so a proxy answers as Azure does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from azure.storage.blob import StandardBlobTier

from tasks.config.new_repository import opened_or_created
from tasks.model.errors import (
    ConfigError,
    ObjectArchivedError,
    ObjectNotFoundError,
    StoreError,
    UndeletedError,
    UnsupportedError,
)
from tasks.store.azure.azure_store import AzureStore
from tasks.store.bucket import open_archive, open_bucket_rules
from tests.contract.stores import create
from tests.support.azurite import ACCOUNT, Azurite
from tests.support.made_backup import keys
from tests.support.tcp_proxy import Answer, Request, TcpProxy

pytestmark = pytest.mark.azurite


@pytest.fixture
def container(azurite: Azurite) -> str:
    return azurite.new_container()


@pytest.fixture
def store(azurite: Azurite, container: str) -> AzureStore:
    return AzureStore(azurite.settings(container, "team"))


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[TcpProxy]:
    with TcpProxy(azurite.port) as running:
        yield running


# ── archived blobs ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tier", ["Standard", "Expedited"])
def test_an_archived_blob_is_named_and_can_be_brought_back(
    azurite: Azurite, store: AzureStore, container: str, tier: str
) -> None:
    for key in ("data/a", "data/b"):
        create(store, key, b"records")
    azurite.container(container).get_blob_client("team/data/a").set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    archive = open_archive(azurite.settings(container, "team"), stop=threading.Event())

    for read in (lambda: store.get("data/a"), lambda: store.get_range("data/a", 0, 1)):
        with pytest.raises(ObjectArchivedError, match="`kafka-backup thaw-objects` asks for that"):
            read()
    archived, other = store.list("data/")
    assert archived.archive == store.head("data/a").archive
    assert ("Archive", "archived") == (archived.archive and (archived.archive.storage_class, archived.archive.state))
    assert other.is_readable
    assert not archived.is_readable

    for _ in range(2):
        archive.bring_back("data/a", days=1, tier=tier)  # type: ignore[arg-type]
    assert b"records" == store.get("data/a")[0]
    assert store.head("data/a").archive is None
    with pytest.raises(UnsupportedError, match="Azure has no retrieval tier Bulk: use Standard or Expedited"):
        archive.bring_back("data/a", days=1, tier="Bulk")
    with pytest.raises(ObjectNotFoundError):
        archive.bring_back("data/none", days=1, tier="Standard")


def test_the_lifecycle_rules_of_an_account_are_not_those_of_a_container(azurite: Azurite, container: str) -> None:
    with pytest.raises(UnsupportedError, match="belong to its storage account"):
        open_bucket_rules(azurite.settings(container), stop=threading.Event())


# ── directories ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["hdi_isfolder", "Hdi_IsFolder"])
def test_a_directory_of_a_hierarchical_namespace_is_no_object(
    azurite: Azurite, store: AzureStore, container: str, name: str
) -> None:
    for folder in ("team", "team/data", "team/data/set"):
        azurite.container(container).upload_blob(folder, b"", metadata={name: "true"})
    create(store, "data/set/a")

    assert ["data/set/a"] == keys(store)
    assert ("set",) == store.list_folders("data/")
    for read in (store.get, store.head):
        with pytest.raises(ObjectNotFoundError):
            read("data")


@pytest.mark.parametrize("code", ["DirectoryIsNotEmpty", "DirectoryNotEmpty"])
def test_a_deletion_that_meets_a_directory_with_blobs_is_no_error(
    azurite: Azurite, store: AzureStore, container: str, proxy: TcpProxy, code: str
) -> None:
    create(store, "data/a")
    proxy.refuse_when(lambda request: request.path.endswith("/data"), Answer(409, code))
    through = AzureStore(azurite.settings(container, "team", endpoint=f"{proxy.endpoint}/{ACCOUNT}"))

    assert 0 == through.delete(["data", "data/a"])

    assert [] == keys(store)


# ── what Azure keeps ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_blob_with_a_snapshot_stays_and_the_others_are_deleted(
    azurite: Azurite, store: AzureStore, container: str
) -> None:
    for key in ("data/a", "data/b"):
        create(store, key)
    azurite.container(container).get_blob_client("team/data/a").create_snapshot()

    with pytest.raises(UndeletedError, match="has snapshots, and they would be deleted with it") as kept:
        store.delete(["data/a", "data/b", "data/none"])

    assert ["data/a"] == list(kept.value.denied) == keys(store)


def test_a_blob_with_a_lease_of_another_program_is_neither_replaced_nor_deleted(
    azurite: Azurite, store: AzureStore, container: str
) -> None:
    version = store.put("heads/a", [b"1"]).version
    azurite.container(container).get_blob_client("team/heads/a").acquire_lease(60)

    with pytest.raises(StoreError, match="has a lease of another program"):
        store.put("heads/a", [b"2"])
    with pytest.raises(StoreError, match="has a lease of another program") as refused:
        store.compare_and_swap("heads/a", [b"2"], expected=version)
    assert StoreError is type(refused.value), "a swap is not lost for ever"
    with pytest.raises(UndeletedError, match="has a lease of another program: end the lease"):
        store.delete(["heads/a"])


def test_a_blob_under_a_policy_is_locked_and_the_others_are_deleted(
    azurite: Azurite, store: AzureStore, container: str, proxy: TcpProxy
) -> None:
    for key in ("data/a", "data/b"):
        create(store, key)
    proxy.refuse_when(
        lambda request: request.method == "DELETE" and request.path.endswith("/data/a"),
        Answer(409, "BlobImmutableDueToPolicy"),
    )
    through = AzureStore(azurite.settings(container, "team", endpoint=f"{proxy.endpoint}/{ACCOUNT}"))

    with pytest.raises(UndeletedError) as kept:
        through.delete(["data/a", "data/b"])

    assert {"data/a": None} == dict(kept.value.locked)
    assert ["data/a"] == keys(store)


def test_a_container_whose_policy_allows_no_overwriting_is_refused_by_name(
    azurite: Azurite, container: str, proxy: TcpProxy
) -> None:
    written: set[str] = set()

    def replaces(request: Request) -> bool:
        path = request.path.partition("?")[0]
        if request.method != "PUT" or request.has("If-None-Match"):
            return False
        is_second = path in written
        written.add(path)
        return is_second

    proxy.refuse_when(replaces, Answer(409, "BlobImmutableDueToPolicy"))
    settings = azurite.settings(container, "team", endpoint=f"{proxy.endpoint}/{ACCOUNT}")

    with pytest.raises(ConfigError) as refused:
        opened_or_created(settings, lambda: 1)

    assert "because an immutability policy or a legal hold protects it" in str(refused.value)
    assert [] == keys(AzureStore(azurite.settings(container, "team")), "meta/")
