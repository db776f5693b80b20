"""The IAM policies that the documentation prints, and those of `deployments/policies`, so that tests run with exactly
these rights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
POLICIES = ROOT / "deployments" / "policies"


def printed_policy(document: str, bucket: str, *, without: str | None = None, number: int = 0) -> dict[str, Any]:
    """A policy in a document of `docs/`, for this bucket and the prefix `team`. `number` counts the policies of the
    document from 0. `without` is an action that is taken out of it."""
    text = (DOCS / document).read_text(encoding="utf-8")
    found = re.findall(r"```json\n(\{\n  \"Version\".*?\n)```", text, re.DOTALL)[number]
    policy = _for_bucket(found, bucket)
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action != without]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Action"]]
    return policy


def policy_of_role(role: str, bucket: str) -> dict[str, Any]:
    """The policy of a role in S3, for example `writer`, for this bucket and the prefix `team`."""
    return _for_bucket((POLICIES / f"s3-{role}.json").read_text(encoding="utf-8"), bucket)


def _for_bucket(text: str, bucket: str) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(text.replace("my-kafka-backups", bucket).replace("backups/production", "team"))
    return policy
