"""Repositories with the credentials of Prefect's own blocks for clouds, whose types every Prefect server knows."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import BlockDocumentCreate
from pydantic import SecretStr

from blocks import AzureRepository, GcsRepository, S3Repository
from tasks.flow_support.wiring import storage_section
from tasks.model.errors import ConfigError
from tasks.store.azure.settings import AzureSettings
from tasks.store.gcs.settings import GcsSettings
from tasks.store.s3.settings import S3Settings

SECRET = "marker-51c2"
AZURE_KEY = "bWFya2VyLTUxYzI="
ROLE = "arn:aws:iam::123456789012:role/backup"


def _saved(client: SyncPrefectClient, slug: str, **data: Any) -> str:
    """The name of a new block document of one of Prefect's own types."""
    name = f"block-{uuid4().hex[:8]}"
    kind = client.read_block_type_by_slug(slug)
    schema = client.get_most_recent_block_schema_for_block_type(kind.id)
    assert schema is not None
    client.create_block_document(
        BlockDocumentCreate(name=name, data=data, block_schema_id=schema.id, block_type_id=kind.id)
    )
    return name


def _reference(block: Any) -> str:
    name = f"block-{uuid4().hex[:8]}"
    block.save(name)
    return f"{block._block_type_slug}/{name}"


def test_an_s3_repository_takes_the_keys_of_aws_credentials(client: SyncPrefectClient) -> None:
    name = _saved(
        client,
        "aws-credentials",
        aws_access_key_id="AKIA",
        aws_secret_access_key=SECRET,
        region_name="eu-west-1",
        aws_client_parameters={"endpoint_url": "https://minio.example.com"},
    )
    reference = _reference(S3Repository(bucket="b", region="eu-central-1", credentials_block=name))

    section = storage_section(reference)

    expected = {"bucket": "b", "region": "eu-central-1", "endpoint": "https://minio.example.com"}
    keys = {"access_key": "AKIA", "secret_key": SECRET}
    assert S3Settings.model_validate({**expected, **keys}) == section
    assert SECRET not in repr(section)


def test_a_gcs_repository_takes_the_key_of_gcp_credentials(client: SyncPrefectClient) -> None:
    name = _saved(client, "gcp-credentials", service_account_info={"private_key": SECRET}, project="p")

    section = storage_section(_reference(GcsRepository(bucket="b", credentials_block=f"gcp-credentials/{name}")))

    assert isinstance(section, GcsSettings)
    assert section.service_account_json is not None
    assert {"private_key": SECRET} == json.loads(section.service_account_json.get_secret_value())
    assert section.project is None


def test_an_azure_repository_takes_the_connection_of_azure_credentials(client: SyncPrefectClient) -> None:
    text = f"AccountName=account;AccountKey={AZURE_KEY};EndpointSuffix=core.windows.net"
    with_text = _saved(client, "azure-blob-storage-credentials", connection_string=text)
    with_url = _saved(client, "azure-blob-storage-credentials", account_url="https://account.blob.core.windows.net")

    first, second = (
        storage_section(_reference(AzureRepository(container_name="backups", credentials_block=name)))
        for name in (with_text, with_url)
    )

    assert isinstance(first, AzureSettings)
    assert isinstance(second, AzureSettings)
    assert SecretStr(text) == first.connection_string
    assert ("account", "account", True) == (first.account.name, second.account.name, second.uses_tokens)


def test_an_s3_repository_with_own_keys_takes_no_part_of_other_credentials(client: SyncPrefectClient) -> None:
    name = _saved(
        client,
        "aws-credentials",
        aws_access_key_id="AKIA",
        aws_secret_access_key="other",
        aws_session_token="other",
        region_name="eu-west-1",
        aws_client_parameters={"endpoint_url": "https://minio.example.com"},
    )

    with_keys, with_profile, with_role = (
        storage_section(_reference(S3Repository(bucket="b", credentials_block=name, **own)))
        for own in ({"access_key": "OWN", "secret_key": SECRET}, {"profile": "own"}, {"role_arn": ROLE})
    )

    place = {"bucket": "b", "region": "eu-west-1", "endpoint": "https://minio.example.com"}
    other = {"access_key": "AKIA", "secret_key": "other", "session_token": "other"}
    assert S3Settings.model_validate({**place, "access_key": "OWN", "secret_key": SECRET}) == with_keys
    assert S3Settings.model_validate({**place, "profile": "own"}) == with_profile
    assert S3Settings.model_validate({**place, "role_arn": ROLE, **other}) == with_role, "a role needs credentials"


def test_gcs_and_azure_repositories_with_own_keys_take_no_part_of_other_credentials(
    client: SyncPrefectClient,
) -> None:
    google = _saved(client, "gcp-credentials", service_account_info={"private_key": "other"})
    azure = _saved(
        client,
        "azure-blob-storage-credentials",
        account_url="https://account.blob.core.windows.net",
        tenant_id="tenant",
        client_id="app",
        client_secret="other",
    )

    first = storage_section(
        _reference(GcsRepository(bucket="b", service_account_path="/own.json", credentials_block=google))
    )
    second = storage_section(
        _reference(AzureRepository(container_name="backups", account_key=AZURE_KEY, credentials_block=azure))
    )

    assert GcsSettings(bucket="b", service_account_path="/own.json") == first
    assert isinstance(second, AzureSettings)
    assert ("account", SecretStr(AZURE_KEY)) == (second.account.name, second.account_key)
    assert (None, None, None) == (second.tenant_id, second.client_id, second.client_secret)


def test_a_block_of_another_type_or_without_a_document_is_named(client: SyncPrefectClient) -> None:
    other = _reference(S3Repository(bucket="b", credentials_block="gcp-credentials/production"))
    missing = _reference(S3Repository(bucket="b", credentials_block="nobody"))

    with pytest.raises(ConfigError, match=r"gcp-credentials/production has no credentials for this repository: name a"):
        storage_section(other)
    with pytest.raises(ConfigError, match=r"There is no block aws-credentials/nobody: create it in the UI, or use"):
        storage_section(missing)
