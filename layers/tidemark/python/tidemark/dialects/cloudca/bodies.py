"""The bodies of requests: JSON objects, whose members are known one by one."""

from collections.abc import Collection
from typing import Any, Final

from tidemark.dialects.wire import JSON, Request, parse_json
from tidemark.errors import InvalidRequest

MAX_BODY_BYTES: Final = 16_384


def members(request: Request, known: Collection[str]) -> dict[str, Any]:
    """The members of the body; of an empty one none. Raises InvalidRequest, UnsupportedMediaType, BodyTooLarge."""
    if not request.body.strip():
        return {}
    # Early clients do not say what they send.
    document = parse_json(request.content(JSON, "", max_bytes=MAX_BODY_BYTES))
    if not isinstance(document, dict):
        raise InvalidRequest("the body must be a JSON object, such as {}")
    for name in document:
        if name not in known:
            taken = f"known are: {', '.join(known)}" if known else "this request takes none"
            raise InvalidRequest(f"the member {name[:100]!r} is unknown; {taken}")
    return document
