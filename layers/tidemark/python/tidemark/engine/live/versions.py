"""What a write does to an item, and what a capture takes from one: the rules that make a cut exact."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.live import Anchor, Cut, Gate, Item, ItemKey, ItemWrite
from tidemark.errors import CutViolated

STAGED: Final = Cut(0)


class Change(NamedTuple):
    """`doc` is the document now, None for a tombstone; `was` the fingerprint of what was there before, None where
    nothing was.
    """

    doc: str | None
    was: str | None


def write_of(gate: Gate, key: ItemKey, current: Item | None, doc: str | None, *, first_rev: int) -> ItemWrite | None:
    """The write that gives `key` the document `doc` (None: deletes it) under `gate`; None when there is nothing to
    write. `first_rev` is the rev of an item that is not there yet.

    The first write after the cut of a running capture keeps what the item was (`prev`, `prev_cut`), and the first one
    after that cut or after the base's keeps its fingerprint (`anchors`); later ones pass that on.
    """
    if doc is None and (current is None or current.doc is None):
        return None
    rev = current.rev if current else None
    if doc is None and not gate.keeps_tombstones:
        return ItemWrite(key, rev, None)
    prev, prev_cut = _kept(gate, current)
    item = Item(
        key=key,
        doc=doc,
        rev=first_rev if rev is None else rev + 1,
        changed=gate.cut,
        prev=prev,
        prev_cut=prev_cut,
        anchors=tuple(_anchors(gate, current)),
    )
    return ItemWrite(key, rev, item)


def _kept(gate: Gate, current: Item | None) -> tuple[str | None, Cut | None]:
    if gate.capturing is None:
        return None, None
    if current is None:
        return None, STAGED
    changed = current.changed or STAGED
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


def _anchors(gate: Gate, current: Item | None) -> Iterator[Anchor]:
    """What the item was at the cuts that a delta may be made from: the base's, and the one being captured, which may
    come to be the base. No earlier one will be asked for again.
    """
    for cut in sorted({cut for cut in (gate.base, gate.capturing) if cut is not None}):
        if current is None:
            # Nor was there anything at that cut: a delete since would have left a tombstone.
            yield Anchor(cut, None)
        elif (current.changed or STAGED) <= cut:
            yield Anchor(cut, fingerprint(current.doc))
        else:
            yield from (anchor for anchor in current.anchors if anchor.cut == cut)


def change_between(item: Item, base: Cut, cut: Cut) -> Change | None:
    """What a delta from the end of `base` to the end of `cut` says of the item; None when it was the same at both."""
    doc = doc_at(item, cut)
    was = _fingerprint_at(item, base)
    return None if fingerprint(doc) == was else Change(doc, was)


def _fingerprint_at(item: Item, cut: Cut) -> str | None:
    if (item.changed or STAGED) <= cut:
        return fingerprint(item.doc)
    for anchor in item.anchors:
        if anchor.cut == cut:
            return anchor.was
    raise CutViolated(
        f"item {item.key.sort_key!r} changed in cut {item.changed} and has no fingerprint of what it was in cut {cut}"
    )
