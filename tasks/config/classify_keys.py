"""Sorts the keys of a file: honoured ones are kept for validation, the others are noted, refused or unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from tasks.config.keys import KEYS_WITHIN, NOT_YET, NOTED, STORAGE_KEYS, STORAGE_NOT_YET, is_disabled
from tasks.config.yaml_tree import Place, Tree, path_text

_STORAGE_KEYS = frozenset[str]().union(*STORAGE_KEYS.values())


def classify_keys(
    tree: Tree, model: type[BaseModel], keys_of_other_files: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """(what the model is asked to validate, notes); problems go to the tree.

    `keys_of_other_files` says of keys at the top why they are not wanted; an empty sentence passes over the key.
    """
    sifter = _Sifter(tree, model, keys_of_other_files)
    return sifter.section(tree.value, model, ()), sifter.notes


class _Sifter:
    def __init__(self, tree: Tree, top: type[BaseModel], keys_of_other_files: Mapping[str, str]) -> None:
        self._tree = tree
        self._top = top
        self._keys_of_other_files = keys_of_other_files
        self.notes: list[str] = []

    def section(self, value: Mapping[str, Any], model: type[BaseModel], place: Place) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, member in value.items():
            field = model.model_fields.get(key)
            section = _section_of(field.annotation) if field else None
            if field is None:
                self._without_field(model, (*place, key), member)
            elif section is not None and isinstance(member, Mapping):
                kept[key] = self.section(member, section, (*place, key))
            elif section is None or member is not None or place:  # at the top, nothing below a key is no section
                kept[key] = member
        if place == ("storage",):
            self._check_storage(value)
        return kept

    def _without_field(self, model: type[BaseModel], place: Place, member: object) -> None:
        dotted = path_text(place)
        if dotted in self._keys_of_other_files:
            if self._keys_of_other_files[dotted]:
                self._tree.complain(place, self._keys_of_other_files[dotted])
        elif dotted in NOTED:
            line = self._tree.line(place)
            self.notes.append(f"{self._tree.file}:{line}: {dotted!r} has no meaning here: {NOTED[dotted]}.")
        elif dotted in NOT_YET:
            if not is_disabled(dotted, member):
                self._tree.complain(place, f"{dotted!r} is not available yet: {NOT_YET[dotted]}.")
            self._check_within(place, dotted, member)
        elif not (place[:-1] == ("storage",) and place[-1] in _STORAGE_KEYS):
            self._unknown(place, [*model.model_fields, *_tabled(place[:-1])])

    def _check_within(self, place: Place, dotted: str, member: object) -> None:
        known = KEYS_WITHIN.get(dotted)
        if known is not None and isinstance(member, Mapping):
            for key in member:
                if key not in known:
                    self._unknown((*place, key), known)

    def _check_storage(self, storage: Mapping[str, Any]) -> None:
        backend = storage.get("backend")
        if backend in STORAGE_NOT_YET:
            sentence = f"backend {backend!r} is not available yet: this version stores in S3 or a filesystem."
            self._tree.complain(("storage", "backend"), sentence)
        elif isinstance(backend, str) and backend in STORAGE_KEYS:
            for key in storage:
                if key in _STORAGE_KEYS - STORAGE_KEYS[backend]:
                    self._tree.complain(("storage", key), f"{key!r} is not a key of backend {backend!r}.")

    def _unknown(self, place: Place, siblings: Iterable[str]) -> None:
        key = str(place[-1])
        where = f" in {path_text(place[:-1])!r}" if place[:-1] else ""
        near = _nearest(key, {name: name for name in siblings}) or _nearest(key, _by_last_part(self._top))
        hint = f"; did you mean {near!r}?" if near else "."
        self._tree.complain(place, f"unknown key {key!r}{where}{hint}")


def _nearest(key: str, names: Mapping[str, str]) -> str | None:
    found = difflib.get_close_matches(key.lower(), sorted(names), n=1, cutoff=0.7)
    return names[found[0]] if found else None


def _by_last_part(top: type[BaseModel]) -> dict[str, str]:
    """The dotted keys that a file may have, by their last parts; of equal ones the least deep."""
    sections = {*top.model_fields, *NOT_YET}
    dotted = [name for name in (*_fields(top, ""), *NOTED, *NOT_YET) if name.partition(".")[0] in sections]
    return {name.rpartition(".")[2]: name for name in sorted(dotted, key=lambda name: -name.count("."))}


def _fields(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        section = _section_of(field.annotation)
        if section is not None:
            yield from _fields(section, f"{prefix}{name}.")


def _tabled(place: Place) -> Iterator[str]:
    """Keys of a section that the tables know."""
    for dotted in (*NOTED, *NOT_YET):
        section, _, key = dotted.rpartition(".")
        if section == path_text(place):
            yield key


def _section_of(annotation: object) -> type[BaseModel] | None:
    candidates = (annotation, *get_args(annotation))
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
