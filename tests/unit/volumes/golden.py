"""The documents that answers are held to, member by member and in their order."""

import json
from pathlib import Path

from tidemark.dialects.wire import Response

FOLDER = Path(__file__).parents[2] / "golden" / "cloudca"


def written(response: Response) -> str:
    """The body of an answer, laid out as the golden documents are."""
    assert response.headers["Content-Type"] == "application/json"
    return json.dumps(json.loads(response.body), indent=2, ensure_ascii=False) + "\n"


def golden(name: str) -> str:
    """A golden document."""
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")
