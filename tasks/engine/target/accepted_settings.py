"""Finds the settings that the target accepts. Its brokers check every planned change. If they refuse a staging setting,
it is replaced by another one, or left out if the restore does not need it; otherwise the restore is refused. Changes
nothing on the cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tasks.broker.admin_values import ConfigChange, NewTopicSpec
from tasks.broker.ports import ClusterAdmin
from tasks.engine.target.findings import Finding, FindingLevel, error_finding
from tasks.engine.target.restore_plan import DraftRestore
from tasks.engine.target.staging import (
    AFTER,
    BEFORE,
    DIFFERENCE,
    LONGEST_MS,
    StagingNeeds,
    alternatives,
    deferred_settings,
    final_changes,
    without_staging,
)
from tasks.model.errors import ConfigError, KafkaBackupError
from tasks.repository.restores import RestorePlan, TopicCopy

_UNKNOWN_NAME = re.compile(r"Unknown topic config name: ([A-Za-z0-9._-]+)")
_MOST_ROUNDS = 100
"""A round removes or replaces a setting of every topic that is still refused. A topic that needs more is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedRestore:
    """The plan with the settings that the target accepts, and what had to be left out, or why it is refused."""

    plan: RestorePlan
    findings: Sequence[Finding]


def accepted_restore(draft: DraftRestore, admin: ClusterAdmin) -> AcceptedRestore:
    """Let the brokers check (`validate_only`) the creation of all new topics and the changes of all existing topics.

    A topic that they refuse is checked again with fewer settings. If a staging setting hid a topic's own setting in the
    first check, the topic is checked once more with its own settings.
    """
    trials = [_Trial(topic, draft.needs[topic.target]) for topic in draft.plan.topics]
    _settle(trials, admin, lambda trial: trial.proposal)
    hidden = [trial for trial in trials if not trial.is_refused and trial.hides_own_settings]
    _settle(hidden, admin, lambda trial: trial.last_changes)
    return AcceptedRestore(
        plan=draft.plan.model_copy(update={"topics": tuple(trial.topic for trial in trials)}),
        findings=[finding for trial in trials for finding in trial.findings],
    )


@dataclass(slots=True)
class _Trial:
    """The settings of one topic while the brokers check which of them they accept."""

    topic: TopicCopy
    needs: StagingNeeds
    findings: list[Finding] = field(default_factory=list)
    is_refused: bool = False
    _alternatives: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def own_changes(self) -> dict[str, str]:
        """The settings that the topic gets in the end and does not have yet."""
        present = self.topic.original if self.topic.exists else {}
        return final_changes(self.topic.settings, {}, (), present)[0]

    @property
    def last_changes(self) -> dict[str, str]:
        """`own_changes`, and the topic's own values of all staged settings, because these are set again in the end."""
        replaced = {name: self.topic.settings[name] for name in self.topic.staging if name in self.topic.settings}
        return {**self.own_changes, **replaced}

    @property
    def proposal(self) -> dict[str, str]:
        """All settings at once, as a new topic is created."""
        return {**self.own_changes, **self.topic.staging}

    @property
    def hides_own_settings(self) -> bool:
        """Whether a staging setting replaces one that the topic gets later, so that `proposal` does not contain it."""
        return any(self.proposal[name] != value for name, value in self.last_changes.items())

    def refuse(self, error: KafkaBackupError) -> None:
        """The restore into this topic is refused because of this error."""
        self.is_refused = True
        prefix = "its settings cannot be changed: " if self.topic.exists else "cannot be created: "
        finding = error_finding(self.topic.target, error, prefix=prefix)
        said, _, reason = str(error).partition(f" {self.topic.target}: ")
        if reason and said.startswith("Cannot "):  # "cannot be created: Cannot create topic t: …" says it twice
            finding = replace(finding, message=f"{prefix}{reason}")
        if isinstance(error, ConfigError) and _is_about_settings(error) and self.own_changes:
            hint = " With topic_configs: ignore the topic is restored without the settings of the backup."
            finding = Finding("error", finding.subject, finding.message + hint)
        self.findings.append(finding)

    def leave_out_unknown(self, name: str) -> bool:
        """Leave out a setting that the target does not know. Returns whether there was one."""
        if name in self.topic.settings:
            settings = {other: value for other, value in self.topic.settings.items() if other != name}
            self.topic = self.topic.model_copy(update={"settings": settings})
            self.findings.append(unknown_setting(self.topic.target, name))
        elif name not in self.topic.staging:
            return False
        if name in self.topic.staging:
            instead = {DIFFERENCE: str(LONGEST_MS)} if name in (BEFORE, AFTER) else {}
            self._stage_instead(name, instead)
        return True

    def give_way(self, name: str, error: KafkaBackupError) -> None:
        """The target refuses this staging setting: stage another one, or none, or refuse the restore."""
        value = self.topic.staging[name]
        choices = self._alternatives.setdefault(name, alternatives(name, value, self.needs))
        if choices:
            self._take_alternative(name, choices.pop(0), error)
            return
        missing = without_staging(name, self.needs)
        if missing.is_loss:
            self.is_refused = True
            message = f"without {name}={value} {missing.effect}, and the target refuses this setting: {error}"
            self.findings.append(Finding("error", self.topic.target, message))
            return
        self._stage_instead(name, {})
        message = f"{name}={value} is not set during the restore: {missing.effect}. The target refuses it: {error}"
        self.findings.append(Finding("warning", self.topic.target, message))

    def _take_alternative(self, name: str, instead: dict[str, str], error: KafkaBackupError) -> None:
        self.findings = [one for one in self.findings if not one.message.startswith(f"during the restore {name} is ")]
        self._stage_instead(name, instead)
        shown = ", ".join(f"{other}={value}" for other, value in instead.items())
        if name in instead:
            message = (
                f"during the restore {name} is {instead[name]}, because the target refuses a larger value: {error}"
            )
        else:
            message = f"during the restore {shown} is set instead of {name}, because the target refuses that: {error}"
        level: FindingLevel = "warning" if name in self.topic.deferred else "note"
        self.findings.append(Finding(level, self.topic.target, message))

    def _stage_instead(self, name: str, instead: Mapping[str, str]) -> None:
        staging = {other: value for other, value in self.topic.staging.items() if other != name} | dict(instead)
        if name == "cleanup.policy" and "delete" not in self.needs.during.get(name, "delete"):
            # Retention has no effect while the topic is only compacted.
            staging = {other: value for other, value in staging.items() if not other.startswith("retention.")}
        deferred = deferred_settings(self.needs, staging)
        self.topic = self.topic.model_copy(update={"staging": staging, "deferred": deferred})


def unknown_setting(target: str, name: str) -> Finding:
    """The warning for a setting of the backup that the target does not know."""
    return Finding("warning", target, f"{name} is not applied, because the target does not know this setting.")


def _settle(trials: Sequence[_Trial], admin: ClusterAdmin, proposal: Callable[[_Trial], Mapping[str, str]]) -> None:
    """Ask the brokers until each topic is accepted or refused."""
    open_trials = list(trials)
    for number in range(_MOST_ROUNDS):
        answers = _check(open_trials, admin, proposal)
        refused = [(trial, error) for trial, error in zip(open_trials, answers, strict=True) if error is not None]
        asked_again, to_diagnose = [], []
        for trial, error in refused:
            unknown = _UNKNOWN_NAME.search(str(error))
            if number == _MOST_ROUNDS - 1:
                trial.refuse(error)
            elif unknown is not None and trial.leave_out_unknown(unknown[1].rstrip(".")):
                asked_again.append(trial)
            elif isinstance(error, ConfigError) and _is_about_settings(error) and trial.topic.staging:
                to_diagnose.append((trial, error))
            else:
                trial.refuse(error)
        _diagnose(to_diagnose, admin)
        open_trials = [*asked_again, *(trial for trial, _ in to_diagnose if not trial.is_refused)]
        if not open_trials:
            return


def _diagnose(refused: Sequence[tuple[_Trial, KafkaBackupError]], admin: ClusterAdmin) -> None:
    """Find out which settings of these topics the brokers refuse: each staging setting is checked alone."""
    if not refused:
        return
    trials = [trial for trial, _ in refused]
    for trial, error in zip(trials, _check(trials, admin, lambda trial: trial.own_changes), strict=True):
        if error is not None:
            trial.refuse(error)
    staged = [trial for trial in trials if not trial.is_refused]
    culprits: dict[str, dict[str, KafkaBackupError]] = {trial.topic.target: {} for trial in staged}
    for name in sorted({name for trial in staged for name in trial.topic.staging}):
        concerned = [trial for trial in staged if name in trial.topic.staging]
        answers = _check(concerned, admin, partial(_with_one_staged, name=name))
        for trial, error in zip(concerned, answers, strict=True):
            if error is not None:
                culprits[trial.topic.target][name] = error
    for trial, whole in refused:
        if trial.is_refused:
            continue
        found = culprits[trial.topic.target]
        for name, error in found.items():
            if not trial.is_refused and name in trial.topic.staging:
                trial.give_way(name, error)
        if not found:
            trial.refuse(whole)


def _with_one_staged(trial: _Trial, *, name: str) -> dict[str, str]:
    return {**trial.own_changes, name: trial.topic.staging[name]}


def _check(
    trials: Sequence[_Trial], admin: ClusterAdmin, proposal: Callable[[_Trial], Mapping[str, str]]
) -> list[KafkaBackupError | None]:
    """The brokers' error for each trial, None for an accepted one. Nothing is changed. One call checks all new topics,
    and a second one all existing topics."""
    specs = [creation_spec(trial.topic, proposal(trial)) for trial in trials if not trial.topic.exists]
    changes = {trial.topic.target: ConfigChange(to_set=proposal(trial)) for trial in trials if trial.topic.exists}
    answers: dict[str, KafkaBackupError | None] = {}
    if specs:
        answers |= admin.create_topics(specs, validate_only=True)
    if any(changes.values()):
        answers |= admin.alter_topics(changes, validate_only=True)
    return [answers.get(trial.topic.target) for trial in trials]


def creation_spec(topic: TopicCopy, settings: Mapping[str, str]) -> NewTopicSpec:
    """A new topic as it is created, with these settings."""
    return NewTopicSpec(
        name=topic.target,
        partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        configs=settings,
    )


def creation_settings(topic: TopicCopy) -> dict[str, str]:
    """The settings with which a new topic is created: its own settings, overridden by the staging settings."""
    return {**topic.settings, **topic.staging}


def _is_about_settings(error: ConfigError) -> bool:
    """Whether other settings can change the answer: the brokers refuse a value, or a policy of the cluster does."""
    return any(name in str(error) for name in ("(INVALID_CONFIG)", "(POLICY_VIOLATION)"))
