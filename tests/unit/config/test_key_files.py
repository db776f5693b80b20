"""Files of keys are read with the configuration, and their keys become part of the options."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.config.key_files import MOST_KEYS
from tasks.config.load import load_restore
from tasks.engine.options import RestoreOptions
from tasks.model.errors import ConfigError

RESTORE = """\
mode: restore
backup_id: prod
target: {bootstrap_servers: [kafka:9092]}
storage: {backend: filesystem, path: /backups}
restore:
  select: [{key: {file: keys.txt}}]
"""


def _load(folder: Path, keys: bytes | None) -> RestoreOptions:
    (folder / "restore.yaml").write_text(RESTORE)
    if keys is not None:
        (folder / "keys.txt").write_bytes(keys)
    return load_restore(folder / "restore.yaml", {}).file.restore


def test_the_keys_of_a_file_are_its_lines_each_once_also_from_windows(tmp_path: Path) -> None:
    [rule] = _load(tmp_path, "\ufeffa\r\nb c\r\n\r\na\r\n#é".encode()).select
    assert rule.key is not None
    assert ("a", "b c", "#é") == rule.key.file_keys
    assert {b"a", b"b c", "#é".encode()} == rule.key.whole_keys()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (None, "No such file"),
        (b"\n\n", "has no keys"),
        (b"\xff\n", "is not UTF-8"),
        (b"".join(b"%d\n" % number for number in range(MOST_KEYS + 1)), "100,001 keys, more than 100,000"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_with_its_line(tmp_path: Path, keys: bytes | None, said: str) -> None:
    with pytest.raises(ConfigError, match=r"restore.yaml:6: 'restore.select\[0\].key.file'.*" + said):
        _load(tmp_path, keys)
