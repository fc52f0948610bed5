"""What became of an entity from one state to another."""

from enum import StrEnum


class Change(StrEnum):
    """How an entity differs."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


def change_of(before: str | None, after: str | None) -> Change | None:
    """What became of what was `before` and is `after` (documents, or their fingerprints; None: does not exist); None
    where it stayed as it was.
    """
    if before == after:
        return None
    if before is None:
        return Change.CREATED
    return Change.DELETED if after is None else Change.UPDATED
