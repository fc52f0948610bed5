"""What a write does to an item, and what a capture takes from one: the rules that make a cut exact."""

from typing import Final, NamedTuple

from tidemark.domain.live import Cut, Gate, Item, ItemKey, ItemWrite, Life
from tidemark.errors import CutViolated

STAGED: Final = Cut(0)


class Change(NamedTuple):
    """`doc` is the document now, None for a tombstone; `new` says that the entity was not there before."""

    doc: str | None
    new: bool


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
    born, past = _lives(gate, current)
    item = Item(
        key=key, doc=doc, rev=(rev or 0) + 1, changed=gate.cut, prev=prev, prev_cut=prev_cut, born=born, past=past
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


def _lives(gate: Gate, current: Item | None) -> tuple[Cut | None, tuple[Life, ...]]:
    """When the present life began, and the earlier ones that a snapshot may still have to count."""
    if current is None:
        return gate.cut, ()
    past, born = current.past, current.born
    if current.doc is None:
        past = (*past, Life(born or STAGED, current.changed or STAGED))
        born = gate.cut
    recorded = gate.base or STAGED
    return born, tuple(life for life in past if life.died > recorded and life.died > life.born)


def existed_at(item: Item, cut: Cut) -> bool:
    """Whether the entity was there at the end of `cut`."""
    lives = (*item.past, Life(item.born or STAGED, item.changed or STAGED)) if item.doc is None else item.past
    if any(life.born <= cut < life.died for life in lives):
        return True
    return item.doc is not None and (item.born or STAGED) <= cut


def change_between(item: Item, base: Cut, cut: Cut) -> Change | None:
    """What a delta from the end of `base` to the end of `cut` says of the item; None when it says nothing."""
    if item.changed is not None and item.changed > cut and item.prev_cut is not None and item.prev_cut <= base:
        return None
    doc = doc_at(item, cut)
    counted = existed_at(item, base)
    if doc is None and not counted:
        return None
    return Change(doc, not counted)
