"""The functions of volumes behind their authorizer, asked as the gateway asks them, without a gateway."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest

from functions.authorizer import handler as authorizer
from functions.cloudca.cancel_task import handler as cancel_task
from functions.cloudca.complete_upload import handler as complete_upload
from functions.cloudca.create_snapshot import handler as create_snapshot
from functions.cloudca.delete_snapshot import handler as delete_snapshot
from functions.cloudca.get_image import handler as get_image
from functions.cloudca.get_snapshot import handler as get_snapshot
from functions.cloudca.get_task import handler as get_task
from functions.cloudca.get_volume import handler as get_volume
from functions.cloudca.list_snapshots import handler as list_snapshots
from functions.cloudca.list_uploads import handler as list_uploads
from functions.cloudca.list_volumes import handler as list_volumes
from functions.cloudca.operate_snapshot import handler as operate_snapshot
from functions.cloudca.unknown_route import handler as unknown_method
from functions.ngsi.unknown_route import handler as unknown_path
from tests.handlers.conftest import ENVIRONMENT as VARIABLES
from tests.handlers.rest import Context, sample
from tests.repo.sources import resources
from tests.unit.volumes.backing import REGION, World
from tests.unit.volumes.examples import TEST_AREA, environment
from tests.unit.volumes.go_client import Answered, Asked
from tidemark import bootstrap
from tidemark.dialects.cloudca.routes import IMAGE, METHODS, SNAPSHOT, SNAPSHOTS, TASK, UPLOADS, VOLUME, VOLUMES
from tidemark.domain.api_key import Action
from tidemark.usecases.keys import create_key
from tidemark.web import LambdaHandler

FUNCTIONS: Final[Mapping[tuple[str, str], LambdaHandler]] = {
    ("GET", SNAPSHOTS): list_snapshots.handler,
    ("POST", SNAPSHOTS): create_snapshot.handler,
    ("GET", SNAPSHOT): get_snapshot.handler,
    ("DELETE", SNAPSHOT): delete_snapshot.handler,
    ("GET", IMAGE): get_image.handler,
    ("GET", UPLOADS): list_uploads.handler,
    ("POST", UPLOADS): complete_upload.handler,
    ("GET", VOLUMES): list_volumes.handler,
    ("GET", VOLUME): get_volume.handler,
    ("GET", TASK): get_task.handler,
    ("POST", SNAPSHOT): operate_snapshot.handler,
    ("DELETE", TASK): cancel_task.handler,
}
ANYTHING: Final = "/{proxy+}"
ENVIRONMENT: Final = "/v1/services/compute-on/test_area"
_ARN: Final = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/live"


@contextmanager
def in_use[W: World](world: W, monkeypatch: pytest.MonkeyPatch) -> Iterator[W]:
    """The world, with another environment beside its own, in use by every function."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    world.ports.volumes.add_environment(environment(name="other", region=REGION, tags={"Environment": "other"}))
    with bootstrap.use(world.ports):
        yield world


@dataclass
class VolumeApi:
    """The API over a world with a volume. `functions` can be exchanged."""

    world: World
    functions: Mapping[tuple[str, str], LambdaHandler] = field(default_factory=lambda: FUNCTIONS)

    def key(self, *actions: Action, environments: tuple[str, ...] = (TEST_AREA,)) -> str:
        """The secret of a new key."""
        wanted = actions or (Action.ADMIN,)
        return create_key(self.world.ports, name="test", tenants=(), actions=wanted, environments=environments).secret

    def send(self, asked: Asked) -> Answered:
        """What the gateway answers."""
        event = _event(asked)
        policy = authorizer.handler(event | {"methodArn": f"{_ARN}/{asked.method}{event['path']}"}, Context())
        [statement] = policy["policyDocument"]["Statement"]
        if statement["Effect"] != "Allow":
            return _denied(policy["context"])
        event["requestContext"]["authorizer"] = {**policy["context"], "principalId": policy["principalId"]}
        unknown = unknown_method if event["resource"] in METHODS else unknown_path
        answer = self.functions.get((asked.method, event["resource"]), unknown.handler)(event, Context())
        return Answered(answer["statusCode"], answer["body"])

    def call(
        self, method: str, path: str, key: str, document: object = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """The status of a request, and the document that is answered."""
        body = b"" if document is None else json.dumps(document).encode()
        sent = {"MC-Api-Key": key, **({"Content-Type": "application/json"} if body else {}), **(headers or {})}
        answered = self.send(Asked(method, path, sent, body))
        return answered.status, json.loads(answered.body)


def error(answer: tuple[int, Any]) -> tuple[int, int, str]:
    """Status, code and message of a refusal, which has the documented form."""
    status, document = answer
    [one] = document["errors"]
    assert list(one) == ["code", "errorCode", "message", "context"]
    assert one["errorCode"] == str(one["code"])
    return status, one["code"], one["message"]


def _denied(context: Mapping[str, str]) -> Answered:
    [api] = resources("AWS::Serverless::Api").values()
    response = api["GatewayResponses"]["ACCESS_DENIED"]
    template = response["ResponseTemplates"]["application/json"]
    for name in ("refusal", "code"):
        template = template.replace(f"$context.authorizer.{name}", context[name])
    return Answered(response["StatusCode"], template)


def _event(asked: Asked) -> dict[str, Any]:
    parts = urlsplit(asked.url)
    event = sample("cloudca", "get_task")
    resource = _matched(parts.path)
    proxy = {"proxy": parts.path.strip("/")} if resource == ANYTHING else None
    return event | {
        "resource": resource,
        "path": parts.path,
        "httpMethod": asked.method,
        "headers": dict(asked.headers),
        "queryStringParameters": dict(parse_qsl(parts.query)) or None,
        "pathParameters": proxy,
        "body": asked.body.decode() or None,
    }


def _matched(path: str) -> str:
    segments = path.rstrip("/").split("/")
    for route in METHODS:
        parts = route.split("/")
        if len(parts) == len(segments) and all(
            part.startswith("{") or part == segment for part, segment in zip(parts, segments, strict=True)
        ):
            return route
    return ANYTHING
