"""A repository on real servers whose heads, leases and pins are in another bucket or container."""

from __future__ import annotations

import pytest

from tasks.config.adapters import store_of
from tasks.config.new_repository import opened_or_created
from tasks.repository.names import is_immutable
from tasks.repository.repository import Repository
from tasks.store.registry import StorageSettings, open_store
from tests.support.azurite import Azurite
from tests.support.fake_gcs import FakeGcs
from tests.support.made_backup import SET, back_up, keys
from tests.support.made_logs import plain_log


def _split(server: Azurite | FakeGcs) -> StorageSettings:
    """Settings with a second bucket or container."""
    if isinstance(server, Azurite):
        place = {"mutable_container": server.new_container(), "mutable_prefix": "team"}
        return server.settings(server.new_container(), "team", **place)
    place = {"mutable_bucket": server.new_bucket(), "mutable_prefix": "team"}
    return server.settings(server.new_bucket(), "team", **place)


@pytest.mark.parametrize(
    "server",
    [pytest.param("fake_gcs", marks=pytest.mark.fake_gcs), pytest.param("azurite", marks=pytest.mark.azurite)],
)
def test_what_is_overwritten_is_in_the_second_place_alone(server: str, request: pytest.FixtureRequest) -> None:
    settings = _split(request.getfixturevalue(server))
    second = settings.mutable_settings()
    assert second is not None
    first = settings.model_copy(update={"mutable_bucket": None, "mutable_container": None, "mutable_prefix": ""})

    repository, is_created = opened_or_created(settings, lambda: 1)
    back_up(repository, [plain_log("orders", batches=3)])

    assert is_created
    assert 1 == len(Repository.open(store_of(settings), lambda: 2).state(SET).points)
    fixed, mutable = keys(open_store(first), ""), keys(open_store(second), "")
    assert {"data", "fragments", "meta"} == {key.split("/")[0] for key in fixed}
    assert all(map(is_immutable, fixed))
    assert "repository.json" in mutable
    assert not any(map(is_immutable, mutable))
