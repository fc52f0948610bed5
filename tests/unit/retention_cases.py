"""The golden files of retention: one case a file, with the policy, the snapshots, and what becomes of each and why.

`python -m tests.unit.retention_cases --update` writes the decisions anew; what changed is to be read before it is kept.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from tidemark.dialects.ngsi.retention import parse_policy
from tidemark.domain.retention import Candidate, Decision, RetentionPolicy, decide, made_by
from tidemark.domain.snapshot import SnapshotStatus, snapshot_id

FOLDER: Final = Path(__file__).parents[1] / "golden" / "retention"
SCHEDULE: Final = "nightly"
_HEAD: Final = ("policy", "zone", "now")
_REASON: Final = re.compile(r"    (?:keep|forget|leave): .+")


@dataclass(frozen=True, slots=True)
class Case:
    """A golden file. `lines` are those of its snapshots, without the reasons."""

    title: str
    head: Mapping[str, str]
    lines: tuple[str, ...]

    @property
    def policy(self) -> RetentionPolicy:
        """What the file asks to keep, in the words of the API."""
        return parse_policy(json.loads(self.head["policy"]))

    @property
    def zone(self) -> ZoneInfo:
        """Where its days begin."""
        return ZoneInfo(self.head["zone"])

    @property
    def now(self) -> datetime:
        """When the decision is made."""
        return datetime.fromisoformat(self.head["now"])

    def decided(self) -> tuple[Decision, ...]:
        """The decisions, from the snapshots in the order of the file."""
        return decide(
            [_candidate(line) for line in self.lines],
            self.policy,
            concerns=made_by(SCHEDULE),
            zone=self.zone,
            now=self.now,
        )

    def text(self) -> str:
        """The whole file, with the decisions as they are now."""
        lines = {_candidate(line).id: line for line in self.lines}
        return "\n".join(
            [
                f"# {self.title}",
                *(f"{name}: {self.head[name]}" for name in _HEAD),
                "",
                *(line for decision in self.decided() for line in _shown(lines[decision.candidate.id], decision)),
                "",
            ]
        )


def cases() -> list[Path]:
    """The golden files, by name."""
    return sorted(FOLDER.glob("*.txt"))


def read(path: Path) -> Case:
    """The case in a file."""
    title, *lines = path.read_text(encoding="utf-8").splitlines()
    head = dict(line.split(": ", 1) for line in lines[: len(_HEAD)])
    snapshots = [line for line in lines[len(_HEAD) :] if line and _REASON.fullmatch(line) is None]
    return Case(title.removeprefix("# "), head, tuple(snapshots))


def _candidate(line: str) -> Candidate:
    """A snapshot such as `2026-03-01T02:00:00Z pinned, expires 2026-04-01T00:00:00Z`."""
    moment, _, said = line.partition(" ")
    words = dict(word.partition(" ")[::2] for word in said.split(", ") if word)
    created_at = datetime.fromisoformat(moment)
    status = next((status for status in SnapshotStatus if status.value in words), SnapshotStatus.COMPLETED)
    sequence = int(words.pop("number", "1"))
    expires = words.pop("expires", None)
    schedule = words.pop("of", SCHEDULE)
    slot = words.pop("for", None)
    known = {"pinned", "held", "in-use", "damaged", "manual", status.value}
    assert words.keys() <= known, f"{line}: {words.keys() - known}"
    return Candidate(
        id=snapshot_id(created_at, sequence),
        created_at=created_at,
        schedule_id=None if "manual" in words else schedule,
        status=status,
        expires_at=None if expires is None else datetime.fromisoformat(expires),
        damaged="damaged" in words,
        pinned="pinned" in words,
        held="held" in words,
        in_use="in-use" in words,
        slot_at=None if slot is None else datetime.fromisoformat(slot),
    )


def _shown(line: str, decision: Decision) -> Iterator[str]:
    yield line
    for reason in decision.reasons:
        yield f"    {decision.verdict}: {reason.sentence}"


def main() -> None:
    """Prints or updates the golden files."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--update", action="store_true", help="write the decisions into the files")
    update = parser.parse_args().update
    for path in cases():
        text = read(path).text()
        if update:
            path.write_text(text, encoding="utf-8")
        else:
            print(text)  # noqa: T201 - a command that prints


if __name__ == "__main__":
    main()
