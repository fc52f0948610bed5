"""Writes the description of the API: `python -m tidemark.dialects.ngsi.openapi FILE`."""

import json
import sys
from pathlib import Path
from typing import Any

from tidemark.dialects.ngsi.openapi.document import build


def text_of(document: dict[str, Any]) -> str:
    """The document as it is stored: in lines, so that a change of the API can be read as a difference."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text_of(build()), encoding="utf-8")
