"""Following what goes on: progress never goes back, phases are told once, and endings are told apart."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.running import CommandLine, Scripted, answer, error
from tidemark_cli.sending import Answer
from tidemark_cli.waiting import RestoreProgress

PHASES = ("Plan", "Stage", "Verify", "Cutover", "Preserve", "Retire", "Rollback")


def restore(percent: int = 0, status: str = "restoring", phases: int = 1, **more: Any) -> dict[str, Any]:
    """A restore as the service tells of it, in its nth phase."""
    return {
        "id": "restore_1",
        "snapshotId": "snapshot_1",
        "status": status,
        "phase": PHASES[phases - 1],
        "percent": percent,
        "done": percent * 2,
        "total": 200,
        "phases": [
            {"phase": name, "startedAt": f"2026-01-15T10:00:0{number}.000Z"}
            for number, name in enumerate(PHASES[:phases])
        ],
        **more,
    }


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 7)), min_size=1))
def test_shown_progress_never_goes_back(steps: list[tuple[int, int]]) -> None:
    progress, shown, ended = RestoreProgress(), [(0, 0)], []
    for percent, phases in steps:
        ended += progress.update(restore(percent, phases=phases))
        shown.append((progress.percent, progress.done))
    assert shown == sorted(shown)
    assert shown[-1] == (max(percent for percent, _ in steps), 2 * max(percent for percent, _ in steps))
    assert [line.split()[0] for line in ended] == list(PHASES[: max(phases for _, phases in steps) - 1])


def test_every_phase_is_told_once_with_its_time() -> None:
    told = [restore(0), restore(0), restore(40, phases=2), restore(50, phases=4)]
    script = Scripted(
        [answer(200, one) for one in [*told, restore(100, "completed", 6, finishedAt="2026-01-15T10:00:07.500Z")]]
    )
    said = CommandLine(script)("restores", "watch", "restore_1")
    assert said.code == 0
    assert [line.split() for line in said.err.splitlines()] == [
        *(["Plan", "1.0", "s"], ["Stage", "1.0", "s"], ["Verify", "1.0", "s"], ["Cutover", "1.0", "s"]),
        *(["Preserve", "1.0", "s"], ["Retire", "2.5", "s"]),
    ]


def test_terminal_sees_a_bar_with_phase_and_entities_and_scripts_the_same_json() -> None:
    over = restore(100, "completed", 6, finishedAt="2026-01-15T10:00:07.500Z")
    script = Scripted([answer(200, one) for one in (restore(0), restore(40, phases=2), over)])
    said = CommandLine(script)("restores", "watch", "restore_1", "--json", env={"FORCE_COLOR": "1"})
    assert said.json() == over
    assert "\x1b[" in said.err
    assert "200 of 200 entities" in said.err
    assert "Retire 2.5 s" in said.err


def test_terminal_sees_that_a_snapshot_is_waited_for() -> None:
    creating = {"id": "snapshot_1", "status": "creating", "entityCount": 0}
    script = Scripted([answer(201, creating), answer(200, creating), answer(200, {**creating, "status": "completed"})])
    said = CommandLine(script)("snapshots", "create", "--quiet", env={"FORCE_COLOR": "1"})
    assert said.out == "snapshot_1\n"
    assert "Taking the snapshot" in said.err


class Interrupted(Scripted):
    """Ctrl-C comes instead of the last answer."""

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if len(self.sent) == len(self.answers):
            raise KeyboardInterrupt
        return super().send(method, url, headers, body)


def test_ctrl_c_ends_the_watching_and_says_how_to_go_on() -> None:
    said = CommandLine(Interrupted([answer(200, restore(40, phases=2))]))("restores", "watch", "restore_1")
    assert said.code == 130
    assert "tidemark restores watch restore_1" in said.err
    assert "Traceback" not in said.err


def test_failed_and_cancelled_restores_end_with_1() -> None:
    failed = restore(10, "failed", 7, error={"code": "PackCorrupt", "description": "the pack is damaged"})
    for document, told in ((failed, "the pack is damaged (PackCorrupt)"), (restore(10, "cancelled"), "was cancelled")):
        said = CommandLine(Scripted([answer(200, document)]))("restores", "watch", "restore_1", "--json")
        assert said.code == 1
        assert said.json() == document
        assert told in said.err


def test_waiting_ends_after_its_time_and_says_that_it_goes_on() -> None:
    said = CommandLine(Scripted([answer(200, restore())]))("restores", "watch", "restore_1", "--timeout", "1")
    assert said.code == 6
    assert "restores watch restore_1" in said.err


def test_snapshot_that_fails_while_it_is_waited_for_ends_with_1() -> None:
    creating = {"id": "snapshot_1", "status": "creating", "entityCount": 0}
    failed = {**creating, "status": "failed", "error": {"code": "GatesClosed", "description": "writers waited"}}
    script = Scripted([answer(201, creating), answer(200, creating), answer(200, failed)])
    said = CommandLine(script)("snapshots", "create", "--json")
    assert (said.code, said.out) == (1, "")
    assert "writers waited (GatesClosed)" in said.err


# --- plans


def plan(identity: str, updated: int = 1) -> dict[str, Any]:
    changes = {"created": 0, "updated": updated, "deleted": 0, "unchanged": 5}
    named = [{"id": "Room1", "type": "Room", "servicePath": "/"}] if updated else []
    return {"id": "snapshot_1", "plan": identity, "changes": changes, "created": [], "updated": named, "deleted": []}


BEGUN = answer(202, {"id": "snapshot_1", "status": "restoring", "restoredEntities": 6, "restoreId": "restore_1"})
REFUSED = "the reason"
DONE = answer(200, restore(100, "completed", 6, finishedAt="2026-01-15T10:00:07.500Z"))


def test_plan_that_does_not_hold_any_more_is_made_and_asked_for_again() -> None:
    script = Scripted([answer(200, plan("plan_1")), error(409), answer(200, plan("plan_2")), BEGUN, DONE])
    command = CommandLine(script, interactive=True)
    said = command("snapshots", "restore", "snapshot_1", typed="y\ny\n")
    assert said.code == 0
    told = said.err.partition("by this plan?")[2]
    assert told.index(REFUSED) < told.index("This is the plan now.") < told.index("Plan plan_2")
    assert [sent.document for sent in script.sent[:4]] == [
        {"mode": "replace", "dryRun": True},
        {"plan": "plan_1", "safetySnapshot": True},
        {"mode": "replace", "dryRun": True},
        {"plan": "plan_2", "safetySnapshot": True},
    ]
    assert script.sent[1].headers["Idempotency-Key"] != script.sent[3].headers["Idempotency-Key"]


def test_plan_that_another_dry_run_keeps_from_being_made_anew_is_not_told_of() -> None:
    said = CommandLine(Scripted([answer(200, plan("plan_1")), error(409), error(409)]))(
        "snapshots", "restore", "snapshot_1", "--yes"
    )
    assert (said.code, said.err.count(REFUSED)) == (4, 1)
    assert "This is the plan now." not in said.err


def test_plans_that_never_hold_are_given_up_with_what_to_do() -> None:
    script = Scripted([answer(200, plan("plan_1")), error(409)] * 4)
    said = CommandLine(script)("snapshots", "restore", "snapshot_1", "--yes")
    assert (said.code, len(script.sent)) == (4, 6)
    assert "--no-plan" in said.err


def test_restore_that_another_one_blocks_is_not_planned_anew() -> None:
    script = Scripted([answer(200, plan("plan_1")), error(409, location="/v2/restores/restore_0")])
    said = CommandLine(script)("snapshots", "restore", "snapshot_1", "--yes")
    assert (said.code, len(script.sent)) == (4, 2)
    assert "restores watch restore_0" in said.err


def test_restore_without_a_plan_sends_its_wish_at_once() -> None:
    script = Scripted([BEGUN])
    said = CommandLine(script)(
        *("snapshots", "restore", "snapshot_1", "--yes", "--no-plan", "--no-wait", "--json"),
        *("--type", "Room", "--type", "Car", "--id", "a", "--q", "t>1", "--attrs", "x,y", "--type-pattern", "R.*"),
        *("--mode", "merge", "--into", "other", "--no-safety-snapshot"),
    )
    assert said.json()["restoreId"] == "restore_1"
    assert [sent.document for sent in script.sent] == [
        {
            "mode": "merge",
            "filter": {"type": "Room,Car", "typePattern": "R.*", "id": "a", "q": "t>1", "attrs": ["x", "y"]},
            "target": {"service": "other"},
            "safetySnapshot": False,
        }
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [((), "Everything is as in the snapshot"), (("--type", "Rom"), "All that is selected is as in")],
)
def test_plan_that_changes_nothing_says_of_what(options: tuple[str, ...], told: str) -> None:
    script = Scripted([answer(200, plan("plan_1", updated=0))])
    said = CommandLine(script)("snapshots", "restore", "snapshot_1", "--yes", *options)
    assert (said.code, len(script.sent)) == (0, 1)
    assert told in said.out


INTO_OTHER = ("snapshots", "restore", "snapshot_1", "--yes", "--no-plan", "--into", "other")


def test_restore_into_another_tenant_is_followed_there() -> None:
    script = Scripted([BEGUN, DONE])
    assert CommandLine(script)(*INTO_OTHER).code == 0
    assert [sent.headers["Fiware-Service"] for sent in script.sent] == ["smartcity", "other"]


KEPT = answer(200, {**DONE.json(), "safetySnapshotId": "snapshot_2"})
BLOCKED = error(409, location="/v2/restores/restore_0")


@pytest.mark.parametrize(
    ("answers", "options", "told"),
    [
        pytest.param([BEGUN, KEPT], (), "tidemark snapshots restore snapshot_2{}\n", id="to undo"),
        pytest.param([BEGUN], ("--no-wait",), "tidemark restores watch restore_1{}\n", id="to follow"),
        pytest.param([BLOCKED], (), "tidemark restores watch restore_0{}\n", id="in the way"),
        pytest.param(
            [BEGUN, answer(200, restore(10))], ("--timeout", "1"), "tidemark restores watch restore_1{},", id="goes on"
        ),
    ],
)
def test_commands_that_are_told_name_the_tenant_that_was_restored_into(
    answers: list[Answer], options: tuple[str, ...], told: str
) -> None:
    there = CommandLine(Scripted(answers))(*INTO_OTHER, *options)
    assert told.format(" --tenant other") in there.out + there.err
    here = CommandLine(Scripted(answers))(*INTO_OTHER[:-2], *options)
    assert told.format("") in here.out + here.err


# --- plans that take longer than their request


def counting(percent: int = 0) -> dict[str, Any]:
    return {"id": "snapshot_1", "status": "counting", "plan": "plan_1", "mode": "replace", "percent": percent}


PLANNED = {**plan("plan_1"), "status": "planned"}
UNMADE = {
    **counting(),
    "status": "failed",
    "error": {"code": "PackCorrupt", "description": "the pack is damaged"},
}


def test_plan_that_takes_longer_than_its_request_is_waited_for_shown_and_carried_out() -> None:
    script = Scripted(
        [answer(202, counting()), answer(200, counting(50)), answer(200, PLANNED), BEGUN, DONE],
    )
    said = CommandLine(script)("snapshots", "restore", "snapshot_1", "--yes", env={"FORCE_COLOR": "1"})
    assert said.code == 0
    assert [sent.method for sent in script.sent] == ["POST", "GET", "GET", "POST", "GET"]
    assert script.sent[1].url.endswith("/v2/plans/plan_1?limit=5")
    assert script.sent[3].document == {"plan": "plan_1", "safetySnapshot": True}
    assert "Comparing with what is live" in said.err
    assert "1 updated" in said.err


def test_plan_that_could_not_be_made_restores_nothing_and_says_why() -> None:
    script = Scripted([answer(202, counting()), answer(200, UNMADE)])
    said = CommandLine(script)("snapshots", "restore", "snapshot_1", "--yes")
    assert (said.code, len(script.sent)) == (1, 2)
    assert "the pack is damaged (PackCorrupt)" in said.err


def test_dry_run_that_is_not_waited_for_says_where_its_plan_will_be() -> None:
    said = CommandLine(Scripted([answer(202, counting())]))(
        "snapshots", "restore", "snapshot_1", "--dry-run", "--no-wait"
    )
    assert said.code == 0
    assert "tidemark plans show plan_1" in said.out


def test_plan_that_is_waited_for_in_vain_goes_on_and_says_where() -> None:
    script = Scripted([answer(202, counting()), answer(200, counting(10))])
    said = CommandLine(script)("snapshots", "restore", "snapshot_1", "--dry-run", "--timeout", "1")
    assert said.code == 6
    assert "it goes on: tidemark plans show plan_1" in said.err


def test_plan_that_is_not_ready_is_shown_as_it_stands() -> None:
    for document, told in ((counting(25), "is being made: 25 %"), (UNMADE, "the pack is damaged (PackCorrupt)")):
        said = CommandLine(Scripted([answer(200, document)]))("plans", "show", "plan_1")
        assert (said.code, told in said.out.replace("\n", " ")) == (0, True)
