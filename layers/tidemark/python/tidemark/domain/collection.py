"""Collections: what one run of the garbage collector found and did for one tenant, or the images of one environment."""

from dataclasses import dataclass, field
from typing import NamedTuple, Self

from tidemark.domain.tenant import Tenant


class Tally(NamedTuple):
    """Some objects, and their bytes in all."""

    objects: int = 0
    size_bytes: int = 0

    def plus(self, other: "Tally") -> Self:
        """Both together."""
        return type(self)(self.objects + other.objects, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class Collection:
    """The report of one tenant. Every object that was listed is in `kept`, `deleted` or `retained`, or was left for the
    next call where `done` is false.

    `retained` are objects that nobody needs and that the store does not let go: by Object Lock, or for want of access.
    `recycled` snapshots came into the recycle bin because they were to be kept no longer; `expired` ones left it for
    good; of `purged` ones nothing is left, not even the record.
    `swept_generations` counts ended restores whose leftovers were removed, `closed` what was found left of backups,
    deletions and restores of volumes. `problems` are sentences for the operator; where there are any, the collector
    kept what it could not judge.
    """

    tenant: Tenant
    dry_run: bool
    listed: Tally = Tally()  # noqa: RUF009 - an immutable tuple
    kept: Tally = Tally()  # noqa: RUF009
    deleted: Tally = Tally()  # noqa: RUF009
    retained: Tally = Tally()  # noqa: RUF009
    recycled: int = 0
    expired: int = 0
    purged: int = 0
    swept_generations: int = 0
    closed: int = 0
    problems: tuple[str, ...] = field(default=())
    done: bool = True

    def beside(self, other: "Collection") -> "Collection":
        """The sum with the report of another tenant."""
        return Collection(
            tenant=self.tenant,
            dry_run=self.dry_run,
            listed=self.listed.plus(other.listed),
            kept=self.kept.plus(other.kept),
            deleted=self.deleted.plus(other.deleted),
            retained=self.retained.plus(other.retained),
            recycled=self.recycled + other.recycled,
            expired=self.expired + other.expired,
            purged=self.purged + other.purged,
            swept_generations=self.swept_generations + other.swept_generations,
            closed=self.closed + other.closed,
            problems=(*self.problems, *other.problems),
            done=self.done and other.done,
        )

    def followed_by(self, later: "Collection") -> "Collection":
        """The report of this call and of a later one that went on with what it had left."""
        return Collection(
            tenant=self.tenant,
            dry_run=self.dry_run,
            listed=self.listed,
            kept=later.kept,
            deleted=self.deleted.plus(later.deleted),
            retained=later.retained,
            recycled=self.recycled + later.recycled,
            expired=self.expired + later.expired,
            purged=self.purged + later.purged,
            swept_generations=self.swept_generations + later.swept_generations,
            closed=self.closed + later.closed,
            problems=later.problems,
            done=later.done,
        )
