"""Shards of many small frames and packs, and a store that notes what is read of them."""

from collections.abc import Mapping, Sequence
from unittest.mock import patch

from tests.fakes import MemoryPayloads
from tidemark.domain.fingerprint import fingerprint
from tidemark.domain.keys import EntityKey
from tidemark.domain.live import Cut
from tidemark.domain.manifest import Layer, LayerKind, PackRef, ShardManifest
from tidemark.domain.snapshot import CaptureId
from tidemark.engine import packs
from tidemark.engine.records import record

type Run = Mapping[EntityKey, int | None]
"""The records of a layer; None is a tombstone."""


class NotedPayloads(MemoryPayloads):
    """`frames` and `tables` are the ranges that were read, as object and offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[str, int, int]] = []
        self.tables: list[str] = []
        self.toc_offsets: dict[str, int] = {}

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        if offset == self.toc_offsets[key]:
            self.tables.append(key)
        else:
            self.frames.append((key, offset, offset + length_bytes))
        return super().get_range(key, offset, length_bytes)


def text(value: int | None) -> str | None:
    return None if value is None else f'{{"n":{value}}}'


def shard_of_runs(*layers: Run, frame_bytes: int = 150, pack_bytes: int = 500) -> tuple[NotedPayloads, ShardManifest]:
    """A shard with these layers, base first, in frames and packs of about these sizes."""
    payloads = NotedPayloads()
    made = tuple(
        _layer(payloads, number, run, content_of(layers[:number]), frame_bytes, pack_bytes)
        for number, run in enumerate(layers)
    )
    return payloads, ShardManifest(0, 0, None, made)


def _layer(payloads: NotedPayloads, number: int, run: Run, below: Run, frame_bytes: int, pack_bytes: int) -> Layer:
    records = iter(
        [
            record(key.sort_key, text(value), was=fingerprint(text(below.get(key))))
            for key, value in sorted(run.items())
            if value is not None or key in below
        ]
    )
    references: list[PackRef] = []
    with patch.object(packs, "FRAME_RAW_BYTES", frame_bytes), patch.object(packs, "PACK_BYTES", pack_bytes):
        while (built := packs.build_pack(records)) is not None:
            key = f"t/packs/c{number}/000-{len(references):05}.pack"
            payloads.put(key, built.body)
            references.append(packs.describe(key, built.body))
            payloads.toc_offsets[key] = references[-1].toc_offset
    kind = LayerKind.DELTA if number else LayerKind.BASE
    return Layer(kind, CaptureId(f"c{number}"), Cut(number + 1), len(run), 0, tuple(references))


def content_of(layers: Sequence[Run]) -> dict[EntityKey, int]:
    """What layers make together, in key order."""
    merged: dict[EntityKey, int | None] = {}
    for run in layers:
        merged |= run
    return {key: value for key, value in sorted(merged.items()) if value is not None}


def flip(payloads: MemoryPayloads, key: str, offset: int) -> None:
    """Flip one bit of an object."""
    body = bytearray(payloads.objects[key])
    body[offset] ^= 1
    payloads.objects[key] = bytes(body)
