"""What the description says of the end of an upload is what is taken, and nothing else is."""

import json

import msgspec
import pytest

from tests.unit.volumes.examples import request
from tidemark.dialects.cloudca.openapi.bodies import CompleteUpload
from tidemark.dialects.cloudca.requests import complete_wanted
from tidemark.dialects.cloudca.routes import UPLOADS
from tidemark.errors import InvalidRequest

DIGEST = "0f" * 32


def parsed(document: object) -> str | None:
    headers = {"content-type": "application/json"}
    query = {"operation": "complete"}
    return complete_wanted(request("POST", UPLOADS, query=query, headers=headers, body=json.dumps(document).encode()))


@pytest.mark.parametrize(("document", "digest"), [({}, None), ({"digest": DIGEST}, DIGEST)])
def test_digest_is_taken_as_it_is_described(document: dict[str, object], digest: str | None) -> None:
    msgspec.convert(document, CompleteUpload)
    assert parsed(document) == digest


@pytest.mark.parametrize("document", [{"digest": 7}, {"digest": "0F" * 32}, {"digest": DIGEST[1:]}, {"sha256": DIGEST}])
def test_what_the_description_refuses_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, CompleteUpload)
    with pytest.raises(InvalidRequest):
        parsed(document)
