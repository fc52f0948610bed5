"""SAM CLI's own front end over the stack: it answers as ours does where it knows how."""

import pytest

from tests.local.http_client import over_socket
from tests.local.sam_api import SAM_PYTHON, sam_front
from tests.local.stack import LocalStack
from tests.unit.local.conftest import TEMPLATE


def test_names_what_to_do_when_sam_cli_is_not_installed(monkeypatch: pytest.MonkeyPatch, served: LocalStack) -> None:
    monkeypatch.setattr("tests.local.sam_api.SAM_PYTHON", SAM_PYTHON.with_name("nowhere"))

    with pytest.raises(FileNotFoundError, match="make setup-all"), sam_front(served, TEMPLATE):
        pass


def test_answers_as_our_gateway_does_when_sam_cli_serves(served: LocalStack) -> None:
    with sam_front(served, TEMPLATE) as url:
        for method, path, headers in (
            ("GET", "/things/special", {"Authorization": "me"}),
            ("GET", "/things/7/parts/8?a=1&a=2", {"Authorization": "me"}),
            ("POST", "/echo", {"Authorization": "me", "Content-Type": "application/json"}),
            ("GET", "/open/a/b", {}),
        ):
            theirs = over_socket(url, method, path, headers, b'{"a": 1}' if method == "POST" else b"")
            ours = served.http(method, path, headers, b'{"a": 1}' if method == "POST" else b"")

            assert (theirs.status, ours.status) == (200, 200), theirs.text
            shared = ("resource", "httpMethod", "pathParameters", "multiValueQueryStringParameters", "body")
            assert {name: theirs.json()[name] for name in shared} == {name: ours.json()[name] for name in shared}
        assert over_socket(url, "GET", "/echo", {}, b"").status == 401
        assert over_socket(url, "GET", "/echo", {"Authorization": "deny"}, b"").status == 403
        assert over_socket(url, "POST", "/shelf/sam", {}, b"").json() == {"count": 1}
        assert served.http("GET", "/shelf/sam").json() == {"count": 1}
