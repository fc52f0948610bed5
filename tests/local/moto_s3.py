"""Makes conditional writes of moto's S3 atomic: the original looks for the object and writes it without a lock."""

import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.s3.responses import S3Response

from tests.local.patching import replace

_LOCK = threading.RLock()


def _exclusive(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def locked(*arguments: Any, **named: Any) -> Any:
        with _LOCK:
            return original(*arguments, **named)

    return locked


for _name in ("_key_response_put", "_key_response_post", "_key_response_delete", "_bucket_response_post"):
    replace(S3Response, _name, _exclusive(getattr(S3Response, _name)))
