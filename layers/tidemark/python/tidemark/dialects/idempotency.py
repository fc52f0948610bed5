"""The header `Idempotency-Key`: a request that is sent again under its key is answered again and not obeyed again.

Source: the draft "The Idempotency-Key HTTP Header Field" of the IETF; the statuses are those of `dialects/*/errors.py`.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Final

from tidemark.dialects.wire import Request, Response
from tidemark.domain.asked import Asked
from tidemark.errors import InvalidRequest
from tidemark.ports import Ports

HEADER: Final = "Idempotency-Key"
MAX_KEY_CHARS: Final = 255
_KEY: Final = re.compile(rf"[\x20-\x7e]{{1,{MAX_KEY_CHARS}}}")

type Route = Callable[[Ports, Request], Response]


def once(route: Route) -> Route:
    """The route, answering a request that has a key once: the answer is kept, and given again to each repeat.

    The route finds who it serves in `Request.asked`. It is to raise what it refuses: then nothing is kept. Where its
    process died half-way, a repeat runs it again, so it must find out by `asked` what the first run has done.
    """

    @wraps(route)
    def answered(ports: Ports, request: Request) -> Response:
        asked = _asked(request)
        if asked is None:
            return route(ports, request)

        def answer() -> dict[str, Any]:
            response = route(ports, replace(request, asked=asked))
            return {"status": int(response.status), "headers": dict(response.headers), "body": response.body}

        kept = ports.repeats.once(request.tenant, asked, answer)
        return Response(kept["status"], kept["body"], kept["headers"])

    return answered


def _asked(request: Request) -> Asked | None:
    """The request's identity; None where it has no key. Raises InvalidRequest for a key that can't be one.

    One key serves one path's template of one tenant, and is bound to the very path, operation and body.
    """
    key = request.header(HEADER)
    if key is None:
        return None
    if _KEY.fullmatch(key) is None:
        raise InvalidRequest(f"the header {HEADER} must have 1 to {MAX_KEY_CHARS} printable ASCII characters")
    # Of the parameters only this one says what is to be done; others say which part of the answer is wanted.
    operation = f"?{request.query['operation']}" if "operation" in request.query else ""
    content = hashlib.sha256((request.path.rstrip("/") + operation).encode() + b"\n" + request.body)
    named = hashlib.sha256(f"{request.tenant}\n{request.method} {request.route}\n{key}".encode())
    return Asked(named.hexdigest(), content.hexdigest())
