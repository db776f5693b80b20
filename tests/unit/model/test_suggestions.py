"""Names in messages about a name that does not exist."""

from __future__ import annotations

from tasks.model.suggestions import did_you_mean, some_of


def test_similar_names_are_suggested_also_in_another_case() -> None:
    assert " Did you mean Orders-eu?" == did_you_mean("orders-uu", ["Orders-eu", "payments"])
    assert " Did you mean orderd, orderc or orderb?" == did_you_mean("orders", ["orderd", "orderc", "orderb"])
    assert "" == did_you_mean("orders", ["payments"])


def test_a_few_names_are_listed_with_the_number_of_the_others() -> None:
    assert "a, b" == some_of({"b", "a"})
    assert '"a b", b, c, d, e and 2 more' == some_of(["a b", *"bcdefg"])
    assert "none" == some_of([])
