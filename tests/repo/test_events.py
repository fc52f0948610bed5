"""Sample events: one for each function, each used by a test, each a valid document."""

import json
import re
from pathlib import Path

from tests.repo.sources import EVENTS, FUNCTIONS, TESTS, files, function_folders, relative


def _event_of(function: Path) -> Path:
    """Where a function's event lies: in the folder of its group, which is itself for one that is alone."""
    path = function.relative_to(FUNCTIONS)
    return EVENTS / path.parent / f"{path.name}.json" if len(path.parts) > 1 else EVENTS / path / f"{path.name}.json"


def test_every_function_has_an_event() -> None:
    folders = function_folders()
    assert folders, "functions/ holds no function"
    assert [relative(_event_of(folder)) for folder in folders if not _event_of(folder).is_file()] == []


def test_every_event_is_used_by_a_test() -> None:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in files(".py", under=TESTS))
    unused = [
        relative(path)
        for path in files(".json", under=EVENTS)
        # Either as one path, "ngsi/get_snapshot", or as two arguments, "ngsi", "get_snapshot".
        if not re.search(rf"\b{re.escape(path.parent.name)}[\"', /]+{re.escape(path.stem)}\b", texts)
    ]
    assert unused == []


def test_every_event_is_a_json_object() -> None:
    events = files(".json", under=EVENTS)
    assert events, "events/ holds no event"
    assert [
        relative(path) for path in events if not isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    ] == []
