"""The port of addresses by which whoever has one reads or stores an object without any other right.

Apart from `tidemark.ports` since nothing of the engine needs it; the rules of errors are those of the ports there.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


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
