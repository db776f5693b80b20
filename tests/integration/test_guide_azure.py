"""The guide's walk-through on Azure: its files as printed, except for the hosts and the endpoint, with a key from the
environment. Also the check of a file, and a flow with the block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks import AzureRepository
from tests.support.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.walk_through import back_up_by_flow, guides_cluster, walk_through

pytestmark = [pytest.mark.kafka, pytest.mark.azurite]

CONTAINER = "my-kafka-backups"
STORAGE = """\
storage:
  backend: azure
  account_name: {account}
  container_name: my-kafka-backups
  account_key: ${{AZURE_STORAGE_KEY}}
  endpoint: {endpoint}
  allow_http: true
  prefix: backups/production
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with guides_cluster() as cluster:
        yield cluster


def _names(azurite: Azurite, container: str) -> list[str]:
    return [blob.name for blob in azurite.container(container).list_blobs()]


def test_the_guides_walk_through_runs_on_azure(cluster: KafkaCluster, azurite: Azurite, tmp_path: Path) -> None:
    azurite.client.create_container(CONTAINER)

    walk_through(
        tmp_path,
        cluster,
        STORAGE.format(account=ACCOUNT, endpoint=azurite.endpoint),
        lambda: _names(azurite, CONTAINER),
        hidden=ACCOUNT_KEY,
        AZURE_STORAGE_KEY=ACCOUNT_KEY,
    )


def test_a_flow_backs_up_into_the_container_of_a_block(
    installation: Installation, azurite: Azurite, topic_name: str, kafka: KafkaCluster
) -> None:
    container = azurite.new_container()
    block = AzureRepository(**azurite.settings(container).model_dump(exclude={"backend"}))

    back_up_by_flow(installation, kafka, topic_name, block, lambda: _names(azurite, container))
