"""The owner's checks: commands and HTTP calls that get the coordinates of the scratch topics and give a verdict."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tasks.engine.drilling.drill_result import OwnerCheck
from tasks.engine.drilling.owner_checks import MOST_OUTPUT, run_checks
from tasks.engine.options import OwnerCheckOption
from tasks.repository.drills import DrillRecord

RECORD = DrillRecord(
    repository_id="r",
    restore="20261130T100000000Z-00000000",
    set="s",
    point=3,
    created_ms=1,
    cluster_id="c",
    topics={"orders": "scratch-orders"},
    groups={"billing": "scratch-billing"},
    tool="t",
)


def _run(**check: object) -> OwnerCheck:
    [found] = run_checks([OwnerCheckOption.model_validate({"name": "ledger", **check})], RECORD, ["h:1", "h:2"])
    return found


def _python(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", f"import os, sys, json, time; {code}"


def test_a_command_finds_the_coordinates_in_its_environment() -> None:
    names = ("DRILL", "POINT", "CLUSTER_ID", "BOOTSTRAP_SERVERS", "TOPICS", "GROUPS")
    found = _run(command=_python(f"print([os.environ['DRILL_' + name] for name in {names}])"))

    assert "passed" == found.verdict
    for part in (RECORD.restore, "s@3", "h:1,h:2", '{"orders": "scratch-orders"}', '{"billing": "scratch-billing"}'):
        assert part in found.output


@pytest.mark.parametrize(
    ("code", "output"),
    [("print('97 orders are missing'); sys.exit(1)", "97 orders are missing"), ("os.kill(os.getpid(), 9)", "")],
)
def test_a_command_that_ends_otherwise_fails(code: str, output: str) -> None:
    found = _run(command=_python(code))

    assert ("failed", output) == (found.verdict, found.output.strip())


def test_a_command_that_takes_too_long_or_does_not_exist_fails_with_a_sentence() -> None:
    assert "It took longer than 1s." == _run(command=_python("time.sleep(60)"), timeout="1s").output
    assert "It cannot be started: No such file or directory." == _run(command=("/nowhere/x",)).output


def test_only_the_end_of_a_long_output_is_kept() -> None:
    found = _run(command=_python("print('x' * 9000 + 'the end')"))

    assert MOST_OUTPUT == len(found.output)
    assert found.output.endswith("the end\n")


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """The URL of a server that answers with the status in the path, and the documents that it got."""
    got: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(int(self.path[1:]))
            self.end_headers()
            self.wfile.write(b"1,204,331 orders")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", got
        http.shutdown()
        thread.join()


def test_a_url_gets_the_coordinates_and_its_status_is_the_verdict(
    server: tuple[str, list[dict[str, object]]],
) -> None:
    url, got = server

    assert ("passed", "HTTP 200: 1,204,331 orders") == (lambda one: (one.verdict, one.output))(_run(url=f"{url}/200"))
    assert "failed" == _run(url=f"{url}/409").verdict
    assert {"orders": "scratch-orders"} == got[0]["topics"]


def test_a_url_that_nobody_answers_fails() -> None:
    assert ("failed", "The call failed: ConnectError.") == (lambda one: (one.verdict, one.output))(
        _run(url="http://127.0.0.1:1/x")
    )


@pytest.mark.parametrize("check", [{}, {"command": ["x"], "url": "http://x"}])
def test_a_check_is_a_command_or_a_url(check: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give either a command or a url"):
        OwnerCheckOption.model_validate({"name": "x", **check})
