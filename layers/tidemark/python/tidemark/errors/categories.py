"""What kinds of failure there are: what all of one kind have in common for those who called."""

from typing import ClassVar


class TidemarkError(Exception):
    """A failure with a name, a sentence for people, and what a caller may do about it.

    `retryable`: the same call may succeed later. `user_visible`: the sentence may be shown to the caller of the API.
    """

    retryable: ClassVar[bool] = False
    user_visible: ClassVar[bool] = True

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def code(self) -> str:
        """The name on the wire: in state machines, logs and stored error records."""
        return type(self).__name__


class InvalidRequest(TidemarkError):
    """The request breaks a documented rule; it will never succeed as it is."""


class Unauthorized(TidemarkError):
    """No usable key came with the request."""


class Forbidden(TidemarkError):
    """The key is good, but not for this tenant or action."""


class NotFound(TidemarkError):
    """What the request names does not exist for this tenant."""


class Conflict(TidemarkError):
    """The request is well formed, but the present state does not allow it."""


class Unprocessable(TidemarkError):
    """The request is well formed, but contradicts the entities that exist."""


class TooLarge(TidemarkError):
    """The request, or what it would store, is above a documented size."""


class UnsupportedMediaType(TidemarkError):
    """The content type is not one that this route reads."""


class NotAcceptable(TidemarkError):
    """The caller accepts no media type that the answer could have."""


class NotSupported(TidemarkError):
    """A part of a standard that Tidemark does not implement, and says so."""


class Corrupt(TidemarkError):
    """Stored bytes are missing or are not what was written."""


class Fenced(TidemarkError):
    """The caller's token is void: somebody else has taken over. What it was doing must stop."""


class Unavailable(TidemarkError):
    """AWS, or contention, did not let the call through in time. Nothing is known to be wrong with the request."""

    retryable = True
