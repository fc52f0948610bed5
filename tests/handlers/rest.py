"""Requests as the REST API passes them to a function, made from the sample events, and the function's answers."""

import copy
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from tests.repo.sources import EVENTS
from tidemark.web import LambdaHandler

Event = dict[str, Any]


class Answer(NamedTuple):
    """What the caller gets."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.text)


class Context:
    """What Lambda tells about the invocation."""

    function_name = "tidemark"
    aws_request_id = "b0d4e3a2-6f1c-4a77-9a51-0c8f7e2d9b11"


def sample(group: str, function: str) -> Event:
    """A copy of a sample event."""
    return copy.deepcopy(_read(group, function))


def request(
    group: str,
    function: str,
    *,
    body: object = None,
    text: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    query: Mapping[str, str] | None = None,
    path: str | None = None,
    tenant: str | None = None,
) -> Event:
    """A sample event with changes: `body` as JSON or `text` as it is; a header that is None is left out.

    `tenant` is both what the header says and what the authorizer granted.
    """
    event = sample(group, function)
    if body is not None:
        text = json.dumps(body)
        headers = {"Content-Type": "application/json", **(headers or {})}
    if text is not None:
        event["body"] = text
    if tenant is not None:
        headers = {"Fiware-Service": tenant, **(headers or {})}
        event["requestContext"]["authorizer"]["tenant"] = tenant
    kept = {name: value for name, value in event["headers"].items() if name not in (headers or {})}
    event["headers"] = kept | {name: value for name, value in (headers or {}).items() if value is not None}
    event["multiValueHeaders"] = {name: [value] for name, value in event["headers"].items()}
    if query is not None:
        event["queryStringParameters"] = dict(query) or None
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()} or None
    if path is not None:
        event["path"] = path
    return event


def call(handler: LambdaHandler, event: Event) -> Answer:
    """Call a function and check what every answer has."""
    answer = handler(event, Context())
    json.dumps(answer)
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["Fiware-Correlator"]
    return Answer(answer["statusCode"], answer["headers"], answer["body"])


def assert_error(answer: Answer, status: int, name: str, *said: str) -> None:
    """The answer is an NGSIv2 error that says these words and nothing of the inside."""
    assert answer.status == status, answer.text
    assert list(answer.json) == ["error", "description"]
    assert answer.json["error"] == name
    for words in said:
        assert words in answer.json["description"]
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text


@cache
def _read(group: str, function: str) -> Event:
    event: Event = json.loads((EVENTS / group / f"{function}.json").read_text(encoding="utf-8"))
    return event
