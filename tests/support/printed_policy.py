"""The IAM policies that the documentation prints, so that tests run with exactly these rights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"


def printed_policy(document: str, bucket: str, *, without: str | None = None, number: int = 0) -> dict[str, Any]:
    """A policy in a document of `docs/`, for this bucket and the prefix `team`. `number` counts the policies of the
    document from 0. `without` is an action that is taken out of it."""
    text = (DOCS / document).read_text(encoding="utf-8")
    found = re.findall(r"```json\n(\{\n  \"Version\".*?\n)```", text, re.DOTALL)[number]
    policy: dict[str, Any] = json.loads(found.replace("my-kafka-backups", bucket).replace("backups/production", "team"))
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action != without]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Action"]]
    return policy
