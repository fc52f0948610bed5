"""Records: one line of NDJSON each, as packs hold them.

A record is `{"key":["Room","Room1","/"],"value":{...}}`, or `{"key":[...],"tombstone":true}` where the layer says that
the key was deleted. In a delta, `,"new":true` behind the value says that the layers below it do not have the entity.
Members are in this order, without spaces; `value` is the source's own canonical JSON, copied byte for byte. A line ends
with one line feed, which is not part of it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from tidemark.domain.keys import SEPARATOR


class Record(NamedTuple):
    """One record. `value` is None on a tombstone; `line` is the record as stored.

    `new` is said in deltas alone: that the layers below do not have the entity. A tombstone is of one that they have.
    """

    key: str
    value: bytes | None
    line: bytes
    new: bool = False


class _Tombstone(msgspec.Struct, forbid_unknown_fields=True):
    key: tuple[str, ...]
    tombstone: bool


_KEY: Final = b'{"key":["'
_VALUE: Final = b'"],"value":'
# Behind the value, so that a line begins as all others do. No line ends like this whose value ends it: that is JSON.
_NEW: Final = b',"new":true}'
_parts = msgspec.json.Decoder(list[str])
_tombstone = msgspec.json.Decoder(_Tombstone)


def record(key: str, value: str | None, *, new: bool = False) -> Record:
    """The record of a key and its canonical JSON; `value` None makes a tombstone."""
    parts = msgspec.json.encode(key.split(SEPARATOR)).decode()
    if value is None:
        return Record(key, None, f'{{"key":{parts},"tombstone":true}}'.encode())
    # To put text together and encode it once is faster than to put bytes together.
    head = f'{{"key":{parts},"value":'
    line = f"{head}{value}}}".encode()
    found = Record(key, line[len(head.encode()) : -1], line)
    return marked(found, new=True) if new else found


def marked(found: Record, *, new: bool) -> Record:
    """The same record of an entity, saying whether it is new. One that is not is as a base has it."""
    if found.new == new:
        return found
    line = found.line[:-1] + _NEW if new else found.line[: -len(_NEW)] + b"}"
    return Record(found.key, found.value, line, new)


def net_of(found: Record) -> int:
    """What a record of a delta adds to the number of entities."""
    return -1 if found.value is None else int(found.new)


def parse_lines(text: bytes) -> Iterator[Record]:
    """The records in a frame's text, in order. Raises ValueError when a line is not a record; that a value is JSON is
    what the checksum of its frame says.
    """
    for line in text.split(b"\n")[:-1]:
        end = line.find(_VALUE)
        # No key contains what ends it: inside of a string, JSON would escape the quotes.
        if 0 < end < len(line) - len(_VALUE) - 1 and line.startswith(_KEY) and line.endswith(b"}"):
            parts = _parts.decode(line[len(_KEY) - 2 : end + 2])
            if line.endswith(_NEW):
                yield Record(SEPARATOR.join(parts), line[end + len(_VALUE) : -len(_NEW)], line, new=True)
            else:
                yield Record(SEPARATOR.join(parts), line[end + len(_VALUE) : -1], line)
        else:
            parsed = _tombstone.decode(line)
            if not parsed.tombstone:
                raise ValueError("a record has neither a value nor a tombstone")
            yield Record(SEPARATOR.join(parsed.key), None, line)


def parse_strictly(text: bytes) -> Iterator[Record]:
    """The same, looking at all of each line: that it is byte for byte as `record` writes it, and its value is JSON."""
    for found in parse_lines(text):
        if found.value is not None:
            msgspec.json.decode(found.value)
        value = None if found.value is None else found.value.decode()
        if record(found.key, value, new=found.new).line != found.line:
            raise ValueError("a record is not in the form in which records are written")
        yield found
