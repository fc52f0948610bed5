"""Draws a state machine as a Mermaid state diagram, from its definition in the Amazon States Language.

`python -m tests.repo.mermaid FILE...` prints diagrams; with `--update DOCUMENT` it rewrites those in a Markdown
document, each of which is the fenced block after a comment `<!-- state-machine: path/to/file.asl.json -->`.
Retries are not drawn: they don't leave their state.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.repo.sources import ROOT, definition, inner_definitions

_INDENT = "    "
_BLOCK = re.compile(
    r"(?P<head><!-- state-machine: (?P<path>\S+) -->\s*```mermaid\n)(?P<diagram>.*?)(?P<tail>^```$)",
    re.DOTALL | re.MULTILINE,
)
_COMPARISONS = {
    "Equals": "is",
    "LessThan": "is below",
    "LessThanEquals": "is at most",
    "GreaterThan": "is above",
    "GreaterThanEquals": "is at least",
    "Matches": "matches",
}
_OPERATOR = re.compile(rf"(?:String|Numeric|Boolean|Timestamp)({'|'.join(_COMPARISONS)})(Path)?")


def diagram(machine: dict[str, Any]) -> str:
    """The whole machine as a `stateDiagram-v2`, in the order of its definition, ending in a line break."""
    return "\n".join(["stateDiagram-v2", *_scope(machine, _INDENT)]) + "\n"


def diagrams_in(document: str) -> dict[str, str]:
    """The diagrams that a Markdown document shows, by the path of the definition that they claim to show."""
    return {match["path"]: match["diagram"] for match in _BLOCK.finditer(document)}


def updated(document: str) -> str:
    """The Markdown document with every diagram drawn anew."""
    return _BLOCK.sub(
        lambda match: match["head"] + diagram(definition(ROOT / match["path"])) + match["tail"],
        document,
    )


def _scope(machine: dict[str, Any], indent: str) -> Iterator[str]:
    yield f"{indent}[*] --> {_id(machine['StartAt'])}"
    for name, body in machine["States"].items():
        yield from _declaration(name, body, indent)
        yield from (f"{indent}{_id(name)} --> {arrow}" for arrow in _arrows(body))


def _declaration(name: str, body: dict[str, Any], indent: str) -> Iterator[str]:
    inner = inner_definitions(body)
    title = f"{name}, for each item" if body["Type"] == "Map" else name
    if inner:
        yield f'{indent}state "{title}" as {_id(name)} {{'
        for number, machine in enumerate(inner):
            if number:
                yield f"{indent}{_INDENT}--"
            yield from _scope(machine, indent + _INDENT)
        yield f"{indent}}}"
    elif title != _id(name):
        yield f'{indent}state "{title}" as {_id(name)}'


def _arrows(body: dict[str, Any]) -> Iterator[str]:
    """What leaves a state: where to, and why if there is a reason to tell."""
    for rule in body.get("Choices", []):
        yield _arrow(rule["Next"], rule.get("Comment") or _condition(rule))
    if "Default" in body:
        yield _arrow(body["Default"], "otherwise")
    if "Next" in body:
        yield _arrow(body["Next"])
    if body.get("End") or body["Type"] == "Succeed":
        yield "[*]"
    if body["Type"] == "Fail":
        yield _arrow("[*]", f"fails with {body['Error']}" if "Error" in body else "fails")
    caught: dict[str, list[str]] = {}
    for catcher in body.get("Catch", []):
        caught.setdefault(catcher["Next"], []).extend(catcher["ErrorEquals"])
    for target, errors in caught.items():
        yield _arrow(target, "any error" if "States.ALL" in errors else ", ".join(errors))


def _arrow(target: str, reason: str = "") -> str:
    end = target if target == "[*]" else _id(target)
    return f"{end}: {_label(reason)}" if reason else end


def _condition(rule: dict[str, Any]) -> str:
    """A choice rule in words."""
    for key, word in (("And", " and "), ("Or", " or ")):
        if key in rule:
            return word.join(_condition(part) for part in rule[key])
    if "Not" in rule:
        return f"not ({_condition(rule['Not'])})"
    variable = rule["Variable"].removeprefix("$.")
    for operator, operand in rule.items():
        if operator.startswith("Is"):
            kind = operator.removeprefix("Is").lower()
            return f"{variable} is {'' if operand else 'not '}{kind}"
        if match := _OPERATOR.fullmatch(operator):
            value = str(operand).lower() if isinstance(operand, bool) else str(operand)
            return f"{variable} {_COMPARISONS[match[1]]} {value.removeprefix('$.')}"
    raise ValueError(f"the choice rule {rule} compares nothing that is known here: add its operator to this module")


def _id(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _label(text: str) -> str:
    """Text without what ends or upsets a label in Mermaid."""
    return re.sub(r"[:;#<>{}\"\s]+", " ", text).strip()


def main(arguments: list[str]) -> None:
    """Prints or updates diagrams."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.repo.mermaid", description="Draws state machines with Mermaid."
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="an .asl.json file to draw")
    parser.add_argument("--update", type=Path, metavar="DOCUMENT", help="a Markdown file whose diagrams are drawn anew")
    options = parser.parse_args(arguments)
    for path in options.files:
        print(diagram(definition(path)), end="")
    if options.update:
        options.update.write_text(updated(options.update.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
