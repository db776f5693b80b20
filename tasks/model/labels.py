"""Labels of restore points: names with values, which operators choose. Checks and parses them, and finds the label that
a rule such as `release=1.2.3` or `release` means. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tasks.model.errors import ConfigError
from tasks.model.quoting import quoted

MOST_LABELS = 32
"""The largest number of labels of one point."""

MOST_VALUE_CHARACTERS = 200
"""The largest number of characters of a label's value."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises `ConfigError` if a point cannot have these labels."""
    for key, value in labels.items():
        check_label_key(key)
        _check_value(key, value)
    if len(labels) > MOST_LABELS:
        raise ConfigError(f"A restore point can have at most {MOST_LABELS} labels. These are {len(labels)}.")


def check_label_key(key: str) -> None:
    """Raises `ConfigError` if a label cannot have this key."""
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{quoted(key)} cannot be the key of a label. Use letters, digits, '.', '_', '/' and '-', begin with a "
            "letter or a digit, at most 63 characters."
        )


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """The labels in texts such as `release=1.2.3`. Raises `ConfigError` for another text, for a key that occurs twice,
    and if a point cannot have these labels."""
    labels: dict[str, str] = {}
    for text in texts:
        key, is_label, value = text.partition("=")
        if not is_label:
            raise ConfigError(f"{quoted(text)} is not a label. Write KEY=VALUE, for example release=1.2.3.")
        if key in labels:
            raise ConfigError(f"The label {quoted(key)} occurs twice. Give each key once.")
        labels[key] = value
    check_labels(labels)
    return labels


def check_label_rule(rule: str) -> None:
    """Raises `ConfigError` if a text is neither `KEY=VALUE` nor `KEY`."""
    key, has_value, value = rule.partition("=")
    check_label_key(key)
    if has_value:
        _check_value(key, value)


def find_label(labels: Mapping[str, str], rule: str) -> str | None:
    """The label, as `KEY=VALUE`, that the rule means: `KEY=VALUE` means the label with this value, `KEY` the label with
    any value. None if it is not among the labels."""
    key, has_value, value = rule.partition("=")
    if key not in labels or (has_value and labels[key] != value):
        return None
    return f"{key}={labels[key]}"


def labels_text(labels: Mapping[str, str]) -> str:
    """The labels in the order of their keys: `env=prod, release=1.2.3`."""
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _check_value(key: str, value: str) -> None:
    if not 1 <= len(value) <= MOST_VALUE_CHARACTERS or not value.isprintable():
        raise ConfigError(
            f"The label {quoted(key)} has a value that is not allowed. Use 1 to {MOST_VALUE_CHARACTERS} printable "
            "characters."
        )
