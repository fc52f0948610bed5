"""The routes that take no key and know no tenant: what the API is, and that it is up.

The description is a file beside the function, and the page is the Swagger UI that Powertools brings along. So the page
needs nothing from elsewhere: it opens in closed networks too, and no other host can learn who reads it, or see a key.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal

import aws_lambda_powertools
import msgspec

from tidemark import VERSION
from tidemark.dialects.wire import JSON, Request, Response, json_response
from tidemark.ports import Ports

type Route = Callable[[Ports, Request], Response]

_SWAGGER_UI: Final = Path(aws_lambda_powertools.__file__).parent / "event_handler" / "openapi" / "swagger_ui"
# The page lies beside the document, whatever stage or domain serves them, with or without a slash at the end.
_START: Final = """
const here = location.pathname.replace(/\\/+$/, "");
SwaggerUIBundle({
  url: here.slice(0, here.lastIndexOf("/")) + "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
"""
_KEPT: Final = "public, max-age=300"


class Health(msgspec.Struct, frozen=True):
    """That requests arrive and are served. Nothing behind is asked, so nobody can make this cost anything."""

    status: Literal["pass"]
    version: str


def routes(description: Path) -> Mapping[str, Route]:
    """The routes, serving the description that is stored there."""

    def description_route(ports: Ports, request: Request) -> Response:
        del ports
        return _document(request, _stored(description), JSON, {})

    return {"GET /health": health_route, "GET /openapi.json": description_route, "GET /docs": page_route}


def health_route(ports: Ports, request: Request) -> Response:
    """`GET /health`."""
    del ports, request
    return json_response(HTTPStatus.OK, Health("pass", VERSION), {"Cache-Control": "no-store"})


def page_route(ports: Ports, request: Request) -> Response:
    """`GET /docs`."""
    del ports
    page, policy = _page()
    return _document(request, page, "text/html; charset=utf-8", {"Content-Security-Policy": policy})


def _document(request: Request, text: str, media_type: str, headers: Mapping[str, str]) -> Response:
    version = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    sent = {"ETag": version, "Cache-Control": _KEPT, "X-Content-Type-Options": "nosniff", **headers}
    if version in (request.header("If-None-Match") or ""):
        return Response(HTTPStatus.NOT_MODIFIED, headers=sent)
    return Response(HTTPStatus.OK, text, {"Content-Type": media_type, **sent})


@cache
def _stored(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _page() -> tuple[str, str]:
    """The page, and the policy by which browsers run these very scripts and no others, and talk to this host alone."""
    scripts = (_stored(_SWAGGER_UI / "swagger-ui-bundle.min.js"), _START)
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    page = "\n".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Tidemark</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_stored(_SWAGGER_UI / 'swagger-ui.min.css')}</style></head>",
            '<body><div id="api"></div>',
            *(f"<script>{script}</script>" for script in scripts),
            "</body></html>",
        )
    )
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy
