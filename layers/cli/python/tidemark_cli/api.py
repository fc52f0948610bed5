"""The REST API as the commands call it: one caller, retries where a repeat is safe, errors as sentences."""

import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time
from typing import Any, Final
from urllib.parse import quote, urlencode

from tidemark_cli.failures import ExitCode, Failed, Refused, Unreachable
from tidemark_cli.sending import Answer, Sender

TRIES: Final = 6
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# What a gateway says when it does not know what became of the request.
_UNKNOWN: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_CODES: Final[dict[int, ExitCode]] = {
    HTTPStatus.UNAUTHORIZED: ExitCode.NOT_ALLOWED,
    HTTPStatus.FORBIDDEN: ExitCode.NOT_ALLOWED,
    HTTPStatus.NOT_FOUND: ExitCode.NOT_FOUND,
    HTTPStatus.CONFLICT: ExitCode.CONFLICT,
    # Of the API of volumes: a name that is taken, a busy volume, a wrong state, a snapshot in use.
    **dict.fromkeys(range(2010, 2014), ExitCode.CONFLICT),
    **dict.fromkeys(_BUSY | _UNKNOWN, ExitCode.UNAVAILABLE),
}
_HINTS: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "check TIDEMARK_API_KEY",
    HTTPStatus.FORBIDDEN: "use a key that is made for this tenant or environment, and action",
    **dict.fromkeys(_BUSY | _UNKNOWN, "try again later"),
}

type Query = Mapping[str, str | int | None]


def path(*segments: str, base: str = "/v2") -> str:
    """A path below `base` of segments that may hold any characters.

    Raises Failed for one that would name another path, such as an empty one: what a script's unset variable gives.
    """
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise Failed(ExitCode.USAGE, f"{segment!r} can't be an id; give the id of what you mean")
    return f"{base}/" + "/".join(quote(segment, safe=":") for segment in segments)


@dataclass(frozen=True)
class Api:
    """A caller of the service: its address, key and tenant (None: the service's default one)."""

    sender: Sender
    url: str
    key: str
    tenant: str | None
    sleep: Callable[[float], None]

    def of(self, tenant: str | None) -> "Api":
        """The same caller for another tenant; for its own where that is None."""
        return self if tenant is None else replace(self, tenant=tenant)

    def get(self, where: str, query: Query | None = None) -> Answer:
        """Read. Raises Failed."""
        return self._ask("GET", where, query or {}, None, {}, repeatable=True)

    def delete(self, where: str) -> Answer:
        """Delete. Raises Failed."""
        return self._ask("DELETE", where, {}, None, {}, repeatable=False)

    def patch(self, where: str, document: object) -> Answer:
        """Change what a JSON document names. A repeat sets the same again. Raises Failed."""
        return self._ask("PATCH", where, {}, document, {}, repeatable=True)

    def post(
        self,
        where: str,
        document: object = None,
        query: Query | None = None,
        *,
        once: bool = False,
        safe: bool = False,
    ) -> Answer:
        """Post a JSON document.

        With `once` it carries an Idempotency-Key, so that a repeat of it is not obeyed twice; `safe` says that a repeat
        does no harm anyway. Raises Failed.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4())} if once else {}
        return self._ask("POST", where, query or {}, document, headers, repeatable=once or safe)

    def _ask(
        self,
        method: str,
        where: str,
        query: Query,
        document: object,
        headers: Mapping[str, str],
        *,
        repeatable: bool,
    ) -> Answer:
        asked = {name: str(value) for name, value in query.items() if value is not None}
        url = f"{self.url}{where}" + (f"?{urlencode(asked, quote_via=quote)}" if asked else "")
        fields = {"Accept": "application/json", "Authorization": f"Bearer {self.key}", **headers}
        if self.tenant is not None:
            fields["Fiware-Service"] = self.tenant
        body = None
        if document is not None:
            fields["Content-Type"], body = "application/json", json.dumps(document).encode()
        for attempt in range(1, TRIES + 1):
            last = attempt == TRIES
            pause_s = FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries
            try:
                answer = self.sender.send(method, url, fields, body)
            except Unreachable as error:
                if last or (error.sent and not repeatable):
                    raise _silent(self.url, error) from error
            else:
                if answer.status < HTTPStatus.BAD_REQUEST:
                    return self._understood(answer)
                wanted_s = _retry_after_s(answer)
                pause_s = pause_s if wanted_s is None else wanted_s
                if last or pause_s > LONGEST_PAUSE_S or not _worth_repeating(answer, fields, repeatable=repeatable):
                    raise refusal(answer)
            self.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    def _understood(self, answer: Answer) -> Answer:
        """The answer, if Tidemark can have given it: JSON, or nothing. Whatever else may answer at an address, too."""
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES or (answer.body and answer.json() is None):
            raise Failed(
                ExitCode.FAILED, f"{self.url} does not answer as Tidemark does ({answer.status}); check TIDEMARK_URL"
            )
        return answer


def refusal(answer: Answer) -> Refused:
    """An answer that is an error, as a sentence with what to do."""
    document: Any = answer.json()
    said = document if isinstance(document, dict) else {}
    # About volumes, the kind of an error is told by a code, and may be a finer one than the status.
    first = (said.get("errors") or [{}])[0]
    name = said.get("error")
    told_by = (said.get("description"), said.get("message"), first.get("message"), answer.text[:200].strip())
    description = next((one for one in told_by if one), "no reason was given")
    location = answer.headers.get("location")
    hint = _HINTS.get(first.get("code"), _HINTS.get(answer.status))
    if location is not None and "/restores/" in location:
        hint = f"follow it with: tidemark restores watch {location.rpartition('/')[2]}"
    wait_s = _retry_after_s(answer)
    if wait_s is not None and wait_s > LONGEST_PAUSE_S:
        hint = f"try again in {wait_s:.0f} s"
    told = f"{description} ({answer.status}{f' {name}' if name else ''})"
    code = _CODES.get(first.get("code"), _CODES.get(answer.status, ExitCode.FAILED))
    return Refused(code, told if hint is None else f"{told}; {hint}", status=answer.status, location=location)


def _worth_repeating(answer: Answer, fields: Mapping[str, str], *, repeatable: bool) -> bool:
    if answer.status in _BUSY:
        return True
    # The first try of a request under a key may still be under way: the answer says when to ask for its outcome.
    under_way = "Idempotency-Key" in fields and "retry-after" in answer.headers
    # The API of volumes has no other status for what may succeed later.
    later = answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and "retry-after" in answer.headers
    return ((answer.status in _UNKNOWN or later) and repeatable) or (answer.status == HTTPStatus.CONFLICT and under_way)


def _retry_after_s(answer: Answer) -> float | None:
    """How long the service asks to wait: a number of seconds, or a date."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except ValueError:
        return None


def _silent(url: str, error: Unreachable) -> Failed:
    unknown = "; what became of the request is unknown: look before you repeat it" if error.sent else ""
    return Failed(
        ExitCode.UNAVAILABLE, f"{url} does not answer: {error.reason}{unknown}; check TIDEMARK_URL and the network"
    )
