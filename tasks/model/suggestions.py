"""Names for messages about a topic, group or set that does not exist: similar ones that exist. For keys of files see
`config/classify_keys`. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tasks.model.quoting import quoted

_LEAST_SIMILARITY = 0.6


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean orders, orders-eu or order?` with a space in front, for at most three similar names. Empty if no
    name is similar."""
    by_lower = {one.lower(): one for one in sorted(names)}
    found = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=_LEAST_SIMILARITY)
    near = [quoted(by_lower[one]) for one in found]
    return f" Did you mean {' or '.join(filter(None, (', '.join(near[:-1]), near[-1])))}?" if near else ""
