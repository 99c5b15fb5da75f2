"""The two READMEs say the same, and nothing that is not so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reference_samplers import ALL_REFERENCES
from sampler_harness.catalogue import check_ids
from sampler_harness.cli.options import parser

FOLDER = Path(__file__).parents[2]
ENGLISH = (FOLDER / "README.md").read_text(encoding="utf-8")
CHINESE = (FOLDER / "README.zh-CN.md").read_text(encoding="utf-8")
BOTH = pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["English", "Chinese"])
PAGES = [
    FOLDER / "README.md",
    FOLDER / "README.zh-CN.md",
    FOLDER / "CONTRIBUTING.md",
    FOLDER / "ARCHITECTURE.md",
    *(page for folder in ("fixtures", "scripts", "tests") for page in sorted((FOLDER / folder).rglob("README.md"))),
]


def _blocks(text: str) -> list[str]:
    return re.findall(r"^```.*?^```$", text, re.DOTALL | re.MULTILINE)


def _first_cells(text: str) -> list[str]:
    """What the rows of all tables begin with, where that is code."""
    return re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)


def test_both_have_the_same_code_and_the_same_rows() -> None:
    assert _blocks(CHINESE) == _blocks(ENGLISH)
    assert _first_cells(CHINESE) == _first_cells(ENGLISH)
    assert CHINESE.count("\n## ") == ENGLISH.count("\n## ")


@BOTH
@pytest.mark.parametrize("kind", ["sampler", "training"])
def test_the_tables_tell_of_checks_that_are_there_in_their_order(text: str, kind: str) -> None:
    """Which of them is the page's choice; all of them are told by ``--list-checks``, which the page points to."""
    rows = [cell.strip("`") for cell in _first_cells(text)]
    ids = check_ids(kind)
    families = {id.partition("/")[0] for id in ids}
    told = [row for row in rows if row.partition("/")[0] in families]
    assert told
    assert told == [id for id in ids if id in told]
    assert "`check-sampler --list-checks`" in text


@BOTH
def test_every_option_is_told_of(text: str) -> None:
    options = [name for action in parser()._actions for name in action.option_strings if name.startswith("--")]
    assert [name for name in options if name not in text and name != "--help"] == []


@BOTH
def test_every_reference_is_named(text: str) -> None:
    assert [one.__name__ for one in ALL_REFERENCES if f"`{one.__name__}`" not in text] == []


@BOTH
def test_the_diff_that_is_shown_is_of_the_reference_as_it_is(text: str) -> None:
    [shown] = [block for block in _blocks(text) if "--- reference_samplers/edm.py" in block]
    source = (FOLDER / "reference_samplers" / "edm.py").read_text(encoding="utf-8").splitlines()
    hunks = re.findall(r"^ {6}@@ -(\d+),(\d+) \+\d+,\d+ @@\n((?: {6}[ +-].*\n)+)", shown, re.MULTILINE)
    assert hunks
    for start, count, body in hunks:
        before = [line[7:] for line in body.splitlines() if line[6] != "+"]
        at = int(start) - 1
        assert before[: int(count)] == source[at : at + int(count)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(FOLDER)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
