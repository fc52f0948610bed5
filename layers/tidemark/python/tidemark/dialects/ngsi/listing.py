"""Listing entities: one pass over a consistent view of them, live or inside a snapshot, in bounded memory."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from tidemark.dialects.ngsi.entities import attributes_of
from tidemark.dialects.ngsi.ordering import Order
from tidemark.dialects.ngsi.parameters import PageWanted
from tidemark.dialects.ngsi.rendering import Rendering
from tidemark.dialects.ngsi.selection import Selection
from tidemark.errors import AnswerTooLarge
from tidemark.usecases.entities import Readable, StoredEntity

# A Lambda function can answer with 6 MB. What is above that is refused before it is built up in memory.
MAX_ANSWER_BYTES: Final = 6 * 1024 * 1024
_ENCODER: Final = msgspec.json.Encoder()


class Listed(NamedTuple):
    """A page of rendered entities. `total` counts all that were selected, where the page asked for a count."""

    documents: Sequence[msgspec.Raw]
    total: int


def list_entities(
    entities: Readable, selection: Selection, page: PageWanted, order: Order, rendering: Rendering
) -> Listed:
    """The wanted page of the selected entities, sorted by `order`. Raises AnswerTooLarge."""

    def fold(stream: Iterator[StoredEntity]) -> Listed:
        chosen = _Counted(_selected(stream, selection))
        found: Iterable[StoredEntity]
        if order.fields:
            found = order.first(chosen, page.offset + page.limit)[page.offset :]
        else:
            found = islice(chosen, page.offset, page.offset + page.limit)
        documents = fitting(rendering.entity(stored.key, attributes_of(stored.doc)) for stored in found)
        if page.counted:
            for _ in chosen:
                pass
        return Listed(documents, chosen.count)

    entity_id = selection.exact_id()
    if entity_id is not None:
        return fold(iter(entities.find(entity_id, types=selection.exact_types())))
    return entities.view(fold, types=selection.exact_types())


class _Counted:
    """An iterator that counts what passes."""

    def __init__(self, stream: Iterator[StoredEntity]) -> None:
        self._stream = stream
        self.count = 0

    def __iter__(self) -> Iterator[StoredEntity]:
        return self

    def __next__(self) -> StoredEntity:
        stored = next(self._stream)
        self.count += 1
        return stored


def _selected(stream: Iterator[StoredEntity], selection: Selection) -> Iterator[StoredEntity]:
    for stored in stream:
        # Most entities are passed over by their key alone, without decoding them.
        if selection.admits(stored.key) and (not selection.query or selection.query.matches(attributes_of(stored.doc))):
            yield stored


def fitting(found: Iterable[object]) -> list[msgspec.Raw]:
    """What was found, as JSON, if it fits one answer. Raises AnswerTooLarge."""
    documents: list[msgspec.Raw] = []
    size_bytes = 0
    for one in found:
        document = _ENCODER.encode(one)
        size_bytes += len(document)
        if size_bytes > MAX_ANSWER_BYTES:
            raise AnswerTooLarge(
                f"{len(documents) + 1} entities are above the 6 MB that one answer can hold; "
                "ask for fewer with limit, or for less of each with attrs"
            )
        documents.append(msgspec.Raw(document))
    return documents
