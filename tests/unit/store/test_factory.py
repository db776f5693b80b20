"""From URLs and locations to stores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.model.errors import ConfigError, NotFoundError, UnsupportedError
from tasks.store.factory import LocalLocation, MemoryLocation, location_from_url, open_store
from tasks.store.s3.location import S3Location


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("file:///backups/kafka", LocalLocation(Path("/backups/kafka"))),
        ("file://localhost/backups", LocalLocation(Path("/backups"))),
        ("file:///with%20space/%23", LocalLocation(Path("/with space/#"))),
        ("FILE:///upper", LocalLocation(Path("/upper"))),
        ("memory://demo", MemoryLocation("demo")),
        ("s3://bucket/team/kafka", S3Location(bucket="bucket", prefix="/team/kafka")),
    ],
)
def test_a_url_names_a_location(url: str, location: object) -> None:
    assert location == location_from_url(url)


@pytest.mark.parametrize("scheme", ["gs", "azure", "https"])
def test_a_store_that_is_not_here_yet_is_refused_with_one_sentence_and_no_secret(scheme: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        location_from_url(f"{scheme}://key:geheim@bucket/prefix")
    assert str(refused.value) == f"Storage at {scheme}:// is not available yet; use s3:// or file://."


@pytest.mark.parametrize(
    "url",
    ["", "/plain/path", "ftp://u:geheim@h/x", "file://host/geheim", "file:relative", "file://", "memory://", "memory://a/b",
     "s3://key:geheim@bucket/p", "s3://bucket/p?key=geheim", "file:///a?b=geheim", "file:///a#b", "http//geheim", "file://[geheim"],
)  # fmt: skip
def test_any_other_url_is_a_configuration_error_that_shows_the_right_form(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        location_from_url(url)
    assert "geheim" not in str(refused.value)
    assert any(form in str(refused.value) for form in ("file:///", "memory://", "s3://", "%23"))


def test_a_local_location_is_the_prefix_below_the_path(tmp_path: Path) -> None:
    store = open_store(LocalLocation(tmp_path, "/team/kafka/"), create=True)
    store.put("a", [b"x"])
    assert (tmp_path / "team/kafka/a").read_bytes() == b"x"
    assert store.location == f"file://{tmp_path}/team/kafka"
    assert open_store(location_from_url(store.location)).get("a")[0] == b"x"


def test_a_missing_folder_is_made_only_on_request(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_store(LocalLocation(tmp_path / "missing"))


@pytest.mark.parametrize("prefix", ["..", "a/../..", ".hidden", "a b"])
def test_a_prefix_that_leaves_the_path_is_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ConfigError):
        open_store(LocalLocation(tmp_path, prefix), create=True)
    assert list(tmp_path.iterdir()) == []


def test_memory_stores_are_shared_by_name_and_survive_closing() -> None:
    store = open_store(MemoryLocation("shared"))
    store.put("a", [b"x"])
    store.close()
    assert open_store(MemoryLocation("shared")).get("a")[0] == b"x"
    assert list(open_store(MemoryLocation("other")).list("")) == []


def test_importing_the_factory_imports_no_adapter() -> None:
    code = "import sys, tasks.store.factory; print(*sorted(name for name in sys.modules if 'tasks.store.' in name))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    adapters = {"tasks.store.s3.s3_store", "tasks.store.local.local_store", "tasks.store.memory.memory_store"}
    assert set() == adapters & set(shown.split())
