"""The roles of `deployments/policies` for Google Cloud Storage.

fake-gcs-server checks no permissions. So the work of each role is done without any, and the requests that it sends are
compared with the permissions of the role, by Google's documentation of each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from tasks.repository.leases import acquire
from tasks.store.gcs.error_responses import PERMISSIONS
from tasks.store.gcs.gcs_store import GcsStore
from tasks.store.probe import probe
from tasks.store.protocol import ObjectStore
from tests.support.fake_gcs import FakeGcs
from tests.support.made_backup import SET, back_up, keys, make_repository
from tests.support.made_logs import plain_log
from tests.support.tcp_proxy import Answer, Request, TcpProxy

pytestmark = pytest.mark.fake_gcs

ROOT = Path(__file__).resolve().parents[2]
MUTABLE = ("heads", "leases", "pins", "restores", "probe")
"""The folders in the condition that docs/GCS.md prints for the role `overwriter`."""

Need = tuple[str, str]
"""A permission and the first folder of the object, empty for a bucket."""


class Recorder:
    """A bucket behind a proxy that keeps what each request needs."""

    def __init__(self, server: FakeGcs, proxy: TcpProxy) -> None:
        self._settings = server.settings(server.new_bucket(), "team", endpoint=proxy.endpoint)
        self.needs: set[Need] = set()
        proxy.refuse_when(self._note, Answer(500, "never"))

    def store(self) -> GcsStore:
        """The store of the bucket."""
        return GcsStore(self._settings)

    @property
    def permissions(self) -> set[str]:
        return {permission for permission, _ in self.needs}

    def _note(self, request: Request) -> bool:
        self.needs.update(_needs(request.method, request.path, self._settings.bucket))
        return False


def _needs(method: str, path: str, bucket: str) -> Iterator[Need]:
    """What Google's documentation names for the request."""
    parts = urlsplit(path)
    query = parse_qs(parts.query)
    _, _, below = parts.path.partition(f"/b/{bucket}")
    name = unquote(below.removeprefix("/o/")) if below.startswith("/o/") else query.get("name", [""])[0]
    folder = name.removeprefix("team/").partition("/")[0]
    match method:
        case "POST":
            yield "storage.objects.create", folder
            if query.get("ifGenerationMatch") != ["0"]:  # it can overwrite an object
                yield "storage.objects.delete", folder
        case "DELETE":
            yield "storage.objects.delete", folder
        case "GET" if name:
            yield "storage.objects.get", folder
        case "GET" if below == "/o":
            yield "storage.objects.list", ""
        case "GET" if below == "":
            yield "storage.buckets.get", ""
        case _:
            raise AssertionError(f"an unknown request: {method} {path}")


@pytest.fixture
def recorder(fake_gcs: FakeGcs) -> Iterator[Recorder]:
    with TcpProxy(fake_gcs.port) as proxy:
        yield Recorder(fake_gcs, proxy)


def _write(store: ObjectStore) -> None:
    repository = make_repository(store)
    for number in range(2):
        back_up(repository, [plain_log("orders", batches=3, first=number)])
    assert [SET] == repository.set_names()
    acquire(store, "leases/orders.json").renew()


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
    store.get("repository.json")


WORK: dict[str, Callable[[ObjectStore], None]] = {"reader": _read, "pruner": _prune}


@pytest.mark.parametrize("role", WORK)
def test_a_role_has_exactly_the_permissions_that_its_requests_need(recorder: Recorder, role: str) -> None:
    _write(recorder.store())
    recorder.needs.clear()

    WORK[role](recorder.store())

    assert _role(role) == recorder.permissions


def test_a_writer_overwrites_only_in_the_folders_of_the_condition_that_the_documentation_prints(
    recorder: Recorder,
) -> None:
    _write(recorder.store())

    is_optional = {"storage.buckets.get"}  # whether the bucket keeps what is deleted
    assert _role("writer") | _role("overwriter") == recorder.permissions - is_optional
    overwritten = {folder for permission, folder in recorder.needs if permission == "storage.objects.delete"}
    assert {"heads", "leases"} <= overwritten <= set(MUTABLE)
    quoted = ", ".join(f'"{folder}"' for folder in MUTABLE)
    assert f"in [{quoted}]" in (ROOT / "docs" / "GCS.md").read_text()


def test_the_test_of_the_store_needs_nothing_outside_its_folder(recorder: Recorder) -> None:
    """The bucket is read before the first deletion, if that is allowed."""
    assert all(probe(recorder.store()).to_json().values())
    assert {"probe", ""} == {folder for _, folder in recorder.needs}
    assert recorder.permissions - {"storage.buckets.get"} <= _role("writer") | _role("overwriter")


def test_every_request_of_the_adapter_has_the_permission_that_its_messages_name(recorder: Recorder) -> None:
    _write(recorder.store())
    for work in WORK.values():
        work(recorder.store())
    assert set(PERMISSIONS.values()) == recorder.permissions


def _role(name: str) -> set[str]:
    role = yaml.safe_load((ROOT / "deployments" / "policies" / f"gcs-{name}.yaml").read_text())
    assert {"title", "description", "stage", "includedPermissions"} == set(role)
    return set(role["includedPermissions"])
