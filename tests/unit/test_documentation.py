"""The documents: every link leads to a file, and README names every document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.config.load import load_restore

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCUMENTS = sorted([README, *(ROOT / "docs").glob("*.md"), ROOT / "tasks" / "DECISIONS.md", ROOT / "CHANGELOG.md"])

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


@each_document
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", _without_code(document))
    assert [] == [link for link in links if "://" not in link and not (document.parent / link).exists()]


def test_readme_names_every_document() -> None:
    named = {(README.parent / link).resolve() for link in re.findall(r"\]\(([^)\s]+\.md)\)", README.read_text())}
    assert set() == {path for path in DOCUMENTS if path != README} - named


def test_readme_begins_with_the_commands_that_start_it() -> None:
    screen = README.read_text().splitlines()[:30]
    for command in ("make demo", "make test", "pip install -c constraints.txt .", "kafka-backup backup --config"):
        assert any(line.startswith(f"$ {command}") for line in screen), command


@each_document
def test_every_make_target_that_a_document_names_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set() == set(re.findall(r"(?:^\$ |`)make ([a-z-]+)", document.read_text(), re.MULTILINE)) - targets


def _without_code(document: Path) -> str:
    return re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)


def test_the_restore_files_of_the_runbook_are_valid(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "OPERATIONS.md").read_text()
    files = [one for one in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if one.startswith("mode: restore")]
    assert len(files) >= 4
    for number, one in enumerate(files):
        (tmp_path / f"{number}.yaml").write_text(one)
        assert () == load_restore(tmp_path / f"{number}.yaml", {}).notes
