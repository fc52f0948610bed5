"""What a partial restore makes of each entity, and the item that stands for it in the new generation.

A partial restore is like one large write: entities that it leaves alone keep their items, with the cut of their last
write; those that it changes get what a write in the cut `stamp.cut` would have made of them. So the tenant's base still
holds, and the next capture is incremental.
"""

from typing import Final, NamedTuple

from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Base, Cut, Gate, Generation, Item, ItemKey
from tidemark.domain.restore import Mode
from tidemark.domain.selection import Selection
from tidemark.domain.tenant import Tenant
from tidemark.engine.live.versions import STAGED, doc_at, write_of

FIRST_REV: Final = 1


class Overlay(NamedTuple):
    """How a snapshot is laid over live data."""

    mode: Mode
    selection: Selection | None

    def result(self, sort_key: str, was: str | None, now: str | None) -> str | None:
        """What becomes of an entity that was `was` in the snapshot and is `now` (None: does not exist)."""
        if was == now:
            return now
        keep = self.mode is Mode.MERGE
        if self.selection is None:
            return now if keep and was is None else was
        key = EntityKey.parse(sort_key)
        if not self.selection.names(key) or not self.selection.picks(key, was, now):
            return now
        return self.selection.blend(was, now, keep=keep)


def stamp_of(tenant: Tenant, generation: Generation, baseline: Cut, base: Base | None) -> Gate:
    """The gate that the restore's own changes pass: in the cut that follows `baseline`, always leaving tombstones."""
    return Gate(tenant, 0, generation, Cut(baseline + 1), base=base.cut if base else STAGED)


def item_of(stamp: Gate, key: ItemKey, current: Item | None, result: str | None) -> Item | None:
    """The item of the new generation under `key`, where `current` is the live one; None where there is none in
    either.
    """
    if current is not None and current.doc == result:
        return current._replace(key=key, rev=FIRST_REV, prev=None, prev_cut=None)
    write = write_of(stamp, key, current, result, first_rev=FIRST_REV)
    return write.item._replace(rev=FIRST_REV) if write is not None and write.item is not None else None


def as_of(item: Item, cut: Cut) -> Item | None:
    """The item as far as it was written by the end of `cut`; None where it did not exist.

    Of one that was written since, `changed` is the cut of the write before.
    """
    if item.changed is None or item.changed <= cut:
        return item
    doc = doc_at(item, cut)
    if doc is None:
        return None
    return Item(item.key, doc, item.rev, changed=item.prev_cut or None, anchors=item.anchors)
