"""What no file of the repository says: excuses, and what lies outside of the project."""

import re
from pathlib import Path

from tests.repo.sources import ROOT, TESTS, files, relative

TEXT = (
    ".cfg",
    ".in",
    ".json",
    ".md",
    ".py",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
    "Makefile",
    "run",
)
# Each is a promise that the code is not what it should be, or a stand-in where a real implementation belongs.
EXCUSES = re.compile(
    r"\b(simplified|for now|in a real (?:system|implementation)|in production you would|not implemented yet"
    r"|todo|fixme|xxx|hack|dummy|(?<!unittest\.)mocks?|magicmock)\b",
    re.IGNORECASE,
)
# Places and papers that only those who wrote the project had.
OUTSIDE = re.compile(
    r"(?<![\w}])/work/|/root/|/opt/(?:pypi|wheels)|/home/\w|shared/(?:design|seeds|spikes)|\bspikes?/|\b(?:API|CODE|ENGINE|LOCAL|PERFORMANCE)\.md\b"
    r"|\bissue #?\d|pythonhosted|pypi\.org|registry\.npmjs|\b(?:AI|language model|Claude|GPT)\b"
)
HERE = Path(__file__)
# Lines without a carriage return or a space at their end, the last one not empty.
_TIDY = re.compile(rb"(?:[^\r\n]*(?<![ \t\r])\n)*[^\r\n]*[^ \t\r\n]\n")


def _said(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{relative(path)}:{number}: {match[0]}"
        for path in paths
        if path != HERE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_code_makes_no_excuses() -> None:
    paths = [path for path in files(*TEXT) if not path.is_relative_to(ROOT / "requirements")]
    assert _said(EXCUSES, paths) == []


def test_files_speak_of_the_project_alone() -> None:
    assert _said(OUTSIDE, files(*TEXT)) == []


def test_text_ends_in_one_line_break_and_has_no_trailing_space() -> None:
    untidy = [
        relative(path)
        for path in files(*TEXT)
        if not path.is_relative_to(TESTS / "golden") and (text := path.read_bytes()) and not _TIDY.fullmatch(text)
    ]
    assert untidy == []
