"""Records: one line of NDJSON each, as packs hold them.

A record is `{"key":["Room","Room1","/"],"value":{...}}`, or `{"key":[...],"tombstone":true}` where the layer says that
the key was deleted. Members are in this order, without spaces; `value` is the source's own canonical JSON, copied byte
for byte. A line ends with one line feed, which is not part of it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tidemark.domain.keys import SEPARATOR


class Record(NamedTuple):
    """One record. `value` is None on a tombstone; `line` is the record as stored.

    `net` is what a record that is being written adds to the number of entities; it is not stored with the line.
    """

    key: str
    value: bytes | None
    line: bytes
    net: int = 1


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    key: tuple[str, ...]
    value: msgspec.Raw = msgspec.Raw()
    tombstone: bool = False


_decoder = msgspec.json.Decoder(_Line)


def record(key: str, value: str | bytes | None, net: int = 1) -> Record:
    """The record of a key and its canonical JSON; `value` None makes a tombstone."""
    parts = msgspec.json.encode(key.split(SEPARATOR))
    if value is None:
        return Record(key, None, b'{"key":' + parts + b',"tombstone":true}', net)
    body = value.encode() if isinstance(value, str) else value
    return Record(key, body, b'{"key":' + parts + b',"value":' + body + b"}", net)


def parse_lines(text: bytes) -> Iterator[Record]:
    """The records in a frame's text, in order. Raises ValueError (msgspec's) when a line is not a record."""
    for line in text.split(b"\n")[:-1]:
        parsed = _decoder.decode(line)
        value = None if parsed.tombstone else bytes(parsed.value)
        if value == b"":
            raise ValueError("a record has neither a value nor a tombstone")
        yield Record(SEPARATOR.join(parsed.key), value, line)
