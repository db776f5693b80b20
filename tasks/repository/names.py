"""The keys of a repository, and the ids in them: makes keys, and reads their parts. Decides which names a backup set
can have. Topic names are data and never part of a key."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

from tasks.model.errors import ConfigError

_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{9}Z-[0-9a-f]{8}")
_SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

ROOT_KEY = "repository.json"
FREEZE_KEY = "freeze.json"
SETS = "meta/"
"""The folder with one folder for each set."""
RESTORES = "restores/"
"""The folder with one folder for each restore."""
REPORTS = "reports/"
"""The folder with one folder for each set, which contains one folder for each drill."""


def is_immutable(key: str) -> bool:
    """Whether the object is written once and never overwritten, so that it can be locked: data objects, fragments,
    reports of drills, and everything under `meta/` except checkpoints, which are caches."""
    parts = key.split("/")
    return parts[0] in ("data", "fragments", "reports") or (parts[0] == "meta" and parts[2:3] != ["checkpoints"])


def is_data(key: str) -> bool:
    """Whether the object is a data object, which contains records."""
    return key.startswith("data/")


def check_set_name(name: str) -> str:
    """Returns the name. Raises `ConfigError` if a backup set cannot have it."""
    if not _SET_NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is not a name for a backup set: use letters, digits, '.', '_' and '-', "
            "begin with a letter or digit, at most 200 characters."
        )
    return name


LEASES = "leases/"


def new_run_id(now_ms: int) -> str:
    """A new id of a run or a restore, for example `20261122T100000123Z-9f3a61c2`. Ids sort by time; the random end
    makes them unique."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"{moment:%Y%m%dT%H%M%S}{now_ms % 1000:03d}Z-{secrets.token_hex(4)}"


def new_id() -> str:
    """A random id for a writer, an entry, a pin or an owner: 16 hex characters."""
    return secrets.token_hex(8)


def data_prefix(set_name: str) -> str:
    """The prefix of the data objects of all runs of a set. Only lifecycle rules for this prefix are harmless."""
    return f"data/{set_name}/"


def read_prefixes(set_name: str) -> tuple[str, ...]:
    """The prefixes, and single keys, of what commands read of a set besides its data, in the order of its weight."""
    folders = (f"meta/{set_name}/", f"fragments/{set_name}/")
    return (ROOT_KEY, FREEZE_KEY, *folders, head_key(set_name), capture_lease_key(set_name))


def data_key(set_name: str, run: str, writer: str, number: int, suffix: str) -> str:
    """`suffix` is the one that `object_suffix` in `tasks/segment` returns, for example `.log.zst`."""
    return f"{data_prefix(set_name)}{run}/{writer}-{number:05d}{suffix}"


def origin_of(data_key: str) -> tuple[str, str]:
    """(the set, the run) of the writer of a data object."""
    _, set_name, run, _ = data_key.split("/")
    return set_name, run


def fragment_prefix(set_name: str, run: str) -> str:
    return f"fragments/{set_name}/{run}/"


def fragment_key(set_name: str, run: str, writer: str, number: int) -> str:
    return f"{fragment_prefix(set_name, run)}{writer}-{number:05d}.json"


def fragment_writer(key: str) -> str:
    """The id of the writer of a fragment."""
    return key.rpartition("/")[2].rpartition("-")[0]


def fragment_beside(data_key: str) -> str:
    """The key of the fragment that describes a data object."""
    return f"fragments/{data_key.removeprefix('data/').rpartition('.log.')[0]}.json"


def run_prefixes(set_name: str) -> tuple[str, ...]:
    """The prefixes of everything that the runs of a set write, in the order in which it may be deleted: what names an
    object before the object."""
    folders = ("index", "partitions", "state", "marks")
    named = tuple(f"meta/{set_name}/{folder}/" for folder in folders)
    return (*named, data_prefix(set_name), f"fragments/{set_name}/", plan_prefix(set_name))


def run_of(key: str) -> str:
    """The run that wrote an object under one of the `run_prefixes`."""
    parts = key.split("/")
    name = parts[3] if parts[0] == "meta" else parts[2]
    found = _RUN_ID.match(name)
    return found.group() if found else name


def log_prefix(set_name: str) -> str:
    return f"meta/{set_name}/log/"


def log_key(set_name: str, seq: int) -> str:
    return f"{log_prefix(set_name)}{seq:010d}.json"


def checkpoint_prefix(set_name: str) -> str:
    return f"meta/{set_name}/checkpoints/"


def checkpoint_key(set_name: str, seq: int) -> str:
    return f"{checkpoint_prefix(set_name)}{seq:010d}.json.zst"


def plan_prefix(set_name: str) -> str:
    return f"meta/{set_name}/runs/"


def plan_key(set_name: str, run: str) -> str:
    return f"{plan_prefix(set_name)}{run}/plan.json"


def index_key(set_name: str, run: str, sha256: str) -> str:
    return f"meta/{set_name}/index/{run}-{sha256}.jsonl.zst"


def table_key(set_name: str, run: str, sha256: str) -> str:
    return f"meta/{set_name}/partitions/{run}-{sha256}.json.zst"


def state_key(set_name: str, run: str, sha256: str) -> str:
    return f"meta/{set_name}/state/{run}-{sha256}.json.zst"


def mark_key(set_name: str, run: str, sha256: str) -> str:
    return f"meta/{set_name}/marks/{run}-{sha256}.json.zst"


def head_key(set_name: str) -> str:
    return f"heads/{set_name}.json"


def capture_lease_key(set_name: str) -> str:
    return f"leases/{set_name}.json"


def consolidation_lease_key(set_name: str) -> str:
    """The lease that keeps two consolidations of a set apart."""
    return f"leases/_consolidate-{set_name}.json"


def prune_lease_key(set_name: str) -> str:
    """The lease that keeps two prunes of a set apart."""
    return f"leases/_prune-{set_name}.json"


RESTORE_LEASES = "leases/_restore-"
"""What the keys of the leases of restores begin with."""


def restore_lease_key(restore: str) -> str:
    """A set's name never begins with `_`, so a restore's lease never has the key of a set's lease."""
    return f"{RESTORE_LEASES}{restore}.json"


def lease_subject(key: str) -> tuple[str, str]:
    """(`set` or `restore`, its name) for the key of a lease."""
    name = key.removeprefix(LEASES).removesuffix(".json")
    for prefix, kind in (("_restore-", "restore"), ("_consolidate-", "set"), ("_prune-", "set")):
        if name.startswith(prefix):
            return kind, name.removeprefix(prefix)
    return "set", name


PINS = "pins/"
"""The folder with one folder for each set."""


def pin_prefix(set_name: str) -> str:
    return f"{PINS}{set_name}/"


def pin_key(set_name: str, pin: str) -> str:
    return f"{pin_prefix(set_name)}{pin}.json"


def restore_key(restore: str, part: str) -> str:
    """`part` is `plan`, `targets` or a step's name."""
    return f"{RESTORES}{restore}/{part}.json"


def previous_prefix(restore: str) -> str:
    """What the keys of the positions begin with that groups had before this restore wrote theirs."""
    return f"{RESTORES}{restore}/previous-"


def restore_part(key: str) -> tuple[str, str]:
    """(the restore, the part) of a key under `RESTORES`."""
    restore, _, name = key.removeprefix(RESTORES).partition("/")
    return restore, name.removesuffix(".json")


def check_drill_id(drill: str) -> str:
    """Returns the id. Raises `ConfigError` if it is not the id of a drill."""
    if not _RUN_ID.fullmatch(drill):
        raise ConfigError(f"{drill!r} is not the id of a drill: `kafka-backup evidence list` shows the ids.")
    return drill


def report_prefix(set_name: str) -> str:
    return f"{REPORTS}{set_name}/"


def report_key(set_name: str, drill: str, part: str) -> str:
    """`part` is `report.json`, `envelope.json` or `report.html`."""
    return f"{report_prefix(set_name)}{drill}/{part}"


def report_part(key: str) -> tuple[str, str, str]:
    """(the set, the drill, the part) of a key under `REPORTS`. Parts that are missing are empty."""
    set_name, _, rest = key.removeprefix(REPORTS).partition("/")
    drill, _, part = rest.partition("/")
    return set_name, drill, part
