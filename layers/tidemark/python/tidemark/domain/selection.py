"""What a partial restore is about: the entities, or attributes of entities, that become as they were."""

from typing import Protocol

from tidemark.domain.keys import EntityKey


class Selection(Protocol):
    """A filter as the dialect that it came in understands it. Documents are canonical JSON; None means: does not exist.

    Whatever a worker is asked twice it answers alike.
    """

    def names(self, key: EntityKey) -> bool:
        """Whether an entity can be selected, going by its key alone."""
        ...

    def picks(self, key: EntityKey, was: str | None, now: str | None) -> bool:
        """Whether the entity is selected: as it was in the snapshot, or as it is now."""
        ...

    def blend(self, was: str | None, now: str | None, *, keep: bool) -> str | None:
        """What becomes of a selected entity: as it was, where the filter names attributes these alone.

        `keep`: what was not there before stays.
        """
        ...
