"""The command works where Prefect cannot be imported, so a recovery does not depend on Prefect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all

WITHOUT_PREFECT = (
    "import sys; sys.modules['prefect'] = sys.modules['confluent_kafka'] = None; "
    "from tasks.cli.main import main; main()"
)
"""Also without librdkafka, which only restore drills use."""

DATA_SDKS = "confluent_kafka kafka boto3 google.cloud azure prefect"


@pytest.mark.kafka
def test_the_command_backs_up_and_restores_without_prefect(
    kafka: KafkaCluster, topic_name: str, tmp_path: Path
) -> None:
    create_topic(kafka.bootstrap, topic_name)
    produce(kafka.bootstrap, topic_name, [OutRecord(b"key", b"%d" % number) for number in range(100)])
    storage = f"storage: {{backend: filesystem, path: {tmp_path}/repository}}\n"
    (tmp_path / "backup.yaml").write_text(
        f"mode: backup\nbackup_id: alone\nsource: {{bootstrap_servers: ['{kafka.bootstrap}'], "
        f"topics: {{include: [{topic_name}]}}}}\n{storage}"
    )
    (tmp_path / "restore.yaml").write_text(
        f"mode: restore\nbackup_id: alone\ntarget: {{bootstrap_servers: ['{kafka.bootstrap}']}}\n{storage}"
        f"restore: {{topic_mapping: {{{topic_name}: {topic_name}-restored}}}}\n"
    )

    for command in ("backup", "restore"):
        done = _run(WITHOUT_PREFECT, command, "--config", str(tmp_path / f"{command}.yaml"))
        assert done.returncode == 0, done.stderr

    expected = [record.value for record in read_all(kafka.bootstrap, topic_name)]
    assert expected == [record.value for record in read_all(kafka.bootstrap, f"{topic_name}-restored")]


@pytest.mark.parametrize(
    "module", ["tasks.engine.validate", "tasks.engine.commit.commit", "tasks.engine.positions.rank"]
)
def test_modules_that_read_a_backup_import_no_sdk(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {DATA_SDKS.split()} if name in sys.modules])"

    assert "[]\n" == _run(code).stdout


def test_the_entry_point_of_the_command_imports_no_heavy_library() -> None:
    heavy = [*DATA_SDKS.split(), "pydantic", "rich", "yaml", "zstandard"]
    code = f"import sys, tasks.cli.main; print([name for name in {heavy} if name in sys.modules])"

    assert "[]\n" == _run(code).stdout


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
