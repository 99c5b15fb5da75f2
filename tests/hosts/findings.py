"""FINDINGS.md as its tests read it: one section per true deviation, each with the command that shows it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

PAGE = Path(__file__).parents[2] / "FINDINGS.md"


def sections() -> dict[str, str]:
    """The text of each finding by its name; the remarks at the page's end have titles of words and are none."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^## ([a-z0-9-]+)\n(.*?)(?=^## |\Z)", text, flags=re.M | re.S))


def command_of(section: str) -> list[str]:
    """The words of the command that shows a finding, without what a shell takes for a comment."""
    found = re.search(r"^```\n(.*)\n```$", section, flags=re.M)
    assert found is not None, section
    return shlex.split(found[1], comments=True)
