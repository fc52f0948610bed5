"""What a write does to an item, and what a capture takes from one: the two rules that make a cut exact."""

from tidemark.domain.live import Cut, Gate, Item, ItemKey, ItemWrite
from tidemark.errors import CutViolated


def write_of(gate: Gate, key: ItemKey, current: Item | None, doc: str | None) -> ItemWrite | None:
    """The write that gives `key` the document `doc` (None: deletes it) under `gate`; None when there is nothing to
    write.

    The first write after the cut of a running capture keeps what the item was (`prev`, `prev_cut`); a later one passes
    that on.
    """
    if doc is None and (current is None or current.doc is None):
        return None
    rev = current.rev if current else None
    if doc is None and not gate.keeps_tombstones:
        return ItemWrite(key, rev, None)
    prev, prev_cut = _kept(gate, current)
    item = Item(key=key, doc=doc, rev=(rev or 0) + 1, changed=gate.cut, prev=prev, prev_cut=prev_cut)
    return ItemWrite(key, rev, item)


def _kept(gate: Gate, current: Item | None) -> tuple[str | None, Cut | None]:
    if gate.capturing is None:
        return None, None
    if current is None:
        return None, Cut(0)
    changed = current.changed or Cut(0)
    if changed > gate.capturing:
        return current.prev, current.prev_cut
    return current.doc, changed


def doc_at(item: Item, cut: Cut) -> str | None:
    """The item's document as of `cut`, None when it did not exist then."""
    if item.changed is None or item.changed <= cut:
        return item.doc
    if item.prev_cut is None:
        raise CutViolated(
            f"item {item.key.sort_key!r} changed in cut {item.changed} and does not say what it was in cut {cut}"
        )
    return item.prev
