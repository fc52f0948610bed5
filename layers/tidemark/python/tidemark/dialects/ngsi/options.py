"""The query parameter `options` of the entity routes.

Source: the NGSIv2 specification and Orion's implementation notes. Words that concern subscriptions and forwarding are
known and have no effect, since there are none of these.
"""

from typing import Final

from tidemark.dialects.ngsi.syntax import shown
from tidemark.dialects.wire import Request
from tidemark.errors import InvalidRequest

KEY_VALUES: Final = "keyValues"
UPSERT: Final = "upsert"
APPEND: Final = "append"
OVERRIDE_METADATA: Final = "overrideMetadata"
VALUES: Final = "values"
NO_ATTRIBUTE_DETAIL: Final = "noAttrDetail"
_KNOWN: Final = frozenset(
    {
        "count",
        "normalized",
        VALUES,
        KEY_VALUES,
        "unique",
        UPSERT,
        APPEND,
        OVERRIDE_METADATA,
        NO_ATTRIBUTE_DETAIL,
        "forcedUpdate",
        "flowControl",
        "skipForwarding",
        "skipInitialNotification",
    }
)


def options_of(request: Request) -> frozenset[str]:
    """The words of the parameter. Raises InvalidRequest for one that NGSIv2 doesn't have."""
    words = request.options()
    unknown = sorted(words - _KNOWN)
    if unknown:
        raise InvalidRequest(
            f"Invalid value for URI param /options/: {shown(unknown[0])}; known are: {', '.join(sorted(_KNOWN))}"
        )
    return words
