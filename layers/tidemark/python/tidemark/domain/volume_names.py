"""Names of snapshots of volumes: which there can be, and what one is called that nobody named."""

import re
from datetime import UTC, datetime
from typing import Final

from tidemark.domain.volume import Volume
from tidemark.errors import InvalidRequest

MAX_NAME_CHARS: Final = 255
# What EC2 allows of the name of a machine image.
MIN_TEMPLATE_CHARS: Final = 3
MAX_TEMPLATE_CHARS: Final = 128
_TEMPLATE_NAME: Final = re.compile(rf"[A-Za-z0-9 ()\[\]./'@_-]{{{MIN_TEMPLATE_CHARS},{MAX_TEMPLATE_CHARS}}}")
# Tags that AWS alone sets begin like this; of other tags neither key nor value may.
RESERVED: Final = "aws:"
# What stands for the instance in the name of a snapshot whose volume has none.
DETACHED: Final = "detached"


def check_name(name: str) -> str:
    """The name. Raises InvalidRequest where it is none that a snapshot can have."""
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        raise InvalidRequest(
            f"the name of a snapshot has 1 to {MAX_NAME_CHARS} printable characters, and no space at its ends; "
            f"it is {name[:60]!r}"
        )
    return name


def check_volume_name(name: str) -> str:
    """The name. Raises InvalidRequest where it is none that a volume can be given, whoever named it so elsewhere."""
    if name.lower().startswith(RESERVED):
        raise InvalidRequest(
            f"the name of a volume is a tag's value, and may not begin with {RESERVED!r}, which AWS keeps to itself; "
            "choose another one by the member 'name'"
        )
    return name


def check_template_name(name: str) -> str:
    """The name. Raises InvalidRequest where it is none that a machine image can have."""
    if _TEMPLATE_NAME.fullmatch(name) is None:
        raise InvalidRequest(
            "the name of a template has 3 to 128 characters: letters, digits, spaces and ( ) [ ] . / - ' @ _; "
            f"it is {name[:60]!r}"
        )
    return name


def default_template_name(snapshot_name: str, sequence: int = 1) -> str:
    """The name of a template that nobody named: that of its snapshot, in the characters that it can have; `sequence`
    tells those of one snapshot apart.
    """
    end = "" if sequence == 1 else f"-{sequence}"
    told = "".join(one if _TEMPLATE_NAME.fullmatch(one * MIN_TEMPLATE_CHARS) else "_" for one in snapshot_name)
    return told[: MAX_TEMPLATE_CHARS - len(end)].rstrip().ljust(MIN_TEMPLATE_CHARS, "_") + end


def default_name(volume: Volume, moment: datetime, sequence: int = 1) -> str:
    """The name of a snapshot that nobody named: `{instance}_{volume}_{timestamp}`, such as
    `i-douglas-ADM_foo_20161116211009`; `sequence` tells those of one second apart.
    """
    owner = volume.instance_name or volume.instance_source_id or DETACHED
    return stamped_name(owner, volume.name or volume.source_id, moment, sequence)


def stamped_name(owner: str, volume_name: str, moment: datetime, sequence: int = 1) -> str:
    """The name `{owner}_{volume}_{timestamp}`.

    The timestamp is in UTC. Names that are too long lose their end, never the timestamp.
    """
    end = f"_{moment.astimezone(UTC):%Y%m%d%H%M%S}{'' if sequence == 1 else f'-{sequence}'}"
    stem = f"{owner}_{volume_name}"
    told = "".join(character if character.isprintable() else "_" for character in stem).lstrip()
    return told[: MAX_NAME_CHARS - len(end)] + end
