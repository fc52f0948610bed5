"""The demo's days of hourly backups: they prove what they claim, and would say so if it were not true."""

import re

import pytest

from tests.local import demo_schedule
from tests.local.demo_client import DemoFailed
from tests.local.demo_story import Story
from tidemark.usecases import backup_phases, entity_slots

DAYS = 2

pytestmark = pytest.mark.timeout(300)


def test_days_of_hourly_backups_leave_what_the_policy_says(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story()

    demo_schedule.play(story, days=DAYS)

    assert story.steps[2].result == "48 slots, 1 delivered twice, 0 late"
    assert re.fullmatch(r"2[56] of 48 left, as the policy says; 2[23] forgotten", story.steps[-1].result)
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 100
    assert re.search(r"keep +1st of 24 hourly", told)
    assert re.search(r"forget +hourly keeps 6, and .* is the 7th", told)


def test_days_of_hourly_backups_fail_when_nothing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entity_slots, "apply_retention", lambda *_, **__: [])

    with pytest.raises(DemoFailed, match=r"48 snapshots that are left must be 2[56] others"):
        demo_schedule.play(Story(), days=DAYS)


def test_days_of_hourly_backups_fail_when_a_slot_is_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_phases, "_refusal", lambda *_: None)

    with pytest.raises(DemoFailed, match="the end of a slot's second delivery"):
        demo_schedule.play(Story(), days=DAYS)
