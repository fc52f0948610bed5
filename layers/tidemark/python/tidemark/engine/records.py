"""Records: one line of NDJSON each, as packs hold them.

A record is `{"key":["Room","Room1","/"],"value":{...}}`. In a delta, `,"was":"..."` behind the value is the fingerprint
of the value that the layers below have; without it they do not have the entity. `{"key":[...],"tombstone":true,
"was":"..."}` says that the key was deleted. Members are in this order, without spaces; `value` is the source's own
canonical JSON, copied byte for byte. A line ends with one line feed, which is not part of it.
"""

from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

import msgspec

from tidemark.domain.fingerprint import CHARS
from tidemark.domain.keys import SEPARATOR


class Record(NamedTuple):
    """One record. `value` is None on a tombstone; `line` is the record as stored.

    `was` is said in deltas alone: the fingerprint of what the layers below have, None where they have nothing. A
    tombstone is of an entity that they have, so it always says it.
    """

    key: str
    value: bytes | None
    line: bytes
    was: str | None = None


class _Tombstone(msgspec.Struct, forbid_unknown_fields=True):
    key: tuple[str, ...]
    tombstone: bool
    was: Annotated[str, msgspec.Meta(min_length=CHARS, max_length=CHARS)]


_KEY: Final = b'{"key":["'
_VALUE: Final = b'"],"value":'
# Behind the value, so that a line begins as all others do. No line without it ends like this: its value is an object.
_WAS: Final = b',"was":"'
_END: Final = b'"}'
_WAS_BYTES: Final = len(_WAS) + CHARS + len(_END)
_parts = msgspec.json.Decoder(list[str])
_tombstone = msgspec.json.Decoder(_Tombstone)


def record(key: str, value: str | bytes | None, *, was: str | None = None) -> Record:
    """The record of a key and its canonical JSON; `value` None makes a tombstone, which needs a `was`."""
    parts = msgspec.json.encode(key.split(SEPARATOR))
    if value is None:
        if was is None:
            raise ValueError("a tombstone says what was deleted")
        return Record(key, None, b'{"key":%b,"tombstone":true,"was":"%b"}' % (parts, was.encode()), was)
    stored = value.encode() if isinstance(value, str) else value
    return marked(Record(key, stored, b'{"key":%b,"value":%b}' % (parts, stored)), was)


def marked(found: Record, was: str | None) -> Record:
    """The same record, saying that the layers below have what has this fingerprint; None: as a base has it, which a
    tombstone can't be.
    """
    if found.was == was:
        return found
    if found.value is None:
        return record(found.key, None, was=was)
    line = found.line if found.was is None else found.line[:-_WAS_BYTES] + b"}"
    if was is not None:
        line = line[:-1] + _WAS + was.encode() + _END
    return Record(found.key, found.value, line, was)


def net_of(found: Record) -> int:
    """What a record adds to the number of entities."""
    return (found.value is not None) - (found.was is not None)


def parse_lines(text: bytes) -> Iterator[Record]:
    """The records in a frame's text, in order. Raises ValueError when a line is not a record; that a value is JSON is
    what the checksum of its frame says.
    """
    for line in text.split(b"\n")[:-1]:
        end = line.find(_VALUE)
        # No key contains what ends it: inside of a string, JSON would escape the quotes.
        if 0 < end < len(line) - len(_VALUE) - 1 and line.startswith(_KEY) and line.endswith(b"}"):
            parts = _parts.decode(line[len(_KEY) - 2 : end + 2])
            # An object ends the value, so its brace stands before the last one unless something follows it.
            if line.endswith(_END) and line[-_WAS_BYTES : len(_WAS) - _WAS_BYTES] == _WAS:
                was = line[len(_WAS) - _WAS_BYTES : -len(_END)].decode()
                yield Record(SEPARATOR.join(parts), line[end + len(_VALUE) : -_WAS_BYTES], line, was)
            else:
                yield Record(SEPARATOR.join(parts), line[end + len(_VALUE) : -1], line)
        else:
            parsed = _tombstone.decode(line)
            if not parsed.tombstone:
                raise ValueError("a record has neither a value nor a tombstone")
            yield Record(SEPARATOR.join(parsed.key), None, line, parsed.was)


def parse_strictly(text: bytes) -> Iterator[Record]:
    """The same, looking at all of each line: that it is byte for byte as `record` writes it, and its value is JSON."""
    for found in parse_lines(text):
        if found.value is not None:
            msgspec.json.decode(found.value)
        if record(found.key, found.value, was=found.was).line != found.line:
            raise ValueError("a record is not in the form in which records are written")
        yield found
