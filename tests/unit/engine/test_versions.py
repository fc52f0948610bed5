"""The two rules that make a cut exact: what a write keeps, and what a capture takes."""

from dataclasses import replace

import pytest

from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.live import Anchor, Cut, Gate, Generation, Item, ItemKey
from tidemark.domain.tenant import Tenant
from tidemark.engine.live.versions import Change, change_between, doc_at, write_of
from tidemark.errors import CutViolated

KEY = ItemKey(Generation(1), 0, "Room\x1fRoom1\x1f/")
IDLE = Gate(Tenant("t"), 0, Generation(1), Cut(7))
CAPTURING = Gate(Tenant("t"), 0, Generation(1), Cut(8), capturing=Cut(7))
BASED = Gate(Tenant("t"), 0, Generation(1), Cut(8), base=Cut(5))


def after(gate: Gate, current: Item | None, doc: str | None) -> Item | None:
    write = write_of(gate, KEY, current, doc, first_rev=7_000)
    return current if write is None else write.item


def test_write_keeps_what_was_before_only_while_a_capture_runs() -> None:
    old = Item(KEY, "old", 3, changed=Cut(4))
    assert after(IDLE, old, "new") == Item(KEY, "new", 4, changed=Cut(7))
    anchors = (Anchor(Cut(7), fingerprint("old")),)
    assert after(CAPTURING, old, "new") == Item(
        KEY, "new", 4, changed=Cut(8), prev="old", prev_cut=Cut(4), anchors=anchors
    )


def test_item_that_is_not_there_begins_with_the_rev_that_is_given_and_counts_on() -> None:
    created = after(IDLE, None, "new")
    assert created == Item(KEY, "new", 7_000, changed=Cut(7))
    assert after(IDLE, created, "newer") == Item(KEY, "newer", 7_001, changed=Cut(7))


def test_second_write_passes_on_what_was_before_the_cut() -> None:
    first = after(CAPTURING, Item(KEY, "old", 3, changed=Cut(4)), "new")
    second = after(CAPTURING, first, "newer")
    assert second is not None
    assert (second.doc, second.prev, second.prev_cut) == ("newer", "old", 4)
    assert doc_at(second, Cut(7)) == "old"


def test_entity_created_after_the_cut_did_not_exist_at_it() -> None:
    created = after(CAPTURING, None, "new")
    assert created is not None
    assert doc_at(created, Cut(7)) is None
    assert doc_at(created, Cut(8)) == "new"


def test_entity_deleted_after_the_cut_is_still_in_it() -> None:
    deleted = after(CAPTURING, Item(KEY, "old", 1), None)
    assert deleted is not None
    assert deleted.doc is None
    assert doc_at(deleted, Cut(7)) == "old"


def test_entity_deleted_and_made_again_after_the_cut_is_in_it_as_it_was() -> None:
    deleted = after(CAPTURING, Item(KEY, "old", 1), None)
    again = after(CAPTURING, deleted, "again")
    assert again is not None
    assert doc_at(again, Cut(7)) == "old"


@pytest.mark.parametrize(("gate", "leaves"), [(IDLE, False), (CAPTURING, True), (BASED, True)])
def test_delete_leaves_a_tombstone_only_when_a_snapshot_must_hear_of_it(gate: Gate, leaves: bool) -> None:
    write = write_of(gate, KEY, Item(KEY, "old", 3, changed=Cut(4)), None, first_rev=1)
    assert write is not None
    assert (write.item is not None) is leaves


@pytest.mark.parametrize("current", [None, Item(KEY, None, 2, changed=Cut(6))])
def test_delete_of_what_is_not_there_writes_nothing(current: Item | None) -> None:
    assert write_of(BASED, KEY, current, None, first_rev=1) is None


def test_doc_at_refuses_an_item_that_does_not_say_what_it_was() -> None:
    with pytest.raises(CutViolated, match="Room1"):
        doc_at(Item(KEY, "new", 2, changed=Cut(9)), Cut(8))


# --- what a delta says


BASED_AND_CAPTURING = Gate(Tenant("t"), 0, Generation(1), Cut(9), base=Cut(5), capturing=Cut(8))
AFTER_THAT = Gate(Tenant("t"), 0, Generation(1), Cut(9), base=Cut(8))


def written(current: Item | None, *writes: tuple[Gate, str | None]) -> Item:
    for gate, doc in writes:
        current = after(gate, current, doc)
    assert current is not None
    return current


def test_delta_says_what_the_base_has_however_often_the_item_was_written_since() -> None:
    item = written(Item(KEY, "old", 1), (BASED, "a"), (BASED, None), (BASED, "b"))
    assert change_between(item, Cut(5), Cut(8)) == Change("b", fingerprint("old"))
    assert change_between(written(None, (BASED, "a"), (BASED, "b")), Cut(5), Cut(8)) == Change("b", None)
    gone = written(Item(KEY, "old", 1), (BASED, "a"), (BASED, None))
    assert change_between(gone, Cut(5), Cut(8)) == Change(None, fingerprint("old"))


@pytest.mark.parametrize(
    ("current", "writes"),
    [
        (Item(KEY, "old", 1), ("a", "old")),
        (Item(KEY, "old", 1), (None, "old")),
        (None, ("a", None)),
        (None, ("a", None, "b", None)),
    ],
    ids=["changed back", "made again", "made and deleted", "made and deleted twice"],
)
def test_delta_says_nothing_of_what_ended_as_it_was(current: Item | None, writes: tuple[str | None, ...]) -> None:
    item = written(current, *((BASED, doc) for doc in writes))
    assert change_between(item, Cut(5), Cut(8)) is None


def test_delta_says_nothing_of_what_was_first_written_after_its_cut() -> None:
    for current in (Item(KEY, "old", 1), Item(KEY, "old", 1, changed=Cut(5)), None):
        assert change_between(written(current, (BASED_AND_CAPTURING, "new")), Cut(5), Cut(8)) is None


def test_item_keeps_what_it_was_at_the_cut_that_is_captured_and_drops_what_it_was_before() -> None:
    item = written(Item(KEY, "old", 1), (BASED, "a"), (BASED_AND_CAPTURING, "b"))
    assert item.anchors == (Anchor(Cut(5), fingerprint("old")), Anchor(Cut(8), fingerprint("a")))
    later = written(item, (AFTER_THAT, "c"))
    assert later.anchors == (Anchor(Cut(8), fingerprint("a")),)
    assert change_between(later, Cut(8), Cut(9)) == Change("c", fingerprint("a"))


def test_item_keeps_what_it_was_at_the_base_when_a_capture_failed() -> None:
    item = written(Item(KEY, "old", 1), (BASED, "a"), (BASED_AND_CAPTURING, "b"), (replace(BASED, cut=Cut(9)), "old"))
    assert change_between(item, Cut(5), Cut(9)) is None


def test_delta_is_refused_when_an_item_does_not_say_what_it_was() -> None:
    with pytest.raises(CutViolated, match=r"Room1.*cut 6"):
        change_between(Item(KEY, "new", 2, changed=Cut(7)), Cut(6), Cut(8))
