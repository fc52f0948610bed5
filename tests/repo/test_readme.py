"""README.md: its endpoint table is the template's routes, and every command it names exists."""

import re
from typing import NamedTuple

from tests.repo.sources import README, ROOT, resources


class Route(NamedTuple):
    """A method (or ANY) and a path, which may be greedy: `/v2/entities/{proxy+}`."""

    method: str
    path: str

    def serves(self, other: "Route") -> bool:
        """Whether requests of the other route arrive here."""
        prefix, greedy, _ = self.path.partition("{proxy+}")
        fits = other.path.startswith(prefix) and other.path != prefix if greedy else other.path == self.path
        return fits and self.method in {"ANY", other.method}


def _template_routes() -> set[Route]:
    return {
        Route(event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for properties in resources("AWS::Serverless::Function").values()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Api"
    }


def _readme_routes() -> set[Route]:
    """The table under "Endpoints", whose first two columns are Method and Path."""
    text = README.read_text(encoding="utf-8")
    section = re.search(r"^## Endpoints$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, 'README.md has no section "## Endpoints"'
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in section[1].splitlines()
        if line.startswith("|")
    ]
    assert rows, "the section has no table"
    assert rows[0][:2] == ["Method", "Path"]
    return {Route(method, path) for method, path, *_ in rows[2:]}


def test_readme_lists_every_route_and_no_other() -> None:
    built, documented = _template_routes(), _readme_routes()
    assert built, "template.yaml has no route"
    assert {row for row in documented if not any(route.serves(row) for route in built)} == set(), "not in template.yaml"
    assert {route for route in built if not any(route.serves(row) for row in documented)} == set(), "not in README.md"


def test_readme_names_only_commands_that_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", " ".join(_code(README.read_text(encoding="utf-8")))))
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "up"} <= named
    assert named <= targets


def _code(markdown: str) -> list[str]:
    """What is set as code, in fences or in line."""
    return re.findall(r"```.*?```|`[^`\n]+`", markdown, re.DOTALL)
