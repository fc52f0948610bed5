"""Regular expressions that callers send: `idPattern`, `typePattern` and the operator `~=`.

They are run by RE2, whose time is linear in the text whatever the expression, so nobody can keep a function busy with
one; Python's own engine takes exponential time for some. Like the POSIX expressions of Orion, RE2 has no look-around
and no back references. A pattern matches anywhere in the text unless it is anchored.
"""

from typing import Final, Protocol

from tidemark.dialects.ngsi.syntax import shown
from tidemark.errors import InvalidRequest

MAX_PATTERN_CHARS: Final = 512
# Counted repetitions multiply; above this RE2 refuses the expression.
_MAX_PROGRAM_BYTES: Final = 1 << 20


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> object | None:
        """Something where the expression matches anywhere in the text, None where it does not."""
        ...


def compile_pattern(kind: str, text: str) -> Pattern:
    """A caller's regular expression; `kind` names it in the error. Raises InvalidRequest."""
    import re2  # noqa: PLC0415 - its native library is loaded only by the requests that need it

    if not 1 <= len(text) <= MAX_PATTERN_CHARS:
        raise InvalidRequest(f"the {kind} has {len(text)} characters; 1 to {MAX_PATTERN_CHARS} are allowed")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PROGRAM_BYTES
    try:
        pattern: Pattern = re2.compile(text, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise InvalidRequest(f"the {kind} {shown(text)} is not a valid regular expression: {reason}") from None
    return pattern
