"""What people say about snapshots, in the NGSIv2 vocabulary: descriptions, labels, expiry and pins in the bodies of
create and update requests, and the query parameters that choose by them.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from tidemark.dialects.ngsi.parameters import json_type, members
from tidemark.dialects.ngsi.times import moment, parse_instant, parse_lifetime
from tidemark.dialects.wire import Request
from tidemark.domain.interval import IntervalType
from tidemark.domain.snapshot import (
    MAX_DESCRIPTION_CHARS,
    MAX_LABEL_KEY_CHARS,
    MAX_LABEL_VALUE_CHARS,
    MAX_LABELS,
    STANDINGS,
    Trigger,
)
from tidemark.errors import InvalidRequest, ScheduleNotFound
from tidemark.usecases.read_snapshots import SnapshotsWanted
from tidemark.usecases.update_snapshot import UNSAID, SnapshotChange, Unsaid

CONTROL_CHARS: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029"
# As tags of AWS, but without the equals sign, which parts key and value in the query parameter.
LABEL_KEY: Final = f"[A-Za-z0-9_.:/+@-]{{1,{MAX_LABEL_KEY_CHARS}}}"
_CONTROL: Final = re.compile(f"[{CONTROL_CHARS}]")
_LABEL_KEY: Final = re.compile(LABEL_KEY)
_CREATE_MEMBERS: Final = ("description", "expiresIn", "labels")
_UPDATE_MEMBERS: Final = ("description", "expiresAt", "expiresIn", "labels", "legalHold", "pinned")
_TRIGGERS: Final = tuple(trigger.value for trigger in Trigger)
_INTERVALS: Final = tuple(interval.value for interval in IntervalType)


class CreateWanted(NamedTuple):
    """What a create request says about its snapshot."""

    description: str
    labels: Mapping[str, str]
    lifetime: timedelta | None


def parse_create(document: object) -> CreateWanted:
    """The body of a create request. Raises InvalidRequest naming the member that is wrong."""
    said = members(document, _CREATE_MEMBERS)
    return CreateWanted(
        description=description_in(said),
        labels=_labels(said.get("labels", {})),
        lifetime=parse_lifetime(said["expiresIn"], "the member 'expiresIn'") if "expiresIn" in said else None,
    )


class HoldChange(NamedTuple):
    """Whether an update request places or lifts a legal hold."""

    held: bool


def parse_update(document: object) -> SnapshotChange | HoldChange:
    """The body of an update request; null takes away. Raises InvalidRequest naming the member that is wrong."""
    said = members(document, _UPDATE_MEMBERS)
    if not said:
        raise InvalidRequest(f"the body changes nothing; it can have {', '.join(_UPDATE_MEMBERS)}")
    if "legalHold" in said:
        if len(said) > 1:
            raise InvalidRequest("the member 'legalHold' comes alone; send the other members in a request of their own")
        return HoldChange(_truth(said["legalHold"], "legalHold"))
    if "expiresAt" in said and "expiresIn" in said:
        raise InvalidRequest("the members 'expiresAt' and 'expiresIn' say the same; send one of them")
    expires: Any = UNSAID
    if said.get("expiresAt") is not None:
        expires = parse_instant(_text(said["expiresAt"], "expiresAt"), "the member 'expiresAt'")
    elif said.get("expiresIn") is not None:
        expires = parse_lifetime(said["expiresIn"], "the member 'expiresIn'")
    elif "expiresAt" in said or "expiresIn" in said:
        expires = None
    description: str | Unsaid = UNSAID
    if "description" in said:
        description = _description("" if said["description"] is None else said["description"])
    labels: Mapping[str, str] | Unsaid = UNSAID
    if "labels" in said:
        labels = _labels({} if said["labels"] is None else said["labels"])
    pinned = UNSAID if "pinned" not in said else _truth(said["pinned"], "pinned")
    return SnapshotChange(description=description, labels=labels, expires=expires, pinned=pinned)


def parse_wanted(request: Request) -> SnapshotsWanted:
    """The query parameters `status`, `label`, `trigger`, `schedule`, `interval`, `from` and `to`.

    Raises InvalidRequest naming a wrong one.
    """
    trigger, interval = _one_of(request, "trigger", _TRIGGERS), _one_of(request, "interval", _INTERVALS)
    query, since, before = request.query, moment(request, "from"), moment(request, "to")
    if since is not None and before is not None and since >= before:
        raise InvalidRequest("the parameter from must be earlier than the parameter to, which is not included")
    return SnapshotsWanted(
        standing=_one_of(request, "status", STANDINGS),
        labels=_labels_wanted(query["label"]) if "label" in query else {},
        trigger=None if trigger is None else Trigger(trigger),
        schedule_id=_schedule_wanted(query["schedule"]) if "schedule" in query else None,
        interval=None if interval is None else IntervalType(interval),
        since=since,
        before=before,
    )


def description_in(said: Mapping[str, Any]) -> str:
    """The member `description` of a body; empty where it has none. Raises InvalidRequest."""
    return _description(said.get("description", ""))


def labels_in(said: Mapping[str, Any]) -> dict[str, str]:
    """The member `labels` of a body; none where it has none. Raises InvalidRequest."""
    return _labels(said.get("labels", {}))


def _description(value: object) -> str:
    text = _text(value, "description")
    if len(text) > MAX_DESCRIPTION_CHARS:
        raise InvalidRequest(
            f"the member 'description' has {len(text)} characters; at most {MAX_DESCRIPTION_CHARS} are accepted"
        )
    if control := _CONTROL.search(text):
        raise InvalidRequest(
            f"the member 'description' holds the control character U+{ord(control[0]):04X}; use only tab and line feed"
        )
    return text


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"the member 'labels' must be an object of strings; it is {json_type(value)}")
    if len(value) > MAX_LABELS:
        raise InvalidRequest(f"the member 'labels' has {len(value)} labels; at most {MAX_LABELS} are accepted")
    for key, text in value.items():
        _check_label_key(key)
        if not isinstance(text, str):
            raise InvalidRequest(f"the label {key!r} must be a string; it is {json_type(text)}")
        if len(text) > MAX_LABEL_VALUE_CHARS:
            raise InvalidRequest(
                f"the label {key!r} has {len(text)} characters; at most {MAX_LABEL_VALUE_CHARS} are accepted"
            )
        if control := _CONTROL.search(text):
            raise InvalidRequest(f"the label {key!r} holds the control character U+{ord(control[0]):04X}; leave it out")
    return value


def _labels_wanted(text: str) -> dict[str, str | None]:
    """`key` or `key=value`, parted by commas: all must hold, so one key with two values is refused."""
    wanted: dict[str, str | None] = {}
    for one in text.split(","):
        key, equals, value = one.partition("=")
        _check_label_key(key)
        new = value if equals else wanted.get(key)
        if equals and wanted.get(key, value) not in {None, value}:
            raise InvalidRequest(f"the parameter label asks for two values of {key!r}; a snapshot has one of each")
        wanted[key] = new
    return wanted


def _schedule_wanted(text: str) -> str:
    """One that is gone is no mistake: its snapshots still name it."""
    from tidemark.domain.schedule import parse_schedule_id  # noqa: PLC0415 - takes time to load, and few ask for one

    try:
        return parse_schedule_id(text)
    except ScheduleNotFound:
        raise InvalidRequest(
            f"the parameter schedule must be an id such as schedule_9f86d081884c7d65; it is {text[:40]!r}"
        ) from None


def _check_label_key(key: str) -> None:
    if _LABEL_KEY.fullmatch(key) is None:
        raise InvalidRequest(
            f"{key[:40]!r} can't be the key of a label: that has 1 to {MAX_LABEL_KEY_CHARS} of the characters "
            "A-Z a-z 0-9 _ . : / + @ -"
        )


def _truth(value: object, name: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"the member {name!r} must be true or false; it is {json_type(value)}")
    return bool(value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"the member {name!r} must be a string; it is {json_type(value)}")
    return value


def _one_of(request: Request, name: str, known: tuple[str, ...]) -> str | None:
    text = request.query.get(name)
    if text is not None and text not in known:
        raise InvalidRequest(f"the parameter {name} must be one of {', '.join(known)}; it is {text[:40]!r}")
    return text
