"""Every registered backend: its YAML section, its URL, its block and its open store agree.

A new backend needs an example here; the tests run for every backend of the registry.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks import block_types
from tasks.config.load import load_repository
from tasks.flow_support.wiring import field_values
from tasks.model.errors import ConfigError
from tasks.store.registry import BACKENDS, KEYS, StorageSettings, open_store, settings_from_url

SECRET = "geheim-7f3a"
AZURE_KEY = b64encode(SECRET.encode()).decode()
CUSTOMER_KEY = b64encode(SECRET.ljust(32, "!").encode()).decode()


@dataclass(frozen=True, slots=True)
class Example:
    """Sections that together have all keys, none with its default; and a URL with the keys that it means. `others` are
    sections with keys that cannot be used together with those of `section`."""

    section: Mapping[str, object]
    url: str
    url_section: Mapping[str, object]
    others: tuple[Mapping[str, object], ...] = ()

    @property
    def sections(self) -> tuple[Mapping[str, object], ...]:
        return (self.section, *self.others)


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Example]:
    """With application default credentials of Google, because a store without any cannot be opened."""
    folder = str(tmp_path)
    google = {"type": "authorized_user", "client_id": "a", "client_secret": SECRET, "refresh_token": SECRET}
    (tmp_path / "google.json").write_text(json.dumps(google), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{folder}/google.json")
    return {
        "filesystem": Example({"path": folder, "prefix": "team"}, f"file://{folder}", {"path": folder}),
        "memory": Example({"path": "demo", "prefix": "team"}, "memory://demo", {"path": "demo"}),
        "azure": Example(
            {
                "account_name": "account",
                "container_name": "backups",
                "prefix": "team",
                "endpoint": "http://127.0.0.1:1/account",
                "account_key": AZURE_KEY,
                "allow_http": True,
                "connect_timeout_ms": 5_000,
            },
            "az://account/backups/team",
            {"account_name": "account", "container_name": "backups", "prefix": "team"},
            (
                {
                    "account_name": "account",
                    "container_name": "backups",
                    "sas_token": f"sv=1&sig={SECRET}",
                    "mutable_container": "heads",
                    "mutable_prefix": "team",
                },
                {"container_name": "backups", "connection_string": f"AccountName=account;AccountKey={AZURE_KEY}"},
                {
                    "account_name": "account",
                    "container_name": "backups",
                    "use_workload_identity": True,
                    "client_id": "client",
                    "tenant_id": "tenant",
                },
                {
                    "account_name": "account",
                    "container_name": "backups",
                    "client_id": "client",
                    "tenant_id": "tenant",
                    "client_secret": SECRET,
                },
            ),
        ),
        "gcs": Example(
            {
                "bucket": "backups",
                "prefix": "team",
                "endpoint": "http://127.0.0.1:1",
                "project": "billing",
                "allow_http": True,
                "connect_timeout_ms": 5_000,
            },
            "gs://backups/team",
            {"bucket": "backups", "prefix": "team"},
            (
                {
                    "bucket": "backups",
                    "service_account_path": "/etc/kafka-backup/google.json",
                    "mutable_bucket": "heads",
                    "mutable_prefix": "team",
                },
                {"bucket": "backups", "service_account_json": json.dumps({"private_key": SECRET})},
            ),
        ),
        "s3": Example(
            {
                "bucket": "backups",
                "prefix": "team",
                "region": "us-west-2",
                "endpoint": "http://127.0.0.1:1",
                "path_style": True,
                "allow_http": True,
                "access_key": "AKIA",
                "secret_key": SECRET,
                "session_token": f"{SECRET}-2",
                "sse": "aws:kms",
                "sse_kms_key_id": "key-1",
                "sse_kms_context": {"team": "platform"},
                "storage_class": "STANDARD_IA",
                "tags": {"team": "platform"},
                "requester_pays": True,
                "expected_bucket_owner": "123456789012",
                "object_lock_mode": "compliance",
                "object_lock_for": "30d",
                "single_writer": True,
                "connect_timeout_ms": 5_000,
            },
            "s3://backups/team",
            {"bucket": "backups", "prefix": "team"},
            (
                {
                    "bucket": "backups",
                    "profile": "backup",
                    "role_arn": "arn:aws:iam::123456789012:role/backup",
                    "external_id": "id-1",
                    "ca_bundle": "/etc/ca.pem",
                    "use_fips_endpoint": True,
                    "use_dualstack_endpoint": True,
                    "sse_customer_key": CUSTOMER_KEY,
                },
                {"bucket": "backups", "role_arn": "arn:r", "web_identity_token_file": "/var/token"},
            ),
        ),
    }


def _read(folder: Path, section: Mapping[str, object], environment: Mapping[str, str] | None = None) -> StorageSettings:
    """The settings of a file with this storage section."""
    file = folder / "file.yaml"
    file.write_text(json.dumps({"storage": section}), encoding="utf-8")
    return load_repository(file, environment or {}).file.storage


def _settings(backend: str, section: Mapping[str, Any]) -> StorageSettings:
    return BACKENDS[backend].model_validate(section)


def test_there_is_an_example_with_all_keys_for_every_backend(examples: dict[str, Example]) -> None:
    assert {name: KEYS[name] - {"backend"} for name in BACKENDS} == {
        name: set().union(*example.sections) for name, example in examples.items()
    }


def test_no_two_backends_share_a_url_scheme_or_a_block_type() -> None:
    for values in ([kind.url_scheme for kind in BACKENDS.values()], [kind.block_type for kind in BACKENDS.values()]):
        assert len(values) == len(set(values))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_yaml_section_is_read_with_all_its_keys(examples: dict[str, Example], backend: str, tmp_path: Path) -> None:
    for section in examples[backend].sections:
        settings = _read(tmp_path, {"backend": backend, **section})

        assert BACKENDS[backend] is type(settings)
        assert section == {name: _plain(getattr(settings, name)) for name in section}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_url_means_the_same_as_its_section(examples: dict[str, Example], backend: str) -> None:
    example = examples[backend]

    settings = settings_from_url(example.url)

    assert _settings(backend, example.url_section) == settings
    assert settings == settings_from_url(settings.location)
    assert settings_from_url(BACKENDS[backend].url_example).backend == backend


@pytest.mark.parametrize("backend", [name for name, kind in BACKENDS.items() if kind.block_type])
def test_a_block_means_the_same_as_its_section(examples: dict[str, Example], backend: str) -> None:
    for section in examples[backend].sections:
        block = block_types()[str(BACKENDS[backend].block_type)].model_validate(section)

        values = field_values(block)
        assert section == {name: values.get(name) for name in section}, "a field is missing in the block"
        assert _settings(backend, section) == _settings(backend, values)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_open_store_has_the_location_of_its_settings(examples: dict[str, Example], backend: str) -> None:
    for section in (examples[backend].section, examples[backend].url_section):
        settings = _settings(backend, section)
        store = open_store(settings, create=True)
        store.close()

        assert settings.location == store.location
        assert settings.location.startswith(f"{settings.url_scheme}://")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_shown_section_means_the_same_and_has_variables_for_secrets(
    examples: dict[str, Example], backend: str, tmp_path: Path
) -> None:
    for section in examples[backend].sections:
        settings = _settings(backend, section)
        secrets = {name: one for name in section if isinstance(one := getattr(settings, name), SecretStr)}
        variables = {name.upper(): one.get_secret_value() for name, one in secrets.items()}

        shown = settings.shown_section()

        assert settings == _read(tmp_path, shown, variables)
        texts = f"{shown} {settings!r} {settings} {settings.location}"
        assert [] == [one for one in (SECRET, CUSTOMER_KEY, AZURE_KEY) if one in texts]


@pytest.mark.parametrize("backend", BACKENDS)
def test_keys_of_other_backends_are_refused_by_name(examples: dict[str, Example], backend: str, tmp_path: Path) -> None:
    others = sorted(frozenset().union(*KEYS.values()) - KEYS[backend])

    for key in others:
        with pytest.raises(ConfigError) as refused:
            _read(tmp_path, {"backend": backend, **examples[backend].section, key: SECRET})
        assert str(refused.value).endswith(f":1: {key!r} is not a key of backend {backend!r}.")
    assert others


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
