"""Announce on the event bus what became of snapshots, restores and backups."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tidemark.domain.announcements import Announcement, Transition, announcements
from tidemark.ports import Event, Ports


class Announced(NamedTuple):
    """What was told of the transitions before the first that has to be delivered again; `left` is that one's number, or
    None where all is told, and `reason` why.
    """

    told: list[Announcement]
    left: str | None = None
    reason: str = ""


def announce(ports: Ports, transitions: Sequence[Transition], detail: Callable[[Announcement], str]) -> Announced:
    """Tell what the transitions mean to others, in their order. `detail` says it as JSON.

    Those from the first on that was not told in full are to be delivered again, so some may be told twice, under the
    same ids. Raises what the bus does where it answers nothing at all.
    """
    due = [(transition.number, told) for transition in transitions for told in announcements(transition)]
    refused = ports.announcements.put([Event(told.id, told.kind.value, told.at, detail(told)) for _, told in due])
    if not refused:
        return Announced([told for _, told in due])
    event, reason = refused[0]
    left = next(number for number, told in due if told.id == event.id)
    before = next(place for place, (number, _) in enumerate(due) if number == left)
    return Announced([told for _, told in due[:before]], left, f"{event.kind}: {reason}")
