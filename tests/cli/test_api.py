"""How commands ask: retries that honour what the service says, keys against doing twice, exit codes for scripts."""

from email.utils import formatdate
from time import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.running import URL, CommandLine, Said, Scripted, answer, error
from tidemark_cli import api
from tidemark_cli.failures import Unreachable
from tidemark_cli.sending import Answer

SNAPSHOT = {"id": "snapshot_1", "description": "", "createdAt": "2026-01-15T10:00:00Z", "entityCount": 1}
MADE = answer(201, {**SNAPSHOT, "status": "completed"})
LISTED = answer(200, [])


def of_volumes(status: int, code: int) -> Answer:
    """An answer that is an error of the API of volumes."""
    return answer(status, {"errors": [{"code": code, "errorCode": str(code), "message": "the reason", "context": {}}]})


def asked(*answers: Answer | Unreachable, command: tuple[str, ...] = ("snapshots", "list")) -> tuple[Said, Scripted]:
    """What a command said, and what it sent, when it is answered so."""
    script = Scripted(answers)
    return CommandLine(script)(*command), script


def test_request_names_tenant_and_key() -> None:
    _, script = asked(LISTED)
    sent = script.sent[0]
    assert (sent.method, sent.url.partition("?")[0]) == ("GET", f"{URL}/v2/snapshots")
    assert sent.headers["Authorization"] == "Bearer tm_key"
    assert sent.headers["Fiware-Service"] == "smartcity"


def test_option_beats_the_variable_before_and_after_the_command() -> None:
    for arguments in (
        ("--tenant", "harbour", "snapshots", "list"),
        ("snapshots", "list", "--tenant", "harbour"),
        ("--tenant", "elsewhere", "snapshots", "list", "--tenant", "harbour"),
    ):
        _, script = asked(LISTED, command=arguments)
        assert script.sent[0].headers["Fiware-Service"] == "harbour"


@pytest.mark.parametrize("status", [429, 503])
def test_busy_service_is_asked_again_as_it_says(status: int) -> None:
    script = Scripted([error(status, retry_after="7"), error(status), MADE])
    command = CommandLine(script)
    assert command("snapshots", "create").code == 0
    assert command.slept_s[0] == 7
    assert 0.5 <= command.slept_s[1] <= 1
    keys = {sent.headers["Idempotency-Key"] for sent in script.sent}
    assert (len(script.sent), len(keys)) == (3, 1)


def test_each_run_has_an_idempotency_key_of_its_own() -> None:
    keys = {asked(MADE, command=("snapshots", "create"))[1].sent[0].headers["Idempotency-Key"] for _ in range(3)}
    assert len(keys) == 3


def test_date_in_retry_after_is_honoured() -> None:
    script = Scripted([error(503, retry_after=formatdate(time() + 20, usegmt=True)), LISTED])
    command = CommandLine(script)
    assert command("snapshots", "list").code == 0
    assert 15 <= command.slept_s[0] <= 20


def test_command_does_not_wait_longer_than_a_minute_when_told_to() -> None:
    said, script = asked(error(503, retry_after="3600"))
    assert (said.code, len(script.sent)) == (6, 1)
    assert "3600 s" in said.err


def test_service_that_stays_busy_is_given_up() -> None:
    said, script = asked(error(503))
    assert (said.code, len(script.sent)) == (6, api.TRIES)


def test_request_under_way_is_asked_for_its_outcome() -> None:
    said, script = asked(
        Unreachable("cut off", sent=True), error(409, retry_after="2"), MADE, command=("snapshots", "create")
    )
    assert (said.code, len(script.sent)) == (0, 3)


@pytest.mark.parametrize(
    ("command", "sent", "tries"),
    [
        pytest.param(("snapshots", "list"), True, api.TRIES, id="reading"),
        pytest.param(("snapshots", "create"), True, api.TRIES, id="under a key"),
        pytest.param(("snapshots", "copy", "snapshot_1", "--into", "b"), True, api.TRIES, id="a copy, under a key"),
        pytest.param(("snapshots", "delete", "snapshot_1"), True, 1, id="a delete that may have arrived"),
        pytest.param(("snapshots", "delete", "snapshot_1"), False, api.TRIES, id="a delete that never left"),
    ],
)
def test_silence_is_met_by_a_repeat_only_where_that_is_safe(command: tuple[str, ...], sent: bool, tries: int) -> None:
    said, script = asked(Unreachable("cut off", sent=sent), command=command)
    assert (said.code, len(script.sent)) == (6, tries)
    assert "cut off" in said.err
    assert ("look before you repeat" in said.err) == sent


@pytest.mark.parametrize(
    ("answered", "code", "told"),
    [
        pytest.param(error(400), 1, "the reason (400 Name)", id="400"),
        pytest.param(error(401), 5, "TIDEMARK_API_KEY", id="401"),
        pytest.param(error(403), 5, "use a key", id="403"),
        pytest.param(of_volumes(403, 401), 5, "check TIDEMARK_API_KEY", id="no key, about volumes"),
        pytest.param(of_volumes(403, 403), 5, "use a key", id="another key, about volumes"),
        pytest.param(of_volumes(500, 503), 6, "try again later", id="busy, about volumes"),
        pytest.param(answer(403, {"message": "Forbidden"}), 5, "Forbidden", id="the gateway's own form"),
        pytest.param(error(404), 3, "the reason (404 Name)", id="404"),
        pytest.param(error(409), 4, "the reason", id="409"),
        pytest.param(
            error(409, location="/v2/restores/restore_9"), 4, "restores watch restore_9", id="restore running"
        ),
        pytest.param(error(413), 1, "the reason", id="413"),
        pytest.param(error(422), 1, "the reason", id="422"),
        pytest.param(error(500), 1, "the reason", id="500"),
        pytest.param(error(504), 6, "try again later", id="504"),
        pytest.param(Answer(599, {}, b"<html>\x1b[31mBad\n</html>"), 1, "\\x1b[31mBad", id="not even JSON"),
        pytest.param(Answer(200, {}, b"<html></html>"), 1, "check TIDEMARK_URL", id="another server"),
        pytest.param(Answer(302, {"location": "/login"}, b""), 1, "check TIDEMARK_URL", id="a login page"),
        pytest.param(answer(200, [{"name": "other"}]), 1, "not understood", id="another API"),
    ],
)
def test_error_is_one_line_and_an_exit_code(answered: Answer, code: int, told: str) -> None:
    said, _ = asked(answered)
    assert (said.code, said.out) == (code, "")
    assert told in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        pytest.param({"TIDEMARK_URL": None}, "set TIDEMARK_URL", id="no address"),
        pytest.param({"TIDEMARK_URL": "tidemark.test"}, "https://", id="an address without a scheme"),
        pytest.param({"TIDEMARK_API_KEY": None}, "set TIDEMARK_API_KEY", id="no key"),
        pytest.param({"TIDEMARK_API_KEY": "tm_a\r\nX: y"}, "without spaces", id="a key that is two lines"),
        pytest.param({"TIDEMARK_TENANT": "a b"}, "letters", id="no name of a tenant"),
    ],
)
def test_wrong_variable_is_named_before_anything_is_sent(variables: dict[str, str | None], told: str) -> None:
    script = Scripted([LISTED])
    said = CommandLine(script)("snapshots", "list", env=variables)
    assert (said.code, script.sent) == (2, [])
    assert told in said.err
    assert "tm_" not in said.err


@pytest.mark.parametrize("identity", ["", ".", ".."])
@pytest.mark.parametrize("command", [("show",), ("delete",), ("restore", "--yes"), ("read",), ("verify",)])
def test_id_that_is_none_is_refused_before_anything_is_sent(command: tuple[str, ...], identity: str) -> None:
    said, script = asked(MADE, command=("snapshots", *command, identity))
    assert (said.code, script.sent) == (2, [])
    assert "can't be an id" in said.err


_NAMES = st.text(min_size=1, max_size=40).filter(lambda text: text not in {".", ".."})


@given(_NAMES, _NAMES)
def test_names_cannot_leave_their_place_in_the_path(first: str, second: str) -> None:
    segments = api.path(first, second).removeprefix("/v2/").split("/")
    assert len(segments) == 2
    assert not any(char in "".join(segments) for char in "?#\\ \n")


def test_tables_show_control_characters_and_never_send_them() -> None:
    listed: list[Any] = [{**SNAPSHOT, "status": "completed", "description": "a\x1b]0;b\x07[red]c[/red]\u202e"}]
    said, _ = asked(answer(200, listed))
    assert "a\\x1b]0;b\\x07[red]c[/red]\\u202e" in said.out
    assert "\x1b" not in said.out


def test_diff_shows_what_became_of_each_attribute() -> None:
    entities = [
        {"id": "Room1", "type": "Room", "servicePath": "/", "change": "created"},
        {
            "id": "Room2",
            "type": "Room",
            "servicePath": "/",
            "change": "updated",
            "attributes": {
                "temperature": {
                    "old": {"type": "Number", "value": 21.5, "metadata": {}},
                    "new": {"type": "Number", "value": -1, "metadata": {}},
                },
                "unit": {
                    "old": {"type": "Text", "value": "C", "metadata": {}},
                    "new": {"type": "Code", "value": "C", "metadata": {}},
                },
                "owner": {"new": {"type": "Text", "value": "Ada", "metadata": {}}},
            },
        },
    ]
    counts = {"created": 1, "updated": 1, "deleted": 0}
    told = answer(
        200, {"from": "snapshot_1", "to": "live", "counts": counts, "entities": entities}, fiware_total_count="9"
    )
    said, script = asked(
        told, command=("snapshots", "diff", "snapshot_1", "live", "--type", "Room", "--change", "created,updated")
    )
    assert said.code == 0
    assert "/v2/snapshots/snapshot_1/diff?with=live&type=Room&change=created%2Cupdated&" in script.sent[0].url
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0][-6:] == ["1", "created,", "1", "updated,", "0", "deleted."]
    assert rows[2] == ["created", "Room", "Room1"]
    assert rows[3] == ["updated", "Room", "Room2", "temperature", "21.5", "-1"]
    assert "type=Text" in said.out
    assert "type=Code" in said.out
    assert rows[5][3:] == ["owner", "Ada"]
    assert "--offset 2" in said.err
