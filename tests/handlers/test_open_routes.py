"""The routes that everybody may call: the description of the API, the page that shows it, and health."""

import base64
import hashlib
import json
import re

import pytest

from functions.ngsi.describe_api.handler import handler
from tests.handlers import rest
from tests.handlers.rest import Answer
from tests.repo.sources import FUNCTIONS
from tidemark import VERSION
from tidemark.web import MAX_ANSWER_BYTES

pytestmark = pytest.mark.usefixtures("ports")


def get(path: str, **headers: str) -> Answer:
    """Call the function without any key, as nobody in particular."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    event = rest.request("ngsi", "describe_api", path=path, headers=sent)
    event["resource"] = path.rstrip("/")
    assert "authorizer" not in event["requestContext"]
    return rest.call(handler, event)


def test_description_is_served_as_it_is_stored() -> None:
    answer = get("/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.text == (FUNCTIONS / "ngsi" / "describe_api" / "openapi.json").read_text(encoding="utf-8")
    assert answer.json["info"]["version"] == VERSION


def test_documents_are_not_sent_again_when_their_version_is_known() -> None:
    for path in ("/openapi.json", "/docs"):
        first = get(path)
        again = get(path, If_None_Match=first.headers["ETag"])
        assert (again.status, again.text) == (304, "")
        assert get(path, If_None_Match='"another"').text == first.text


def test_page_loads_nothing_from_elsewhere() -> None:
    answer = get("/docs")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    # Swagger UI's own code holds addresses in its texts; what a browser loads by itself is in tags and styles.
    tags = re.findall(
        r"<(?:script|link|img|iframe)\b[^>]*>",
        re.sub(r"<script>.*?</script>", "<script>", answer.text, flags=re.DOTALL),
    )
    assert tags == ["<script>", "<script>"]
    assert re.findall(r"url\((?!['\"]?(?:data:|#))[^)]*|@import", answer.text.partition("</style>")[0]) == []


def test_page_runs_its_own_scripts_alone() -> None:
    answer = get("/docs")
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    hashed = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert policy["script-src"].split() == [f"'sha256-{one}'" for one in hashed]
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    assert "SwaggerUIBundle({" in scripts[1]


def test_page_fits_an_answer_of_a_function() -> None:
    assert len(json.dumps(get("/docs").text).encode()) < MAX_ANSWER_BYTES / 2


def test_health_says_that_requests_are_served() -> None:
    answer = get("/health")
    assert (answer.status, answer.json) == (200, {"status": "pass", "version": VERSION})
    assert answer.headers["Cache-Control"] == "no-store"


def test_no_tenant_is_asked_for() -> None:
    for path in ("/openapi.json", "/docs", "/health"):
        assert get(path, Fiware_Service="not a tenant!").status == 200
