"""Makes conditional writes of moto's S3 atomic: the original looks for the object and writes it without a lock. And
makes copies conditional, which it does not know.

Source: Amazon S3 API Reference, CopyObject, `If-None-Match`.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.s3.exceptions import PreconditionFailed
from moto.s3.responses import S3Response

from tests.local.patching import replace

_LOCK = threading.RLock()


def _exclusive(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def locked(*arguments: Any, **named: Any) -> Any:
        with _LOCK:
            return original(*arguments, **named)

    return locked


def _conditional(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def copy_object(self: S3Response) -> Any:
        if self.headers.get("If-None-Match") == "*" and self.backend.head_object(
            self.bucket_name, self.parse_key_name()
        ):
            raise PreconditionFailed("If-None-Match")
        return original(self)

    return copy_object


replace(S3Response, "copy_object", _conditional(S3Response.copy_object))
for _name in ("_key_response_put", "_key_response_post", "_key_response_delete", "_bucket_response_post"):
    replace(S3Response, _name, _exclusive(getattr(S3Response, _name)))
