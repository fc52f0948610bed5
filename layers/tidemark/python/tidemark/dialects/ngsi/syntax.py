"""Which characters NGSIv2 allows where: identifiers, forbidden characters in values, nesting.

Sources: the NGSIv2 specification, "Field syntax restrictions", and Orion's manual, "Forbidden characters" (which keeps
markup and scripts out of stored data).
"""

import re
from typing import Any, Final

from tidemark.dialects.ngsi.parameters import json_type
from tidemark.errors import InvalidRequest

MAX_IDENTIFIER_CHARS: Final = 256
MAX_NESTING: Final = 50
UNRESTRICTED_TYPE: Final = "TextUnrestricted"

# Visible ASCII without & ? / # and without the forbidden characters.
_IDENTIFIER: Final = re.compile(r"[!$%*+,\-.0-9:@A-Z\[\\\]^_`a-z{|}~]{1,256}")
_FORBIDDEN: Final = re.compile(r"[<>\"'=;()]")
_SHOWN_CHARS: Final = 60


def identifier(kind: str, value: object) -> str:
    """`value` if it may identify something; `kind` names it in the error. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise InvalidRequest(f"the {kind} must be a string; it is {json_type(value)}")
    if not value:
        raise InvalidRequest(f"the {kind} is empty; it needs 1 to {MAX_IDENTIFIER_CHARS} characters")
    if len(value) > MAX_IDENTIFIER_CHARS:
        raise InvalidRequest(f"the {kind} has {len(value)} characters; at most {MAX_IDENTIFIER_CHARS} are allowed")
    if _IDENTIFIER.fullmatch(value) is None:
        raise InvalidRequest(
            f"the {kind} {shown(value)} is not valid: use visible ASCII characters without whitespace "
            "and without & ? / # < > \" ' = ; ( )"
        )
    return value


def allowed_text(kind: str, value: str) -> str:
    """`value` if it holds no forbidden character. Raises InvalidRequest."""
    found = _FORBIDDEN.search(value)
    if found is not None:
        raise InvalidRequest(
            f"the {kind} holds the forbidden character {found[0]} : encode < > \" ' = ; ( ) before sending, "
            f"or give the attribute the type {UNRESTRICTED_TYPE}"
        )
    return value


def check_value(kind: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """See that no text in a JSON value, member names included, holds a forbidden character. Raises InvalidRequest."""
    match value:
        case str():
            allowed_text(kind, value)
        case list():
            for element in value:
                check_value(kind, element)
        case dict():
            for name, member in value.items():
                allowed_text(kind, name)
                check_value(kind, member)
        case _:
            pass


def check_nesting(document: Any) -> None:  # noqa: ANN401 - any JSON value
    """See that arrays and objects are nested at most `MAX_NESTING` deep. Raises InvalidRequest."""
    level = [document]
    for _ in range(MAX_NESTING + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise InvalidRequest(f"the body is nested more than {MAX_NESTING} levels deep; make it flatter")


def shown(text: str) -> str:
    """A text as an error message quotes it: short, and with its control characters escaped."""
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}...")


def _inside(value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []
