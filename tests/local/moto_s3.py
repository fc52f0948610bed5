"""Makes conditional writes of moto's S3 atomic: the original looks for the object and writes it without a lock. And
makes copies conditional, and presigned addresses end, both of which it does not know; and has a legal hold of an object
that is missing be refused, at which it breaks.

Source: Amazon S3 API Reference, CopyObject, `If-None-Match`, PutObjectLegalHold, and "Authenticating Requests: Using
Query Parameters".
"""

import datetime as dt
import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.s3.exceptions import MissingKey, PreconditionFailed, S3ClientError
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


class _RequestExpired(S3ClientError):
    def __init__(self) -> None:
        super().__init__("AccessDenied", "Request has expired")


def _ending(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def key_response(self: S3Response, *arguments: Any, **named: Any) -> Any:
        begun, good_for_s = (self.querystring.get(name, [""])[0] for name in ("X-Amz-Date", "X-Amz-Expires"))
        if begun and good_for_s:
            signed_at = dt.datetime.strptime(begun, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
            if dt.datetime.now(dt.UTC) >= signed_at + dt.timedelta(seconds=int(good_for_s)):
                raise _RequestExpired
        return original(self, *arguments, **named)

    return key_response


def _of_what_is_there(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def put_object_legal_hold(self: S3Response) -> Any:
        if self.backend.head_object(self.bucket_name, self.parse_key_name()) is None:
            raise MissingKey(key=self.parse_key_name())
        return original(self)

    return put_object_legal_hold


replace(S3Response, "put_object_legal_hold", _of_what_is_there(S3Response.put_object_legal_hold))
for _name in ("_key_response_get", "_key_response_put"):
    replace(S3Response, _name, _ending(getattr(S3Response, _name)))
replace(S3Response, "copy_object", _conditional(S3Response.copy_object))
for _name in ("_key_response_put", "_key_response_post", "_key_response_delete", "_bucket_response_post"):
    replace(S3Response, _name, _exclusive(getattr(S3Response, _name)))
