"""How to restore a point, as text that can be copied as it is."""

from __future__ import annotations

import json
import re
import shlex

import yaml

from tasks.reports.recipe import MOST_MAPPED, Places, restore_recipe

PLACES = Places(
    cluster="production",
    repository="s3-repository/prod",
    cluster_section={"bootstrap_servers": ["kafka:9092"]},
    storage_section={"backend": "s3", "bucket": "b", "secret_key": "${SECRET_KEY}"},
)


def test_few_topics_are_restored_beside_the_originals_both_ways() -> None:
    words, file = _fences(restore_recipe("nightly@3", ["orders", "it's"], PLACES))

    *_, options = shlex.split(words)
    mapping = {"orders": "orders-restored", "it's": "it's-restored"}
    assert {"topic_mapping": mapping} == json.loads(options.removeprefix("options="))
    document = yaml.safe_load(file)
    assert ("nightly@3", mapping) == (document["backup_id"], document["restore"]["topic_mapping"])
    assert (PLACES.cluster_section, PLACES.storage_section) == (document["target"], document["storage"])


def test_many_topics_keep_their_names_and_the_text_says_what_follows() -> None:
    recipe = restore_recipe("nightly@3", [f"topic-{number}" for number in range(MOST_MAPPED + 1)], PLACES)

    words, file = _fences(recipe)
    assert "options=" not in words
    assert "restore" not in yaml.safe_load(file)
    assert f"the {MOST_MAPPED + 1} topics keep their names, so they must be missing or empty there" in recipe


def _fences(text: str) -> list[str]:
    return re.findall(r"```(?:yaml)?\n(.*?)\n```", text, re.S)
