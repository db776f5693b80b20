"""Sorts the keys of a file: keys of the model are kept for validation; the others get a note or are problems. For an
unknown key the nearest known one is proposed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from tasks.config.keys import KEYS_WITHIN, NOT_YET, NOTED, is_disabled
from tasks.config.yaml_tree import Place, Tree, path_text
from tasks.store.registry import KEYS

_STORAGE: Place = ("storage",)
_PRESENT = "offset_storage"
"""A section that has a meaning without keys."""

_ALL_STORAGE_KEYS = frozenset[str]().union(*KEYS.values())


def classify_keys(
    tree: Tree, model: type[BaseModel], keys_of_other_files: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """(the keys and values for the model, notes about keys without a meaning). Unknown keys, and keys that are not
    available, are added to the tree as problems.

    `keys_of_other_files` are the top-level keys of other kinds of files, each with the sentence of its problem. A key
    with an empty sentence is skipped without a problem.
    """
    sorter = _KeySorter(tree, model, keys_of_other_files)
    return sorter.section(tree.value, model, ()), sorter.notes


class _KeySorter:
    def __init__(self, tree: Tree, top: type[BaseModel], keys_of_other_files: Mapping[str, str]) -> None:
        self._tree = tree
        self._top = top
        self._keys_of_other_files = keys_of_other_files
        self.notes: list[str] = []

    def section(self, value: Mapping[str, Any], model: type[BaseModel], place: Place) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, member in value.items():
            inner = (*place, key)
            field = model.model_fields.get(key)
            sections = _sections_of(field.annotation) if field else ()
            if field is None:
                self._key_without_field(model, inner, member)
            elif inner == _STORAGE and isinstance(member, Mapping):
                kept[key] = self._storage(member)
            elif sections and isinstance(member, Mapping):
                kept[key] = self.section(member, sections[0], inner)
            elif key == _PRESENT and member is None:
                kept[key] = {}  # the name alone counts
            elif not sections or member is not None or place:  # a top-level section without a value is left out
                kept[key] = member
        return kept

    def _storage(self, storage: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of the section's backend with their values. A key of another backend is a problem."""
        backend = storage.get("backend")
        name = backend if isinstance(backend, str) else ""
        own = KEYS.get(name, _ALL_STORAGE_KEYS)
        for key in storage:
            if key not in _ALL_STORAGE_KEYS:
                self._unknown((*_STORAGE, key), _ALL_STORAGE_KEYS)
            elif key not in own:
                self._tree.add_problem((*_STORAGE, key), f"{key!r} is not a key of backend {name!r}.")
        return {key: member for key, member in storage.items() if key in own}

    def _key_without_field(self, model: type[BaseModel], place: Place, member: object) -> None:
        dotted = path_text(place)
        if dotted in self._keys_of_other_files:
            if self._keys_of_other_files[dotted]:
                self._tree.add_problem(place, self._keys_of_other_files[dotted])
        elif (reason := NOTED.get(dotted) or NOTED.get(path_text(place[:-1]))) is not None:
            line = self._tree.line(place)
            self.notes.append(f"{self._tree.file}:{line}: {dotted!r} has no meaning here: {reason}.")
        elif dotted in NOT_YET:
            if not is_disabled(dotted, member):
                self._tree.add_problem(place, f"{dotted!r} is not available yet: {NOT_YET[dotted]}.")
            self._check_within(place, dotted, member)
        else:
            self._unknown(place, [*model.model_fields, *_table_keys(place[:-1])])

    def _check_within(self, place: Place, dotted: str, member: object) -> None:
        known = KEYS_WITHIN.get(dotted)
        if known is not None and isinstance(member, Mapping):
            for key in member:
                if key not in known:
                    self._unknown((*place, key), known)

    def _unknown(self, place: Place, siblings: Iterable[str]) -> None:
        key = str(place[-1])
        section = f" in {path_text(place[:-1])!r}" if place[:-1] else ""
        near = _nearest(key, {name: name for name in siblings}) or _nearest(key, _by_last_part(self._top))
        hint = f"; did you mean {near!r}?" if near else "."
        self._tree.add_problem(place, f"unknown key {key!r}{section}{hint}")


_LEAST_SIMILARITY = 0.7
"""How similar a known key must be to be proposed for an unknown one, from 0 to 1 (`difflib`)."""


def _nearest(key: str, names: Mapping[str, str]) -> str | None:
    found = difflib.get_close_matches(key.lower(), sorted(names), n=1, cutoff=_LEAST_SIMILARITY)
    return names[found[0]] if found else None


def _by_last_part(top: type[BaseModel]) -> dict[str, str]:
    """The dotted keys that a file can have, by their last part. If several have the same last part, the one with the
    fewest parts."""
    sections = {*top.model_fields, *NOT_YET}
    dotted = [name for name in (*_fields(top, ""), *NOTED, *NOT_YET) if name.partition(".")[0] in sections]
    return {name.rpartition(".")[2]: name for name in sorted(dotted, key=lambda name: -name.count("."))}


def _fields(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for section in _sections_of(field.annotation):
            yield from _fields(section, f"{prefix}{name}.")


def _table_keys(place: Place) -> Iterator[str]:
    """The keys of a section that are in the tables `NOTED` and `NOT_YET`."""
    for dotted in (*NOTED, *NOT_YET):
        section, _, key = dotted.rpartition(".")
        if section == path_text(place):
            yield key


def _sections_of(annotation: object) -> tuple[type[BaseModel], ...]:
    """The models of a field: several for a union, none for a plain value."""
    candidates = (annotation, *get_args(annotation))
    return tuple(one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel))
