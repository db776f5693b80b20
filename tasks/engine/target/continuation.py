"""Finds the unfinished restore that a request continues. Compares requests, and refuses one that differs from an
unfinished restore into the same topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import ValidationError

from tasks.engine.options import RestoreOptions
from tasks.engine.target.recorded_restore import RecordedRestore, overlap, unfinished_restores
from tasks.engine.target.restore_plan import RestoreRequest, chosen_topics
from tasks.model.errors import RefusedError
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.repository.restores import RestorePlan

FREE_OPTIONS = frozenset(
    {
        "max_concurrent_partitions",
        "rate_limit_bytes_per_sec",
        "rate_limit_records_per_sec",
        "produce_timeout_ms",
        "dry_run",
    }
)
"""The options that do not change what a restore writes. A continued restore uses the new values."""

_MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class RestoreChoice:
    """The restore that a request begins or continues: its id and its point. `note` is a sentence for the operator, or
    None: which restore is continued, or why an unfinished one is not."""

    restore: str
    point: PointReference
    is_continued: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, the seq of the point if it names one, and its (topic, target topic) pairs."""

    reference: PointReference
    request: RestoreRequest
    seq: Callable[[], int | None]
    topics: Callable[[], frozenset[tuple[str, str]]]


def choose_restore(
    repository: Repository,
    cluster_id: str,
    reference: PointReference,
    request: RestoreRequest,
    *,
    since_ms: int | None = 0,
) -> RestoreChoice:
    """Find the unfinished restore that the request continues, in the state of the restores. Only restores that were
    begun since `since_ms` are looked for, and none with None. Without one the request begins another restore.

    The newest restore into the same cluster and topics decides. Raises `RefusedError` if the request differs from it,
    and the errors of `read_source` if the topics of the request have to be compared.
    """
    begin = RestoreChoice(request.restore, reference)
    if since_ms is None:
        return begin
    asked = _asked(repository, reference, request)
    for recorded in unfinished_restores(repository.restore_state, cluster_id):
        if recorded.is_superseded or recorded.plan.created_ms < since_ms:
            continue
        differences = list(_differences(recorded.plan, asked))
        shared = overlap(recorded, [target for _, target in asked.topics()]) if differences else ["all"]
        if not shared:
            continue
        if recorded.has_mismatches:
            return RestoreChoice(request.restore, reference, note=_mismatched(recorded))
        if differences:
            raise RefusedError(_different(recorded, shared, differences))
        return _continue(recorded, reference)
    return begin


def with_speed_of(plan: RestorePlan, options: RestoreOptions) -> RestorePlan:
    """The plan with the values of `FREE_OPTIONS` from these options. Pure."""
    given = options.model_dump(mode="json")
    kept = {name: value for name, value in plan.options.items() if name not in FREE_OPTIONS}
    return plan.model_copy(
        update={"options": {**kept, **{name: given[name] for name in FREE_OPTIONS if name in given}}}
    )


def ways_out(restore: str) -> str:
    """What to do with an unfinished restore that cannot be continued, as a sentence."""
    return (
        f"Begin another restore with `kafka-backup restore --new`, or give this one up with `kafka-backup abandon "
        f"{restore}`."
    )


def _asked(repository: Repository, reference: PointReference, request: RestoreRequest) -> _Asked:
    @cache
    def seq() -> int | None:
        is_latest = reference.seq is None and reference.time_ms is None
        return None if is_latest else repository.point(reference).seq

    @cache
    def topics() -> frozenset[tuple[str, str]]:
        chosen = chosen_topics(repository, repository.point(reference), request)
        return frozenset((topic.state.topic, topic.target) for topic in chosen)

    return _Asked(reference, request, seq, topics)


def _differences(plan: RestorePlan, asked: _Asked) -> Iterator[str]:
    """How the request differs from the restore with this plan, each difference as a text without a full stop."""
    if plan.set != asked.reference.set_name:
        yield f"it restores the set {plan.set} and not {asked.reference.set_name}"
        return
    yield from _other_selection(plan, asked)
    yield from _other_options(plan.options, asked.request.options)
    if (seq := asked.seq()) not in (None, plan.point):
        yield f"it restores {plan.set}@{plan.point} and not {plan.set}@{seq}"


def _other_selection(plan: RestorePlan, asked: _Asked) -> Iterator[str]:
    if plan.selection is None:
        if frozenset((topic.topic, topic.target) for topic in plan.topics) != asked.topics():
            yield "it restores other topics"
        return
    for name in ("include", "exclude"):
        before, now = getattr(plan.selection, name), getattr(asked.request.topics, name)
        if sorted(before) != sorted(now):
            yield f"its topics ({name}) are {_shown(before)} and not {_shown(now)}"


def _other_options(before: Mapping[str, object], now: RestoreOptions) -> Iterator[str]:
    try:
        known = RestoreOptions.model_validate(dict(before)).model_dump(mode="json")
    except ValidationError:
        yield "its options are those of another version"
        return
    asked = now.model_dump(mode="json")
    for name in {**asked, **known}:  # an option with its default can be absent on one side
        usual = RestoreOptions.model_fields[name].get_default(call_default_factory=True)
        was, is_now = known.get(name, usual), asked.get(name, usual)
        if name not in FREE_OPTIONS and was != is_now:
            yield f"its {name} is {_shown(was)} and not {_shown(is_now)}"


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return _shortened(", ".join(map(str, value)) or "empty")
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one}" for name, one in sorted(value.items())) or "empty"
    return "empty" if value is None else str(value)


def _shortened(text: str) -> str:
    """The beginning of a long text: a rule can contain thousands of keys."""
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _different(recorded: RecordedRestore, shared: Sequence[str], differences: Sequence[str]) -> str:
    return (
        f"The unfinished restore {recorded.restore} into {', '.join(shared)} is another one: {'; '.join(differences)}. "
        f"Nothing was changed. To continue it, ask for the same. {ways_out(recorded.restore)}"
    )


def _mismatched(recorded: RecordedRestore) -> str:
    return (
        f"The restore {recorded.restore} into the same topics found mismatches, so it is not continued. Restore into "
        "other topics with topic_mapping, or into the same ones with purge_topics, and give the earlier one up with "
        f"`kafka-backup abandon {recorded.restore}`."
    )


def _continue(recorded: RecordedRestore, reference: PointReference) -> RestoreChoice:
    plan = recorded.plan
    newer = ""
    if reference.seq is None and reference.time_ms is None:
        newer = " The newest point of the set is not looked for; `--new` begins a restore of it."
    return RestoreChoice(
        plan.restore,
        PointReference(plan.set, seq=plan.point),
        is_continued=True,
        note=f"The unfinished restore {plan.restore} of {plan.set}@{plan.point} is continued.{newer}",
    )
