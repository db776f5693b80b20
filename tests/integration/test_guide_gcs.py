"""The guide's walk-through on Google Cloud Storage: its files with a key file and an endpoint. Also the check of a
file, and a flow with the block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks import GcsRepository
from tests.support.fake_gcs import FakeGcs
from tests.support.google_tokens import private_key
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.walk_through import back_up_by_flow, guides_cluster, walk_through

pytestmark = [pytest.mark.kafka, pytest.mark.fake_gcs]

STORAGE = """\
storage:
  backend: gcs
  bucket: {bucket}
  service_account_path: gcs-key.json
  endpoint: {endpoint}
  prefix: backups/production
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with guides_cluster() as cluster:
        yield cluster


def test_the_guides_walk_through_runs_on_google_cloud_storage(
    cluster: KafkaCluster, fake_gcs_tls: FakeGcs, tmp_path: Path
) -> None:
    bucket = fake_gcs_tls.new_bucket()
    storage = STORAGE.format(bucket=bucket, endpoint=fake_gcs_tls.endpoint)
    (tmp_path / "gcs-key.json").write_text(fake_gcs_tls.tokens.key_text)

    walk_through(tmp_path, cluster, storage, lambda: fake_gcs_tls.names(bucket), hidden=private_key().splitlines()[1])


def test_a_flow_backs_up_into_the_bucket_of_a_block(
    installation: Installation, fake_gcs: FakeGcs, topic_name: str, kafka: KafkaCluster
) -> None:
    bucket = fake_gcs.new_bucket()
    block = GcsRepository(**fake_gcs.settings(bucket).model_dump(exclude={"backend"}))

    back_up_by_flow(installation, kafka, topic_name, block, lambda: fake_gcs.names(bucket))
