"""docs/CONFIGURATION.md lists every key of the YAML files. It is made from the models that check the files.

`python -m tests.unit.test_configuration_reference` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from blocks import KafkaCluster, block_types
from tasks.broker.auth.security import Security
from tasks.config.keys import NOT_YET, NOTED
from tasks.config.load import load_backup, load_drill, load_restore
from tasks.config.models import (
    BackupFile,
    BackupSection,
    ClusterSection,
    ConnectionSection,
    DrillFile,
    DrillSection,
    OffsetStorageSection,
    RestoreFile,
    RestoreSection,
    RetentionSection,
    TopicsSection,
)
from tasks.engine.options import EvidenceOptions, OwnerCheckOption, Tier
from tasks.engine.record_rules import HeaderRule, KeyRule, RecordRule
from tasks.store.registry import BACKENDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "CONFIGURATION.md"

_HEAD = """\
# Configuration

Every key of `backup.yaml` and `restore.yaml`. `python -m tests.unit.test_configuration_reference` writes this file from
the models that check the files.

`${VAR}` and `${VAR:-default}` are replaced from the environment inside values; `$${` is a literal `${`. An unknown key
(with the nearest known one), an unset variable, a value of the wrong type or with a control character (a line break, a
tab) is an error with the file and the line; all errors of a file are reported at once. A key that has no meaning here
gets a note. Files are UTF-8. YAML's merge keys (`<<`) are not available.

"""

_EXAMPLES = """\
## Examples

`backup.yaml`:

```yaml
mode: backup
backup_id: "first-backup-orders"
source:
  bootstrap_servers: [kafka:9092]
  topics:
    include: [orders]            # names, globs (* and ?), or regular expressions after ~
storage:
  backend: filesystem
  path: /mnt/backups
  prefix: backups/production
backup:
  compression: zstd              # zstd, lz4 or none
  stop_at_current_offsets: true
  consumer_group_snapshot: true
```

`restore.yaml`:

```yaml
mode: restore
backup_id: "first-backup-orders" # its newest point; or with @1, or with @2026-11-23T08:52:21.412Z
target:
  bootstrap_servers: [dr-broker-1:9092]
storage:
  backend: filesystem
  path: /mnt/backups
  prefix: backups/production
restore:
  topic_mapping: {orders: orders_restored}
  consumer_group_strategy: header-based   # skip, or any other: translate exactly and report
  reset_consumer_offsets: true            # and write the positions
```

`drill.yaml`:

```yaml
mode: drill
backup_id: first-backup-orders
target:
  bootstrap_servers: [scratch-broker-1:9092]
storage:
  backend: filesystem
  path: /mnt/backups
  prefix: backups/production
drill:
  point: latest          # or random, oldest
  compare: full          # or `sample 5%`, or counts
  rto: 1h
  rpo: 26h
```

Files of OSO Kafka Backup are accepted. For a key that has no meaning here, the command prints a note that says why; a
key of a feature that this version does not have is an error unless its value disables the feature.

"""

_TABLE_HEAD = "| key | type | default | |\n| --- | --- | --- | --- |\n"

SECTIONS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("A backup file", "", BackupFile),
    ("A restore file", "", RestoreFile),
    ("A drill file", "", DrillFile),
    ("`source` and `target`", "source|target.", ClusterSection),
    ("`source.topics` and `target.topics`", "source|target.topics.", TopicsSection),
    ("`source.connection` and `target.connection`", "source|target.connection.", ConnectionSection),
    ("`source.security` and `target.security`", "source|target.security.", Security),
    *((f"`storage` with `backend: {name}`", "storage.", kind) for name, kind in BACKENDS.items()),
    ("`backup`", "backup.", BackupSection),
    ("`retention`", "retention.", RetentionSection),
    ("`retention.tiers`", "retention.tiers[].", Tier),
    ("`restore`", "restore.", RestoreSection),
    ("`restore.select` and `restore.exclude`", "restore.select|exclude[].", RecordRule),
    ("`key` of a rule", "restore.select|exclude[].key.", KeyRule),
    ("`header` of a rule", "restore.select|exclude[].header.", HeaderRule),
    ("`drill`", "drill.", DrillSection),
    ("`drill.evidence`", "drill.evidence.", EvidenceOptions),
    ("`drill.checks`", "drill.checks[].", OwnerCheckOption),
)
"""Heading, dotted prefix and model of every section."""

_BLOCKS: Mapping[type[BaseModel], type[BaseModel]] = {
    Security: KafkaCluster,
    **{kind: block_types()[kind.block_type] for kind in BACKENDS.values() if kind.block_type is not None},
}
"""The Prefect blocks with the same keys: their forms have a description of each."""

each_section = pytest.mark.parametrize(("heading", "prefix", "model"), SECTIONS)


def test_the_reference_is_current() -> None:
    assert listed() == DOCUMENT.read_text(), "python -m tests.unit.test_configuration_reference"


@each_section
def test_every_key_has_a_description_and_a_type_in_words(heading: str, prefix: str, model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert re.search(r"[.:)]$", _description(model, name, field)), f"{prefix}{name}"
        assert _type(field), f"{prefix}{name}"


def test_every_section_of_a_file_has_its_table() -> None:
    documented = {model for _, _, model in SECTIONS}
    without_keys = {OffsetStorageSection}
    files = (BackupFile, RestoreFile, DrillFile)
    assert {*files, *(section for file in files for section in _sections(file))} - without_keys == documented


def test_the_examples_are_valid_files(tmp_path: Path) -> None:
    texts = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    for name, text in zip(("backup.yaml", "restore.yaml", "drill.yaml"), texts, strict=True):
        (tmp_path / name).write_text(text)
    assert () == load_backup(tmp_path / "backup.yaml", {}).notes
    assert () == load_restore(tmp_path / "restore.yaml", {}).notes
    assert () == load_drill(tmp_path / "drill.yaml", {}).notes


def listed() -> str:
    """The text of docs/CONFIGURATION.md."""
    tables = "".join(f"## {heading}\n\n{_TABLE_HEAD}{''.join(_rows(model))}\n" for heading, _, model in SECTIONS)
    return (
        f"{_HEAD}{_EXAMPLES}{tables}"
        "## Keys without a meaning here\n\nThey are accepted with a note.\n\n| key | because |\n| --- | --- |\n"
        f"{''.join(f'| `{key}` | {reason} |{chr(10)}' for key, reason in NOTED.items())}\n"
        "## Keys that are not available yet\n\nThey are refused, unless their value disables the feature (`false`, "
        "`null` or empty).\n\n| key | because |\n| --- | --- |\n"
        f"{''.join(f'| `{key}` | {reason} |{chr(10)}' for key, reason in NOT_YET.items())}"
    )


def _rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        description = _description(model, name, field)
        yield f"| `{field.alias or name}` | {_type(field)} | {_default(name, field)} | {description} |\n".replace(
            "|  |", "| |"
        )


def _description(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    if name == "backend":
        return "The kind of the store."
    block = _BLOCKS.get(model)
    text = field.description or (block and name in block.model_fields and block.model_fields[name].description) or ""
    return " ".join(text.split()).replace("|", "\\|")


def _type(field: FieldInfo) -> str:
    limits = [one for one in field.metadata if isinstance(one, Ge | Le)]
    least = next((f"from {one.ge}" for one in limits if isinstance(one, Ge)), "")
    most = next((f"to {one.le}" for one in limits if isinstance(one, Le)), "")
    return " ".join(part for part in (_words(field.annotation), least, most) if part)


def _words(annotation: Any) -> str:
    """A type in the words of the messages."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(members[0])
    if origin is Literal:
        return ", ".join(f"`{member}`" for member in members)
    if origin is tuple:
        return f"list of {_words(members[0])}"
    if origin is dict:
        return f"mapping of {_words(members[0])} to {_words(members[1])}"
    if members:  # a union
        words = [_words(member) for member in members if member is not NoneType]
        return words[0] if len(set(words)) == 1 else "section"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return {str: "text", int: "whole number", bool: "`true`, `false`", SecretStr: "text, secret"}[annotation]


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required() or name == "backend":
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}) or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models of all sections below a model."""
    for field in model.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):  # also the items of a list
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield kind
                yield from _sections(kind)


if __name__ == "__main__":
    DOCUMENT.write_text(listed())
