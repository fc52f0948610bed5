"""Service paths: where in a tenant's tree an entity lives (`Fiware-ServicePath`).

Source: Orion's manual, "Service paths": at most 10 levels of 1 to 50 letters, digits and underscores; a write names one
path, a read up to 10, each of them possibly with `/#` for everything below; a trailing slash is dropped.
"""

import re
from dataclasses import dataclass
from typing import Final

from tidemark.dialects.ngsi.syntax import shown
from tidemark.dialects.wire import Request
from tidemark.errors import InvalidRequest

HEADER: Final = "Fiware-ServicePath"
ROOT: Final = "/"
MAX_SCOPES: Final = 10
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_]{1,50}){1,10}")
_BELOW: Final = "/#"


@dataclass(frozen=True, slots=True)
class Scope:
    """The paths that a read covers: those named, and everything at and below the trees (`""` is the root's tree)."""

    paths: frozenset[str]
    trees: tuple[str, ...]

    def admits(self, path: str) -> bool:
        """Whether an entity at `path` is to be seen."""
        return path in self.paths or any(not tree or path == tree or path.startswith(f"{tree}/") for tree in self.trees)


EVERYWHERE: Final = Scope(frozenset(), ("",))


def written_path(request: Request) -> str:
    """The one path that a write goes to; the root without the header. Raises InvalidRequest."""
    text = (request.header(HEADER) or ROOT).strip()
    if "," in text:
        raise InvalidRequest(f"{HEADER} names several paths; a write goes to exactly one")
    if text.endswith("#"):
        raise InvalidRequest(f"{HEADER} {shown(text)} can't be written to: /# is for reading")
    return path_of(text)


def read_scope(request: Request) -> Scope:
    """The paths that a read covers; all of them without the header. Raises InvalidRequest."""
    header = (request.header(HEADER) or "").strip()
    if not header:
        return EVERYWHERE
    parts = [part.strip() for part in header.split(",")]
    if len(parts) > MAX_SCOPES:
        raise InvalidRequest(f"{HEADER} names {len(parts)} paths; at most {MAX_SCOPES} are allowed")
    trees = [part.removesuffix(_BELOW) for part in parts if part.endswith(_BELOW)]
    return Scope(
        frozenset(path_of(part) for part in parts if not part.endswith(_BELOW)),
        tuple(path_of(tree) if tree else tree for tree in trees),
    )


def path_of(text: str) -> str:
    """A service path without its trailing slash. Raises InvalidRequest."""
    if text == ROOT:
        return ROOT
    path = text.removesuffix("/")
    if _PATH.fullmatch(path):
        return path
    raise InvalidRequest(
        f"{HEADER} {shown(text)} is not valid: "
        "use / or up to 10 levels such as /city/parks, each of 1 to 50 letters, digits and underscores"
    )
