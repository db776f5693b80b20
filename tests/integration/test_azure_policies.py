"""The roles of `deployments/policies` for Azure, and the permissions of a SAS token for each.

Azurite checks the permissions of SAS tokens and no roles. So each role's work runs with its SAS token, and the requests
that it sends are compared with the data actions of the role, by Azure's documentation of each request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.model.errors import AccessError, KafkaBackupError, UndeletedError
from tasks.store.archive import ObjectArchive
from tasks.store.azure.azure_archive import AzureArchive
from tasks.store.azure.azure_store import AzureStore
from tasks.store.azure.error_responses import PERMISSIONS
from tasks.store.protocol import ObjectStore
from tests.contract.stores import create
from tests.support.azurite import ACCOUNT, Azurite
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.store_cases import AzureCase
from tests.support.store_shell import StoreShell
from tests.support.tcp_proxy import Answer, Request, TcpProxy

pytestmark = pytest.mark.azurite

POLICIES = Path(__file__).resolve().parents[2] / "deployments" / "policies"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
SAS = {"writer": "rwl", "reader": "rl", "pruner": "rwdl"}
"""The permissions of a SAS token for each role, as docs/AZURE.md prints them."""

ACTIONS = {
    ("GET", "list"): f"{BLOBS}/read",  # List Blobs
    ("GET", ""): f"{BLOBS}/read",  # Get Blob
    ("HEAD", ""): f"{BLOBS}/read",  # Get Blob Properties
    ("PUT", ""): f"{BLOBS}/write",  # Put Blob
    ("PUT", "tier"): f"{BLOBS}/write",  # Set Blob Tier
    ("DELETE", ""): f"{BLOBS}/delete",  # Delete Blob
}
"""The data action that Azure's documentation names for each request, by its method and its `comp`."""


class Recorder:
    """A container behind a proxy that keeps the kind of each request."""

    def __init__(self, azurite: Azurite, proxy: TcpProxy) -> None:
        self.container = azurite.new_container()
        self.sent: set[tuple[str, str]] = set()
        self._azurite = azurite
        self._endpoint = f"{proxy.endpoint}/{ACCOUNT}"
        proxy.refuse_when(self._note, Answer(500, "never"))

    def store(self, permission: str | None = None) -> AzureStore:
        """The store with these permissions, or with the owner's."""
        return AzureStore(self._azurite.settings(self.container, "team", **self._credentials(permission)))

    def archive(self) -> ObjectArchive:
        """The archive as the owner reaches it."""
        return AzureArchive(self._azurite.settings(self.container, "team", **self._credentials(None)))

    def _credentials(self, permission: str | None) -> dict[str, str | None]:
        own = {} if permission is None else {"account_key": None, "sas_token": self._token(permission)}
        return {"endpoint": self._endpoint, **own}

    def _token(self, permission: str) -> str:
        return self._azurite.sas(self.container, permission)

    def _note(self, request: Request) -> bool:
        comp = parse_qs(urlsplit(request.path).query).get("comp", [""])[0]
        self.sent.add((request.method, comp))
        return False


@pytest.fixture
def recorder(azurite: Azurite) -> Iterator[Recorder]:
    with TcpProxy(azurite.port) as proxy:
        yield Recorder(azurite, proxy)


def _write(store: ObjectStore) -> None:
    repository = make_repository(store)
    for number in range(2):
        back_up(repository, [plain_log("orders", batches=3, first=number)])
    assert [SET] == repository.set_names()


def _read(store: ObjectStore) -> None:
    assert SET in store.list_folders("meta/")
    for info in store.list(""):
        assert info.size_bytes == store.head(info.key).size_bytes == len(store.get(info.key)[0])
        store.get_range(info.key, 0, 1)


def _prune(store: ObjectStore) -> None:
    version = store.compare_and_swap("leases/prune.json", [b"1"], expected=None).version
    store.compare_and_swap("leases/prune.json", [b"2"], expected=version)
    store.delete([info.key for info in store.list("data/")])
    assert [] == keys(store, "data/")


WORK: dict[str, Callable[[ObjectStore], None]] = {"writer": _write, "reader": _read, "pruner": _prune}


@pytest.mark.parametrize("role", WORK)
def test_a_role_has_exactly_the_data_actions_that_its_requests_need(recorder: Recorder, role: str) -> None:
    _write(recorder.store())
    recorder.sent.clear()

    WORK[role](recorder.store(SAS[role]))

    needed = {ACTIONS[sent] for sent in recorder.sent}
    assert sorted(needed) == sorted(_role(role)["DataActions"])


def test_every_request_of_the_adapter_has_the_data_action_that_its_messages_name(recorder: Recorder) -> None:
    create(recorder.store(), "archived")
    recorder.store()._blob("archived").set_standard_blob_tier("Archive")
    recorder.archive().bring_back("archived", days=1, tier="Standard")
    for work in WORK.values():
        work(recorder.store())

    assert set(ACTIONS) == recorder.sent
    assert set(ACTIONS.values()) == {permission.action for permission in PERMISSIONS.values()}


@pytest.mark.parametrize("letter", "rwl")
def test_each_permission_of_the_writers_token_is_needed_and_named_when_it_is_missing(
    recorder: Recorder, letter: str
) -> None:
    with pytest.raises(AccessError, match=f"The SAS token needs the permission '{letter}'"):
        _write(recorder.store(SAS["writer"].replace(letter, "")))


def test_a_writer_deletes_nothing(recorder: Recorder) -> None:
    _write(recorder.store(SAS["writer"]))
    before = keys(recorder.store(), "")

    with pytest.raises(UndeletedError, match="The SAS token needs the permission 'd'") as kept:
        recorder.store(SAS["writer"]).delete(before)

    assert sorted(before) == sorted(kept.value.denied)
    assert before == keys(recorder.store(), "")


def test_a_reader_lists_and_validates_and_writes_nothing(azurite: Azurite, tmp_path: Path) -> None:
    case = AzureCase(azurite)
    container = case.new_bucket()
    _write(case.open(container, "team"))
    token = azurite.sas(container, SAS["reader"])
    shell = StoreShell(tmp_path, secrets=(token, token.partition("sig=")[2]))
    section = case.section(container, account_key=None, sas_token=token)
    before = keys(case.open(container))

    for command in ("list", "list -v", f"describe --backup-id {SET}", f"validate --backup-id {SET} --level full"):
        said = shell.run(command, section)
        assert token.partition("sig=")[2] not in said.stdout + said.stderr

    store = AzureStore(azurite.settings(container, "team", account_key=None, sas_token=token))
    with pytest.raises(AccessError, match="The SAS token needs the permission 'w'"):
        create(store, "data/a")
    with pytest.raises(AccessError, match="The SAS token needs the permission 'w'"):
        store.put("heads/a", [b"x"])
    assert before == keys(case.open(container))


def test_a_token_of_another_container_opens_nothing(azurite: Azurite) -> None:
    container, other = azurite.new_container(), azurite.new_container()
    store = AzureStore(azurite.settings(container, account_key=None, sas_token=azurite.sas(other, "rwdl")))
    for call in (lambda: store.get("a"), lambda: list(store.list("")), lambda: create(store, "a")):
        with pytest.raises(KafkaBackupError) as refused:
            call()
        assert isinstance(refused.value, AccessError)


def _role(role: str) -> dict[str, list[str]]:
    definition: dict[str, list[str]] = json.loads((POLICIES / f"azure-{role}.json").read_text(encoding="utf-8"))
    assert [] == definition["Actions"] == definition["NotActions"] == definition["NotDataActions"]
    return definition
