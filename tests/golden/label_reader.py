"""An independent reader of labels and marks, beside `reader`. It shares no code with the program either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.golden import reader
from tests.golden.reader import Document, require


def labels(root: Path, set_name: str) -> dict[int, dict[str, str]]:
    """The labels of each live point at the end of the log."""
    found = dict[int, dict[str, str]]()
    for entry in _entries(root, set_name):
        if entry["kind"] == "point":
            found[entry["seq"]] = entry.get("labels", {})
        if entry["kind"] == "label":
            both = {**found[entry["point"]], **entry["labels"]}
            found[entry["point"]] = {key: value for key, value in both.items() if key not in entry["removed"]}
    return {point["seq"]: found[point["seq"]] for point in reader.points(root, set_name)}


def marks(root: Path, set_name: str) -> dict[str, list[Document]]:
    """The partitions of each mark that exists at the end of the log."""
    found = dict[str, Document]()
    for entry in _entries(root, set_name):
        if entry["kind"] == "mark":
            require(entry["name"] not in found, f"two marks {entry['name']}")
            found[entry["name"]] = entry["offsets"]
        if entry["kind"] == "unmark":
            del found[entry["name"]]
    return {name: _partitions(root, ref) for name, ref in found.items()}


def _entries(root: Path, set_name: str) -> Iterator[Document]:
    """The entries of the log. `reader.points` checks their chain."""
    reader.points(root, set_name)
    for path in sorted((root / f"meta/{set_name}/log").iterdir()):
        yield reader.opened(path.read_bytes(), path.name)


def _partitions(root: Path, ref: Document) -> list[Document]:
    stored = reader.fetched(root, ref["key"], ref["sha256"], ref["stored_bytes"])
    document = json.loads(reader.decompressed(stored))
    require(document["format"] <= 1, f"{ref['key']}: format {document['format']} is newer than this reader")
    return list(document["partitions"])
