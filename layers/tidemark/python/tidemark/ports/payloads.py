"""The ports of stored objects, and of addresses by which whoever has one reads or stores one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as listed or inspected. `sha256` in hexadecimal; None where the listing does not tell."""

    key: str
    size_bytes: int
    sha256: str | None = None


class ObjectReads(Protocol):
    """Objects that can be read."""

    def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectNotFound."""
        ...

    def get_range(self, key: str, offset: int, length_bytes: int) -> bytes:
        """A part of the object; shorter where the object ends. Raises ObjectNotFound."""
        ...


class PayloadStore(ObjectReads, Protocol):
    """Immutable objects."""

    def put(self, key: str, body: bytes) -> None:
        """Store a new object; the store checks its SHA-256 on arrival.

        Raises ObjectExists when the key is taken, by whatever bytes.
        """
        ...

    def copy(self, source_key: str, key: str) -> None:
        """Store a new object with the bytes of another one, without moving them; the store forms their SHA-256 anew.

        Raises ObjectExists when `key` is taken, by whatever bytes; ObjectNotFound when there is no source.
        """
        ...

    def head(self, key: str) -> StoredObject:
        """Length and checksum as the store knows them. Raises ObjectNotFound."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose key begins with `prefix`, in key order."""
        ...

    def delete(self, key: str) -> bool:
        """Delete an object. True: it is gone, or was not there. False: the store retains it, by its rules of access or
        retention.
        """
        ...

    def hold(self, key: str, *, on: bool) -> None:
        """Put an object under a legal hold, or let it go: while it has one, nobody can delete these bytes. Repeating it
        changes nothing. Only for stores that have Object Lock. Raises ObjectNotFound.
        """
        ...


class UploadedPart(NamedTuple):
    """One part of an upload that has arrived; `tag` is what the store calls its bytes."""

    number: int
    size_bytes: int
    tag: str


class Links(Protocol):
    """Addresses under which whoever has them reads or stores one object for a time, without any other right."""

    def download(self, key: str, *, filename: str, expires_s: int) -> str:
        """The address of an object that is or will be there, saved under that name by browsers."""
        ...

    def put(self, key: str, size_bytes: int | None, *, expires_s: int) -> str:
        """The address to which an object of that size is PUT, or of any size; whatever is there is written over."""
        ...

    def begin_upload(self, key: str) -> str:
        """The id of a new upload in parts."""
        ...

    def upload(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        """The address to which one part, from 1, is PUT."""
        ...

    def uploaded(self, key: str, upload_id: str) -> list[UploadedPart]:
        """The parts that have arrived, by number. Raises ObjectNotFound when the upload is completed or given up."""
        ...

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        """Make the object of its parts. Repeating it changes nothing; it may then raise ObjectNotFound, as `uploaded`
        does.
        """
        ...
