"""Cutting a text into JSON documents without reading it as a whole: one a line, or the elements of one array.

A document is found, not understood: what it means is for whoever reads it.
"""

import codecs
import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from tidemark.errors import ImportRefused

# As much as the API reads of one request.
MAX_DOCUMENT_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
_WHITESPACE: Final = " \t\r\n"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Form(StrEnum):
    """How documents follow each other."""

    LINES = "line"
    ARRAY = "element"


class Document(NamedTuple):
    """One document: its line, or its number in the array, from 1, and where in the text it ends, in bytes."""

    number: int
    text: bytes
    end: int


class Place(NamedTuple):
    """How far a text was read: `number` documents or lines, up to byte `offset`."""

    form: Form
    number: int = 0
    offset: int = 0


def form_of(pieces: Iterator[bytes]) -> tuple[Form, Iterator[bytes]]:
    """What the text is, and the text again: an array begins with a bracket."""
    head = b""
    for piece in pieces:
        head += piece
        begun = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
        if begun or len(head) > MAX_DOCUMENT_BYTES:
            break
    begun = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    return (Form.ARRAY if begun.startswith(b"[") else Form.LINES), _chained(head, pieces)


def documents(name: str, pieces: Iterator[bytes], place: Place) -> Iterator[Document]:
    """The documents of a text after `place`. Raises ImportRefused, naming the file `name` and the place."""
    rest = _from(place.offset, pieces)
    return _lines(name, rest, place) if place.form is Form.LINES else _elements(name, rest, place)


def _chained(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from pieces


def _from(offset: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if offset < len(piece):
            yield piece[offset:]
        offset = max(0, offset - len(piece))


def _lines(name: str, pieces: Iterator[bytes], place: Place) -> Iterator[Document]:
    number, offset, held = place.number, place.offset, b""
    for piece in pieces:
        *whole, held = (held + piece).split(b"\n")
        for line in whole:
            number += 1
            offset += len(line) + 1
            yield from _line(name, number, line, offset)
        if len(held) > MAX_DOCUMENT_BYTES:
            raise refused(name, Form.LINES, number + 1, _too_long())
    yield from _line(name, number + 1, held, offset + len(held))


def _line(name: str, number: int, line: bytes, end: int) -> Iterator[Document]:
    text = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).strip()
    if len(text) > MAX_DOCUMENT_BYTES:
        raise refused(name, Form.LINES, number, _too_long())
    if text:
        yield Document(number, text, end)


class _Text:
    """The part of a text that is held, from `at` on; `offset` is what was taken before it, in bytes."""

    def __init__(self, name: str, pieces: Iterator[bytes], offset: int) -> None:
        self.held, self.at, self.offset, self.ended = "", 0, offset, False
        self._name, self._pieces = name, pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def more(self) -> bool:
        """Read another piece; whether there was one."""
        # Many small pieces at once: a document that is not whole yet is tried again with each reading.
        read = bytearray()
        while len(read) < _PIECE_BYTES and not self.ended:
            piece = next(self._pieces, None)
            self.ended = piece is None
            read += piece or b""
        try:
            text = self._decoder.decode(bytes(read), final=self.ended)
        except UnicodeDecodeError:
            raise ImportRefused(f"file {self._name!r}: it is not UTF-8 after byte {self.offset}") from None
        self.held, self.at = self.held[self.at :] + text, 0
        return bool(text)

    def take(self, end: int) -> bytes:
        """What is held up to `end`."""
        taken = self.held[self.at : end].encode()
        self.at = end
        self.offset += len(taken)
        return taken

    def skip_space(self) -> str:
        """Pass over whitespace; the character behind it, empty at the end."""
        while True:
            end = self.at
            while end < len(self.held) and self.held[end] in _WHITESPACE:
                end += 1
            self.take(end)
            if end < len(self.held):
                return self.held[end]
            if not self.more():
                return ""


def _elements(name: str, pieces: Iterator[bytes], place: Place) -> Iterator[Document]:
    text, number = _Text(name, pieces, place.offset), place.number
    decoder = json.JSONDecoder()
    if not place.offset:
        if text.skip_space() == "\ufeff":
            text.take(text.at + 1)
        text.skip_space()
        text.take(text.at + 1)
        if text.skip_space() == "]":
            text.take(text.at + 1)
            _nothing_follows(name, text)
            return
    first = not number
    while True:
        if not first:
            mark = text.skip_space()
            if mark == "]":
                text.take(text.at + 1)
                _nothing_follows(name, text)
                return
            if mark != ",":
                why = "the text ends before the array does: it is truncated" if not mark else "a comma must follow it"
                raise refused(name, Form.ARRAY, max(number, 1), why)
            text.take(text.at + 1)
        first = False
        number += 1
        text.skip_space()
        yield Document(number, text.take(_end_of(name, number, text, decoder)), text.offset)


def _end_of(name: str, number: int, text: _Text, decoder: json.JSONDecoder) -> int:
    """Where the document that begins at the place where the text is ends."""
    while True:
        try:
            end = decoder.raw_decode(text.held, text.at)[1]
        except (ValueError, RecursionError) as error:
            if len(text.held) - text.at > MAX_DOCUMENT_BYTES:
                raise refused(name, Form.ARRAY, number, f"{_too_long()}, or it is not JSON") from error
            if not text.more():
                raise refused(name, Form.ARRAY, number, "it is not JSON, or the text is truncated there") from error
            continue
        # A number might go on in the next piece.
        if end == len(text.held) and not text.ended and text.more():
            continue
        return end


def _nothing_follows(name: str, text: _Text) -> None:
    if text.skip_space():
        raise ImportRefused(f"file {name!r}: something follows the end of its array at byte {text.offset}")


def refused(name: str, form: Form, number: int, why: str) -> ImportRefused:
    """The error that names the file, the line or element, and why."""
    return ImportRefused(f"file {name!r}, {form.value} {number}: {why}")


def _too_long() -> str:
    return f"it has more than {MAX_DOCUMENT_BYTES} bytes"
