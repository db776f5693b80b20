"""docs/MESSAGES.md lists the messages of the program: for each class of error an example and its exit code, then the
sentences of all errors and findings as the source has them.

`python -m tests.unit.test_messages` writes it.
"""

from __future__ import annotations

import ast
import errno
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.batches.header import iter_headers
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.cli.exit_codes import exit_code_of
from tasks.cli.session import Session
from tasks.engine.commit.point_parts import CapturedRun
from tasks.engine.commit.runs import check_open, void_run
from tasks.engine.commit.snapshot_point import SnapshotPoint
from tasks.engine.commit.tiling import tile
from tasks.engine.evidence.dsse import open_envelope
from tasks.engine.target.findings import Finding, refusal_of
from tasks.engine.topic_patterns import compile_pattern
from tasks.model import errors
from tasks.model.errors import KafkaBackupError
from tasks.repository.document import sha256_hex, unseal
from tasks.repository.leases import acquire
from tasks.repository.names import capture_lease_key
from tasks.repository.plans import PlannedPartition
from tasks.repository.repository import Repository
from tasks.store.local import os_errors
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.s3.error_responses import Request, response_error
from tasks.store.s3.settings import S3Settings
from tasks.store.sdk import required_sdk
from tests.support.made_backup import SET, capture_logs, commit_logs, make_repository, plan_logs
from tests.support.made_logs import plain_log

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "MESSAGES.md"
_FOLDERS = ("tasks", "deployments")

_HEAD = """\
# Messages

A message says what failed, on what, and what to do. The command prints it after `kafka-backup: `, with `--json` also as
`{"error": {"type", "message", "exit_code"}}`; a flow ends with it. Scripts decide by the exit code, not by the text.
`python -m tests.unit.test_messages` writes this file.

"""
_LISTS_HEAD = """
The sentences below are those of the source: `{name}` is a value, and … is a text that is put together from several.
Messages of damage are completed with the object, the topic, the partition and the offsets. After damage,
`kafka-backup validate` names all damaged objects of a point, and `kafka-backup list` shows the points to use instead.
"""


class Example(NamedTuple):
    """A class of error, code that raises it, and the message that it has then."""

    kind: type[KafkaBackupError]
    provoke: Callable[[], object]
    message: str


def _archived_object() -> None:
    sent = Request(settings=S3Settings(bucket="backups"), operation="GetObject", key="data/orders/1.log.zst")
    response = {"Error": {"Code": "InvalidObjectState"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    raise response_error(response, sent, has_answered=True)


def _raise(error: KafkaBackupError) -> None:
    raise error


def _kafka_error(code: int, action: Action) -> None:
    raise error_for_code(code, action)


def _held_lease() -> None:
    """The second writer sees that the owner renews the lease."""
    store = MemoryStore("backups")
    lease = acquire(store, capture_lease_key("orders"), ttl_ms=20_000)
    key = capture_lease_key("orders")
    try:
        acquire(store, key, waiting=lambda owner: lease.renew())
    except KafkaBackupError as error:
        raise type(error)(str(error).replace(lease.record.writer, "d46ebbe6efa40ff7, process 42 on backup-1")) from None


def _stopped_wait() -> None:
    store, stop = MemoryStore("backups"), threading.Event()
    acquire(store, capture_lease_key("orders"))
    stop.set()
    acquire(store, capture_lease_key("orders"), stop=stop)


def _disk_full() -> None:
    with os_errors.translated("leases/orders.json in file:///mnt/backups"):
        raise OSError(errno.ENOSPC, "")


def _stale_mount() -> None:
    with os_errors.translated("leases/orders.json in file:///mnt/backups"):
        raise OSError(errno.ESTALE, "")


def _lost_answer() -> None:
    with os_errors.translated("leases/orders.json in file:///mnt/backups", may_have_landed=True):
        raise OSError(errno.EIO, "")


def _full_output() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full, redirect_stdout(full):
        Session(is_json=False, is_verbose=False).print("a result")


def _closed_run(*, has_point: bool) -> None:
    repository, logs = make_repository(MemoryStore("backups")), [plain_log("orders", 0, batches=1)]
    plan = plan_logs(repository, logs, run="20261123T085221412Z-4f1c0a77")
    if has_point:
        commit_logs(repository, plan, capture_logs(repository, plan, logs))
    else:
        void_run(repository, plan.set, plan.run, "it ended without a point")
    log = repository.log(SET)
    check_open(log, log.state(), plan.run, begun_after=0)


def _overtaken_run() -> None:
    """Another run captured more while this one read."""
    repository = make_repository(MemoryStore("backups"))
    short, long = ([plain_log("orders", 0, batches=batches)] for batches in (1, 2))
    plan = plan_logs(repository, short)
    captured = capture_logs(repository, plan, short)
    other = plan_logs(repository, long)
    commit_logs(repository, other, capture_logs(repository, other, long))
    SnapshotPoint(repository, plan, captured).build(repository.log(SET).state())


def _all_failed() -> None:
    plan = plan_logs(make_repository(MemoryStore("backups")), [plain_log("orders", 0, batches=1)])
    reasons = {part.source: "topic orders, partition 0: no leader" for part in plan.partitions}
    raise CapturedRun(plan=plan, lines={}, failures=reasons, is_denied=False).nothing_captured()


def _uncaptured() -> None:
    tile(PlannedPartition(topic="orders", topic_id="A" * 22, partition=0, start=0, end=20), ())


def _old_batch() -> None:
    list(iter_headers(bytes(8) + (100).to_bytes(4, "big") + bytes(4) + b"\x01" + bytes(100), where="orders-0"))


def _undeleted(key: str) -> None:
    store = MemoryStore("backups")
    store.put(key, [b"x"])
    store.undeletable.add(key)
    store.delete([key])


def _without_sdk() -> None:
    with required_sdk("gcs", "google.auth"):
        raise ModuleNotFoundError("No module named 'google.auth'", name="google.auth")


_ORDERS = Action("describe", "topic orders")
_DENIED = Action("read", "topic orders", (Permission("Read", "Topic", "orders"),))
_POSITION = Action("fetch", "orders-0")
_JOINED = Action("commit", "the offset of group billing on orders-0")

EXAMPLES: Sequence[Example] = (
    Example(
        errors.ConfigError,
        partial(compile_pattern, "orders|payments"),
        "'orders|payments' contains '|', which no topic name does. "
        "A regular expression begins with ~: '~orders|payments'.",
    ),
    Example(
        errors.UnsupportedError,
        _without_sdk,
        "The backend 'gcs' needs the Python package google.auth, which is not installed. "
        "Run pip install 'prefect-kafka-backup[gcs]'.",
    ),
    Example(
        errors.RefusedError,
        lambda: _raise(refusal_of([Finding("error", "copy-0", "it is not empty (3 offsets).")])),
        "The restore was refused and nothing was changed: copy-0: it is not empty (3 offsets).",
    ),
    Example(
        errors.NotFoundError,
        lambda: Repository.open(MemoryStore("backups"), lambda: 0),
        "There is no repository at memory://backups. Correct the storage section, or make a first backup.",
    ),
    Example(
        errors.LockedError,
        _held_lease,
        "leases/orders.json is held by writer d46ebbe6efa40ff7, process 42 on backup-1, which renews it. "
        "Wait until it ends, and run this again.",
    ),
    Example(
        errors.AccessError,
        partial(_kafka_error, 29, _DENIED),
        "Not allowed to read topic orders: that needs Read on Topic orders (TOPIC_AUTHORIZATION_FAILED).",
    ),
    Example(
        errors.UndeletedError,
        partial(_undeleted, "data/orders/run/1.log.zst"),
        "data/orders/run/1.log.zst was not deleted: access denied.",
    ),
    Example(
        errors.SignatureError,
        partial(open_envelope, b'{"payload":"","payloadType":"","signatures":[]}', name="envelope.json"),
        "envelope.json is not what was signed: it has 0 signatures and not one. "
        "Do not rely on it, and get it from the repository again.",
    ),
    Example(
        errors.DamagedError,
        lambda: unseal(b'{"format":1}', key="repository.json"),
        "repository.json is damaged: its digest does not match its bytes",
    ),
    Example(errors.InterruptedRunError, _stopped_wait, "Stopped while waiting for the lease leases/orders.json."),
    Example(
        errors.ObjectNotFoundError,
        lambda: MemoryStore("backups").get("repository.json"),
        "repository.json is not in memory://backups",
    ),
    Example(
        errors.ObjectExistsError,
        lambda: _with_object().put_if_absent("a", [b"x"], sha256=sha256_hex(b"x")),
        "a already exists in memory://backups",
    ),
    Example(
        errors.ObjectChangedError,
        lambda: _with_object().compare_and_swap("a", [b"x"], expected="another"),
        "a is not at the expected version in memory://backups",
    ),
    Example(
        errors.ObjectArchivedError,
        _archived_object,
        "data/orders/1.log.zst in s3://backups is archived: it cannot be read before the store brought it back. "
        "`kafka-backup thaw-objects` asks for that.",
    ),
    Example(
        errors.StoreFullError,
        _disk_full,
        "leases/orders.json in file:///mnt/backups: No space left on device. Free space, or use another place.",
    ),
    Example(
        errors.StoreUnavailableError,
        _stale_mount,
        "leases/orders.json in file:///mnt/backups: Stale file handle",
    ),
    Example(errors.OutcomeUnknownError, _lost_answer, "leases/orders.json in file:///mnt/backups: Input/output error"),
    Example(
        errors.StoreError,
        lambda: MemoryStore("backups").put_if_absent("a", [b"x"], sha256="0" * 64),
        "a was not stored: its bytes do not have the digest that was sent",
    ),
    Example(errors.KafkaBackupError, _full_output, "The result could not be written: No space left on device."),
    Example(
        errors.CommitError,
        _uncaptured,
        "orders-0: the planned offsets from 0 on, before 20, are neither captured nor stated as a gap or a failure; "
        "nothing was committed.",
    ),
    Example(
        errors.NothingCapturedError,
        _all_failed,
        "Nothing was captured: topic orders, partition 0: no leader",
    ),
    Example(
        errors.RunClosedError,
        partial(_closed_run, has_point=True),
        "The run 20261123T085221412Z-4f1c0a77 has a point already: demo@1.",
    ),
    Example(
        errors.RunClosedError,
        partial(_closed_run, has_point=False),
        "The run 20261123T085221412Z-4f1c0a77 was voided by entry 1 of the log of demo.",
    ),
    Example(
        errors.PreconditionError,
        _overtaken_run,
        "orders-0: another run captured up to 10, past this plan's end at 5. Run the backup again.",
    ),
    Example(
        errors.BrokerUnavailableError,
        partial(_kafka_error, 5, _ORDERS),
        "Cannot describe topic orders: Leader not available (LEADER_NOT_AVAILABLE).",
    ),
    Example(
        errors.BrokerError,
        partial(_kafka_error, 25, _JOINED),
        "Cannot commit the offset of group billing on orders-0: the group has members, and this program is none of "
        "them (UNKNOWN_MEMBER_ID). "
        "The group has active members: stop its consumers first.",
    ),
    Example(
        errors.TopicGoneError,
        partial(_kafka_error, 100, _ORDERS),
        "Cannot describe topic orders: Unknown topic id (UNKNOWN_TOPIC_ID).",
    ),
    Example(
        errors.OffsetOutOfRangeError,
        partial(_kafka_error, 1, _POSITION),
        "Cannot fetch orders-0: Offset out of range (OFFSET_OUT_OF_RANGE).",
    ),
    Example(
        errors.UnsupportedBatchError,
        _old_batch,
        "orders-0: offset 0 is in the old message format (magic 1), which cannot be backed up; "
        "only record batches (magic 2, Kafka 0.11 and later) can.",
    ),
)


def _with_object() -> MemoryStore:
    store = MemoryStore("backups")
    store.put("a", [b"1"])
    return store


_RAISED_BY_VALIDATION = (
    "tasks/config/models.py",
    "tasks/engine/options.py",
    "tasks/broker/auth/security.py",
    "tasks/store/s3/settings.py",
)
"""Modules whose `ValueError`s are problems of a file."""

_FORBIDDEN = re.compile(r"^(What|Whoever|Of which)\b|\bmay not\b|\bshall\b|\bbe it\b|for want of|\blikewise\b")
"""Words that readers in their second language misread."""


def _tree() -> Iterator[type[KafkaBackupError]]:
    for one in vars(errors).values():
        if isinstance(one, type) and issubclass(one, KafkaBackupError):
            yield one


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.kind.__name__}: {example.message[:30]}")
def test_every_example_is_what_the_program_says(example: Example) -> None:
    with pytest.raises(KafkaBackupError) as caught:
        example.provoke()
    assert (example.kind, example.message) == (type(caught.value), str(caught.value))


def test_every_class_of_error_has_an_example() -> None:
    assert set(_tree()) == {example.kind for example in EXAMPLES}


def test_no_message_has_words_that_are_easily_misread() -> None:
    assert [] == [sentence for found in _catalogue().values() for sentence in found if _FORBIDDEN.search(sentence)]


def test_the_list_of_messages_is_current() -> None:
    assert listed() == DOCUMENT.read_text(), "python -m tests.unit.test_messages"


def listed() -> str:
    """The text of docs/MESSAGES.md."""
    meanings = dict(re.findall(r"(\w+Error) {2,}(.*?)(?: +\(\w+ ?\w*\))?$", errors.__doc__ or "", re.MULTILINE))
    rows = "".join(
        f"| `{one.kind.__name__}` | {exit_code_of(_instance(one))} | {_cell(meanings[one.kind.__name__])} "
        f"| {_cell(one.message)} |\n"
        for one in EXAMPLES
    )
    sections = "".join(
        f"\n## {name}\n\n```text\n{''.join(f'{sentence}{chr(10)}' for sentence in sorted(found))}```\n"
        for name, found in _catalogue().items()
    )
    return f"{_HEAD}| error | exit code | meaning | example |\n| --- | --- | --- | --- |\n{rows}{_LISTS_HEAD}{sections}"


def _instance(example: Example) -> KafkaBackupError:
    try:
        example.provoke()
    except KafkaBackupError as error:
        return error
    raise AssertionError(f"nothing raises {example.kind.__name__}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _catalogue() -> Mapping[str, set[str]]:
    """The sentences in the source, by what they belong to."""
    names = {kind.__name__ for kind in _tree()}
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.py")):
        is_validation = path.relative_to(ROOT).as_posix() in _RAISED_BY_VALIDATION
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name, sentence = _sentence_of(node, names, is_validation=is_validation)
                if name and sum(map(str.isalpha, sentence.replace("…", ""))) > 3:
                    found[name].add(sentence)
    return {name: found[name] for name in sorted(found, key=lambda name: (name not in names, name))}


def _sentence_of(call: ast.Call, names: set[str], *, is_validation: bool) -> tuple[str, str]:
    """(what a call's sentence belongs to, the sentence); an empty name for a call without one."""
    function = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if function in names and call.args:
        return function, _template(call.args[0])
    if function == "ValueError" and is_validation and call.args:
        return "Values of files", _template(call.args[0])
    if function == "add_problem" and len(call.args) > 1:
        return "Keys of files", _template(call.args[1])
    if function == "Finding" and len(call.args) > 2:
        return "Findings of a restore", _template(call.args[2])
    return "", ""


def _template(node: ast.expr) -> str:
    """A text with `{name}` for a simple value and … for everything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(_template, values))
        case ast.FormattedValue(value=ast.Name(id=name)):
            return f"{{{name}}}"
        case ast.FormattedValue(value=ast.Attribute(attr=name)):
            return f"{{{name.strip('_')}}}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _template(left) + _template(right)
        case _:
            return "…"


if __name__ == "__main__":
    DOCUMENT.write_text(listed())
