"""Names in messages about a name that does not exist."""

from __future__ import annotations

from tasks.model.suggestions import did_you_mean


def test_similar_names_are_suggested_also_in_another_case() -> None:
    assert " Did you mean Orders-eu?" == did_you_mean("orders-uu", ["Orders-eu", "payments"])
    assert " Did you mean orderd, orderc or orderb?" == did_you_mean("orders", ["orderd", "orderc", "orderb"])
    assert "" == did_you_mean("orders", ["payments"])
