"""Decides which records of a source partition a restore writes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tasks.repository.lines import Frame, IndexLine


class Kept(Enum):
    """How many of a frame's restorable records are kept: all, some, or none. `SOME` means that the index does not
    show it: then the frame has to be read."""

    ALL = auto()
    SOME = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """The rules for the records of one source partition. Without rules all restorable records in the range of a line
    are kept."""

    def kept(self, line: IndexLine, frame: Frame) -> Kept:
        """How many records of the frame are kept, as far as the index shows it."""
        return Kept.SOME if line.is_cut(frame) else Kept.ALL


KEEPS_ALL: Final = RecordFilter()
