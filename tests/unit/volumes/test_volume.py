"""Snapshots of volumes: which states may follow which, what a record may never say, and how they are named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.volumes.examples import FAILURE, IMAGE, SNAPSHOT_ID, TEN_O_CLOCK, in_state, snapshot, volume
from tidemark.domain.instance import instance_id, zone_id
from tidemark.domain.snapshot import Failure
from tidemark.domain.volume import (
    FOLLOWING,
    VolumeSnapshot,
    VolumeState,
    new_volume_snapshot_id,
    volume_id,
)
from tidemark.domain.volume import VolumeSnapshotState as State
from tidemark.domain.volume_names import (
    MAX_NAME_CHARS,
    check_name,
    check_template_name,
    default_name,
    default_template_name,
)
from tidemark.errors import InvalidRequest, SnapshotInUse, WrongState

STEPS: dict[State, Callable[[VolumeSnapshot], VolumeSnapshot]] = {
    State.CREATING: VolumeSnapshot.creating,
    State.CUT: lambda one: one.cut("snap-1"),
    State.STORING: VolumeSnapshot.storing,
    State.STORED: lambda one: one.stored(IMAGE),
    State.FAILED: lambda one: one.failed(FAILURE),
    State.DELETING: VolumeSnapshot.deleting,
    State.DELETED: VolumeSnapshot.deleted,
}


def test_snapshot_goes_through_every_state_to_stored_and_then_away() -> None:
    done = snapshot().creating().cut("snap-1").storing().stored(IMAGE)
    assert (done.state, done.image, done.source_id) == (State.STORED, IMAGE, "snap-1")
    assert done.without_source().deleting().deleted().state is State.DELETED


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("after", list(STEPS))
def test_step_is_taken_only_from_the_states_that_it_may_follow(before: State, after: State) -> None:
    one = in_state(before)
    if after in FOLLOWING[before] or after is before:
        assert STEPS[after](one).state is after
    else:
        with pytest.raises(WrongState) as refused:
            STEPS[after](one)
        assert refused.value.current == before
        assert set(refused.value.expected) == {state for state, following in FOLLOWING.items() if after in following}


def test_only_these_changes_of_state_are_possible() -> None:
    assert {before: {after.value for after in following} for before, following in FOLLOWING.items()} == {
        "allocated": {"creating", "failed"},
        "creating": {"cut", "failed"},
        "cut": {"storing", "failed"},
        "storing": {"stored", "failed"},
        "stored": {"deleting"},
        "failed": {"deleting"},
        "deleting": {"deleted"},
        "deleted": set(),
    }


@pytest.mark.parametrize("state", list(STEPS))
def test_step_that_is_repeated_changes_nothing(state: State) -> None:
    before = next(before for before, following in FOLLOWING.items() if state in following)
    once = STEPS[state](in_state(before))
    assert STEPS[state](once) == once


def test_moment_is_kept_by_one_snapshot_of_the_cloud() -> None:
    cut = snapshot().creating().cut("snap-1")
    with pytest.raises(WrongState):
        cut.cut("snap-2")


def test_first_image_and_first_reason_stay() -> None:
    stored = in_state(State.STORED)
    assert stored.stored(replace(IMAGE, digest="2" * 64)).image == IMAGE
    failed = in_state(State.FAILED)
    assert failed.failed(Failure("AwsFailure", "later")).failure == FAILURE


def test_record_is_never_stored_without_its_image() -> None:
    with pytest.raises(ValueError, match="only where its image is"):
        snapshot(state=State.STORED)
    with pytest.raises(msgspec.ValidationError, match="only where its image is"):
        msgspec.json.decode(msgspec.json.encode(snapshot()).replace(b'"allocated"', b'"stored"'), type=VolumeSnapshot)


def test_record_is_never_failed_without_a_reason() -> None:
    with pytest.raises(ValueError, match="has a reason"):
        snapshot(state=State.FAILED)


@pytest.mark.parametrize("state", list(State))
def test_record_is_read_back_as_it_was_stored(state: State) -> None:
    one = in_state(state, source_id="snap-1", used_by=frozenset({"task-1"}))
    assert msgspec.json.decode(msgspec.json.encode(one), type=VolumeSnapshot) == one


@pytest.mark.parametrize(
    ("state", "keeps", "leaves"),
    [
        (State.CUT, False, False),
        (State.STORING, False, False),
        (State.STORED, False, True),
        (State.STORED, True, False),
        (State.FAILED, False, True),
        (State.FAILED, True, True),
        (State.DELETING, True, True),
    ],
)
def test_snapshot_of_the_cloud_is_left_once_nothing_needs_it(state: State, *, keeps: bool, leaves: bool) -> None:
    one = in_state(state, source_id="snap-1", keeps_source=keeps)
    assert one.leaves_source == leaves
    if leaves:
        assert not one.without_source().leaves_source


@pytest.mark.parametrize("state", [State.CUT, State.STORING])
def test_snapshot_of_the_cloud_is_not_let_go_while_it_is_read(state: State) -> None:
    with pytest.raises(WrongState):
        in_state(state, source_id="snap-1").without_source()


def test_record_is_not_deleted_while_the_snapshot_of_the_cloud_is_there() -> None:
    with pytest.raises(WrongState):
        in_state(State.DELETING, source_id="snap-1").deleted()


def test_snapshot_is_not_deleted_while_something_reads_it() -> None:
    used = in_state(State.STORED).using("restore-1")
    with pytest.raises(SnapshotInUse, match="restore-1"):
        used.deleting()
    assert used.released_by("restore-1").deleting().state is State.DELETING


@pytest.mark.parametrize("state", [state for state in State if state is not State.STORED])
def test_snapshot_is_read_only_when_it_is_stored(state: State) -> None:
    with pytest.raises(WrongState) as refused:
        in_state(state).using("restore-1")
    assert refused.value.expected == ("stored",)


@pytest.mark.parametrize("state", list(VolumeState))
def test_snapshot_is_taken_only_of_a_volume_that_is_ready(state: VolumeState) -> None:
    one = volume(state=state)
    if state in {VolumeState.AVAILABLE, VolumeState.IN_USE}:
        one.check_ready()
    else:
        with pytest.raises(WrongState):
            one.check_ready()


def test_default_name_is_of_instance_volume_and_moment() -> None:
    assert default_name(volume(name="foo"), TEN_O_CLOCK) == "i-douglas-ADM_foo_20161116211009"
    assert default_name(volume(name="foo"), TEN_O_CLOCK, 2) == "i-douglas-ADM_foo_20161116211009-2"


def test_default_name_says_the_moment_in_utc() -> None:
    elsewhere = TEN_O_CLOCK.astimezone(timezone(timedelta(hours=-5)))
    assert default_name(volume(), elsewhere) == default_name(volume(), TEN_O_CLOCK)


def test_default_name_does_without_names_of_instance_and_volume() -> None:
    assert default_name(volume(instance_name=None, name=""), TEN_O_CLOCK) == (
        "i-1234567890abcdef0_vol-049df61146c4d7901_20161116211009"
    )
    alone = volume(instance_name=None, instance_id=None, instance_source_id=None)
    assert default_name(alone, TEN_O_CLOCK) == "detached_ROOT-35545_20161116211009"


@given(st.text(), st.text(), st.integers(min_value=1, max_value=999))
def test_default_name_is_one_that_may_be_given(instance: str, name: str, sequence: int) -> None:
    found = default_name(volume(instance_name=instance, name=name), TEN_O_CLOCK, sequence)
    assert check_name(found) == found
    assert "_20161116211009" in found


@pytest.mark.parametrize(
    ("snapshot_name", "expected"),
    [("a\U0001f692:b", "a__b"), ("x", "x__"), ("x" * 127 + " y", "x" * 127), ("\U0001f692" * 255, "_" * 128)],
)
def test_default_name_of_a_template_is_one_that_may_be_given(snapshot_name: str, expected: str) -> None:
    found = default_template_name(snapshot_name)
    assert found == expected
    assert check_template_name(check_name(found)) == found


@pytest.mark.parametrize("name", ["", " ", "a ", " a", "a\nb", "a\x00", "x" * (MAX_NAME_CHARS + 1)])
def test_name_is_refused_that_people_could_not_tell_from_another(name: str) -> None:
    with pytest.raises(InvalidRequest, match="the name of a snapshot"):
        check_name(name)


def test_id_of_a_volume_follows_from_what_aws_calls_it() -> None:
    names = ("ca-central-1", "vol-1")
    assert volume_id(*names) == volume_id(*names)
    assert len({volume_id(*names), volume_id("ca-west-1", "vol-1"), instance_id(*names), zone_id(*names)}) == 4


def test_id_of_a_snapshot_is_of_the_random_bytes_that_are_given() -> None:
    assert new_volume_snapshot_id(bytes.fromhex(SNAPSHOT_ID.replace("-", ""))) == SNAPSHOT_ID
