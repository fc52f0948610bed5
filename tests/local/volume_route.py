"""A way into the volumes of a stack that `make up` serves: `/_local/volumes/{id}`, which no API of AWS has."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.local import volumes
from tests.local.http_messages import Answer, Headers, Request

PATH = "/_local/volumes/"
_USAGE = 'send {"fill": "/path/to/image.raw"}, or {"save": "/path/to/new.raw"}, as application/json'


class VolumeRoute:
    """Answers requests for the content of volumes, and hands on all others.

    GET tells how large a volume is and how many of its blocks hold something. POST fills it with a raw image file of
    this machine, or saves it as one. It takes nothing but JSON, which no page of another site can send.
    """

    def __init__(self, others: Callable[[Request], Answer]) -> None:
        self._others = others

    def handle(self, request: Request) -> Answer:
        """The answer to one request."""
        if not request.path.startswith(PATH):
            return self._others(request)
        volume_id = request.path.removeprefix(PATH)
        try:
            match request.method, request.headers.get("Content-Type"):
                case "GET", _:
                    pass
                case "POST", "application/json":
                    _move(volume_id, request.body)
                case "POST", _:
                    return _answer(415, {"error": "UnsupportedMediaType", "description": _USAGE})
                case _:
                    return _answer(405, {"error": "MethodNotAllowed", "description": "GET tells of it, POST moves it"})
            return _told(volume_id)
        except volumes.VolumeError as error:
            return _answer(404, {"error": "NotFound", "description": str(error)})
        except (OSError, ValueError) as error:
            return _answer(400, {"error": "BadRequest", "description": f"{error}: {_USAGE}"})


def _move(volume_id: str, body: bytes) -> None:
    match json.loads(body or b"null"):
        case {"fill": str(path), **others} if not others:
            volumes.fill(volume_id, Path(path))
        case {"save": str(path), **others} if not others:
            volumes.save(volume_id, Path(path))
        case unknown:
            raise ValueError(f"nobody knows what {json.dumps(unknown)[:100]} means")


def _told(volume_id: str) -> Answer:
    size_bytes, written = volumes.size_bytes(volume_id), volumes.written_blocks(volume_id)
    return _answer(200, {"volume": volume_id, "sizeBytes": size_bytes, "writtenBlocks": written})


def _answer(status: int, document: dict[str, Any]) -> Answer:
    return Answer(status, Headers([("Content-Type", "application/json")]), json.dumps(document).encode() + b"\n")
