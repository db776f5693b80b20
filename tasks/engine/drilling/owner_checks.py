"""Runs the checks that the owner of the data has configured: commands, and HTTP calls. They get the coordinates of the
scratch topics, and decide for themselves whether what they find there is right."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence

from tasks.engine.drilling.drill_result import OwnerCheck, Verdict
from tasks.engine.options import OwnerCheckOption, duration_ms
from tasks.repository.drills import DrillRecord

MOST_OUTPUT = 2000
"""The number of characters of a check's output that the report keeps: the last ones."""


def run_checks(
    checks: Sequence[OwnerCheckOption], record: DrillRecord, bootstrap_servers: Sequence[str]
) -> list[OwnerCheck]:
    """Run the checks one after the other. A check that fails, takes too long or cannot be started is a result, and not
    an error."""
    facts = {
        "drill": record.restore,
        "point": f"{record.set}@{record.point}",
        "cluster_id": record.cluster_id,
        "bootstrap_servers": ",".join(bootstrap_servers),
        "topics": dict(record.topics),
        "groups": dict(record.groups),
    }
    return [_run(check, facts) for check in checks]


def _run(check: OwnerCheckOption, facts: Mapping[str, object]) -> OwnerCheck:
    began, timeout_s = time.monotonic(), duration_ms(check.timeout) / 1000
    verdict, output = _command(check, facts, timeout_s) if check.command else _call(check, facts, timeout_s)
    return OwnerCheck(
        name=check.name,
        kind="command" if check.command else "http",
        verdict=verdict,
        output=output[-MOST_OUTPUT:],
        seconds=time.monotonic() - began,
    )


def _command(check: OwnerCheckOption, facts: Mapping[str, object], timeout_s: float) -> tuple[Verdict, str]:
    """The environment has the facts as `DRILL_…`; those that are mappings as JSON."""
    values = {
        f"DRILL_{name.upper()}": value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()
    }
    try:
        done = subprocess.run(
            check.command,
            env={**os.environ, **values},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "failed", f"It took longer than {check.timeout}."
    except OSError as error:
        return "failed", f"It cannot be started: {error.strerror}."
    return "passed" if done.returncode == 0 else "failed", done.stdout.decode(errors="replace")


def _call(check: OwnerCheckOption, facts: Mapping[str, object], timeout_s: float) -> tuple[Verdict, str]:
    import httpx  # only drills with such a check need it

    try:
        answer = httpx.post(str(check.url), json=facts, timeout=timeout_s)
    except httpx.HTTPError as error:
        return "failed", f"The call failed: {type(error).__name__}."
    return "passed" if answer.is_success else "failed", f"HTTP {answer.status_code}: {answer.text}"
