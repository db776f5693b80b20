"""`python -m deployments.blocks` against a real Prefect server."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.kafka import free_ports
from tests.support.prefect_server import PROGRAMS, ROOT

pytestmark = pytest.mark.kafka


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "blocks.yaml"


def _blocks(installation: Installation, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAMS / "python"), "-m", "deployments.blocks", *arguments],
        cwd=ROOT,
        env={**installation.server.environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _document(installation: Installation, slug: str, name: str) -> Mapping[str, object]:
    return installation.client.read_block_document_by_name(name, slug, include_secrets=True).data


def test_documents_are_made_then_changed_and_what_is_left_out_goes(installation: Installation, file: Path) -> None:
    file.write_text("kafka-cluster: {blue: {bootstrap_servers: ['a:1'], sasl_password: '${WORD}'}}")
    made = _blocks(installation, str(file), WORD="hunter2")
    assert (0, "kafka-cluster/blue created\n", "") == (made.returncode, made.stdout, made.stderr)
    assert "hunter2" == _document(installation, "kafka-cluster", "blue")["sasl_password"]

    file.write_text("kafka-cluster: {blue: {bootstrap_servers: ['b:1']}}")
    changed = _blocks(installation, str(file))

    assert (0, "kafka-cluster/blue updated\n") == (changed.returncode, changed.stdout)
    document = _document(installation, "kafka-cluster", "blue")
    assert (["b:1"], None) == (document["bootstrap_servers"], document["sasl_password"])


def test_a_file_with_one_mistake_writes_nothing(installation: Installation, file: Path) -> None:
    file.write_text("local-repository:\n  green: {path: /a}\n  red: {path: '${HOLE}'}\n")

    refused = _blocks(installation, str(file))

    assert 2 == refused.returncode
    assert f"{file}:3: 'local-repository.red.path': the environment variable HOLE is not set.\n" == refused.stderr
    types = {one.name for one in installation.client.read_block_documents()}
    assert not {"green", "red"} & types


def test_a_server_that_is_not_there_is_one_sentence(installation: Installation, file: Path) -> None:
    file.write_text("kafka-cluster: {grey: {sasl_password: '${WORD}'}}")
    [port] = free_ports(1)

    failed = _blocks(installation, str(file), WORD="hunter2", PREFECT_API_URL=f"http://127.0.0.1:{port}/api")

    assert (1, 1) == (failed.returncode, len(failed.stderr.splitlines())), failed.stderr
    assert "check PREFECT_API_URL" in failed.stderr
    assert "hunter2" not in failed.stdout + failed.stderr
