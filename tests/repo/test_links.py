"""Links inside of the documents lead to headings and files that are there."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.repo.sources import README, ROOT

DESIGN = ROOT / "layers" / "DESIGN.md"
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def _text(document: Path) -> str:
    """A document without its blocks of code."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def _anchors(document: Path) -> list[str]:
    """What its headings are linked by, as GitHub makes it: small letters, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", _text(document), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def _links(document: Path) -> set[tuple[Path, str]]:
    """The file and the heading of each link that stays in this repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", _text(document))
    inside = [link.partition("#") for link in found if not re.match(r"[a-z]+:", link)]
    return {((document.parent / path).resolve() if path else document, anchor) for path, _, anchor in inside}


@pytest.mark.parametrize("document", [README, DESIGN], ids=lambda path: str(path.name))
def test_links_lead_somewhere(document: Path) -> None:
    links = _links(document)
    assert links
    assert {str(path) for path, _ in links if not path.exists()} == set()
    assert {anchor for path, anchor in links if anchor and anchor not in _anchors(path)} == set()


@pytest.mark.parametrize("document", [README, DESIGN], ids=lambda path: str(path.name))
def test_heading_that_is_linked_is_the_only_one_of_its_name(document: Path) -> None:
    counts = Counter(_anchors(document))
    linked = {anchor for source in (README, DESIGN) for path, anchor in _links(source) if path == document}
    assert {anchor for anchor in linked if counts[anchor] > 1} == set()
