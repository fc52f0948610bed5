"""What the command line shows, for README.md: two stories, played on the API's own functions in memory.

`python -m tests.repo.screens` prints the screens; with `--update DOCUMENT` it rewrites those in a Markdown document,
each of which is the fenced block after a comment `<!-- screen: name -->`. The clock is moved by hand and chance is
seeded, so that they are the same each time, until the code says something else.
"""

import argparse
import json
import re
import shlex
import sys
from datetime import datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from tests.cli.in_memory import InMemory
from tests.driving import run_restore
from tests.fakes import ManualClock, MemoryWorkflows, memory_ports
from tidemark.domain.tenant import Tenant
from tidemark.ports import Ports
from tidemark.usecases.backup_phases import SlotState, conclude_slot, run_slot
from tidemark_cli.app import app
from tidemark_cli.session import Surroundings

_COLUMNS: Final = 100
_PHASE_S: Final = 2.0
_URL: Final = "https://tidemark.example"
_TENANT: Final = Tenant("smartcity")
ENVIRONMENT: Final = "compute-on/test_area"
_BLOCK: Final = re.compile(
    r"(?P<head><!-- screen: (?P<name>\S+) -->\s*```console\n)(?P<screen>.*?)(?P<tail>^```$)",
    re.DOTALL | re.MULTILINE,
)


class Terminal:
    """A city in memory, and somebody who looks after it from a terminal."""

    def __init__(self, ports: Ports | None = None) -> None:
        self.ports = ports or memory_ports()
        assert isinstance(self.ports.clock, ManualClock)
        assert isinstance(self.ports.workflows, MemoryWorkflows)
        self.clock, self._workflows = self.ports.clock, self.ports.workflows
        self._restored = 0

    def shows(self, line: str, *, typed: str = "") -> str:
        """The command as it was typed, with what it wrote and what was typed when it asked."""
        self.clock.advance(1)
        around = Surroundings(
            sender=InMemory(self.ports),
            sleep=self.sleep,
            monotonic_s=self.clock.monotonic_s,
            interactive=lambda: True,
        )
        told = CliRunner().invoke(
            app,
            shlex.split(line.replace("\\\n", ""))[1:],
            input=typed,
            env={
                "TIDEMARK_URL": _URL,
                "TIDEMARK_API_KEY": "tm_key",
                "TIDEMARK_TENANT": _TENANT,
                "TIDEMARK_ENVIRONMENT": ENVIRONMENT,
                "COLUMNS": str(_COLUMNS),
                "TERM": "dumb",
            },
            obj=around,
            prog_name="tidemark",
        )
        if told.exit_code:
            raise RuntimeError(f"{line} ended with {told.exit_code}: {told.output}")
        lines = [f"$ {line}", *told.output.splitlines()]
        return "".join(f"{one.rstrip()}\n" for one in lines)

    def asks(self, method: str, path: str, document: object = None) -> None:
        """What the city itself asks of the API, beside the terminal."""
        headers, body = {"Fiware-Service": str(_TENANT)}, None
        if document is not None:
            headers["Content-Type"], body = "application/json", json.dumps(document).encode()
        answer = InMemory(self.ports).send(method, f"{_URL}{path}", headers, body)
        if answer.status != HTTPStatus.NO_CONTENT:
            raise RuntimeError(f"{method} {path} was answered {answer.status}: {answer.text}")

    def sleep(self, seconds: float) -> None:
        """While the command waits, the restores that were begun are carried out."""
        self.clock.advance(seconds)
        for started in self._workflows.started[self._restored :]:
            run_restore(self.ports, started.subject, between=lambda _: self.clock.advance(_PHASE_S))
            self._restored += 1


def _report(terminal: Terminal, **temperatures: float) -> None:
    """Rooms report these temperatures."""
    entities = [
        {"id": name, "type": "Room", "temperature": {"type": "Number", "value": value}}
        for name, value in temperatures.items()
    ]
    terminal.asks("POST", "/v2/op/update", {"actionType": "append", "entities": entities})


def _slots(terminal: Terminal, schedule_id: str, count: int) -> None:
    """Deliver the next slots of a schedule, each on time, while the rooms report now and then."""
    for number in range(count):
        slot_at = _next_slot(terminal, schedule_id)
        terminal.clock.advance((slot_at - terminal.clock.now()).total_seconds())
        _report(terminal, Room1=18 + number % 7)
        run = run_slot(terminal.ports, _TENANT, schedule_id, slot_at, owner=str(number), begun_at=slot_at)
        if run.state is not SlotState.MADE:
            raise RuntimeError(f"the slot {slot_at} made no snapshot: {run}")
        conclude_slot(terminal.ports, _TENANT, schedule_id, slot_at, owner=str(number))


def _next_slot(terminal: Terminal, schedule_id: str) -> datetime:
    slot_at = terminal.ports.catalog.schedule(_TENANT, schedule_id).next_run(terminal.clock.now())
    if slot_at is None:
        raise RuntimeError(f"{schedule_id} is never due again")
    return slot_at


def _migration() -> dict[str, str]:
    """A migration of temperatures goes wrong, and is looked at and undone."""
    terminal = Terminal()
    _report(terminal, Room1=21.5, Room2=22, Room3=19.5, Room4=20.5)
    screens = {
        "create": terminal.shows('tidemark snapshots create --description "Before the migration" --label release=2.1.0')
    }
    [before] = terminal.ports.catalog.snapshots(_TENANT)
    _report(terminal, Room1=70.7, Room2=71.6, Room3=67.1, Room5=0)
    terminal.asks("DELETE", "/v2/entities/Room4")
    screens["diff"] = terminal.shows(f"tidemark snapshots diff {before.id} live")
    screens["restore"] = terminal.shows(f"tidemark snapshots restore {before.id}", typed="y\n")
    screens["list"] = terminal.shows("tidemark snapshots list")
    return screens


def _backups() -> dict[str, str]:
    """Three days of backups by a schedule, and the question what a stricter policy would leave."""
    terminal = Terminal()
    _report(terminal, Room1=21.5, Room2=22)
    screens = {
        "schedule": terminal.shows(
            'tidemark schedules create --expression "rate(1 hour)" --timezone Europe/Paris \\\n'
            '    --description "{interval} of {date}" --keep-last 3 --hourly 6 --daily 7'
        )
    }
    [schedule] = terminal.ports.catalog.found_schedules(_TENANT)
    _slots(terminal, schedule.id, 60)
    screens["schedules"] = terminal.shows("tidemark schedules list")
    kept = sorted(one.id for one in terminal.ports.catalog.snapshots(_TENANT) if not one.forgotten)
    terminal.shows(f"tidemark snapshots pin {kept[-5]}")
    screens["backups"] = terminal.shows("tidemark snapshots list")
    screens["preview"] = terminal.shows(f"tidemark retention preview {schedule.id} --hourly 3 --daily 2")
    return screens


@cache
def screens() -> dict[str, str]:
    """Each screen by its name, ending in a line break."""
    # Imported here, since those screens are played on a terminal of this module.
    from tests.repo.volume_screens import disk, nights  # noqa: PLC0415

    return _migration() | _backups() | disk() | nights()


def screens_in(document: str) -> dict[str, str]:
    """The screens that a Markdown document shows."""
    return {match["name"]: match["screen"] for match in _BLOCK.finditer(document)}


def updated(document: str) -> str:
    """The Markdown document with every screen as it is now."""
    return _BLOCK.sub(lambda match: match["head"] + screens()[match["name"]] + match["tail"], document)


def main(arguments: list[str]) -> None:
    """Prints or updates the screens."""
    parser = argparse.ArgumentParser(prog="python -m tests.repo.screens", description="Plays the command line.")
    parser.add_argument("--update", type=Path, metavar="DOCUMENT", help="a Markdown file whose screens are made anew")
    options = parser.parse_args(arguments)
    if options.update:
        options.update.write_text(updated(options.update.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        for name, screen in screens().items():
            print(f"--- {name}\n{screen}")


if __name__ == "__main__":
    main(sys.argv[1:])
