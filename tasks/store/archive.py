"""The port of an archive, which a store can have: asks the store to bring objects back, so that they can be read."""

from __future__ import annotations

from typing import Literal, Protocol

RetrievalTier = Literal["Standard", "Bulk", "Expedited"]
"""How fast S3 brings an object back, and at which price."""


class ObjectArchive(Protocol):
    """The archived objects of a store. Several threads can use it at the same time. Every method can raise the errors
    of a store."""

    def bring_back(self, key: str, *, days: int | None, tier: RetrievalTier) -> None:
        """Ask for an object, so that it can be read for `days` days once it is back. Returns at once. `days` is None
        for an object that stays readable, because S3 refuses a number for it.

        May be called again: an object that is already on its way is no error, and one that is back stays readable for
        `days` days from now on. Does nothing for an object that is in no archive. Raises `ObjectNotFoundError` if the
        key does not exist.
        """
        ...
