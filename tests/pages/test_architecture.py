"""ARCHITECTURE.md names files, rooms and tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sampler_harness.catalogue import check_ids
from tests.unit.test_layers import EDGES

FOLDER = Path(__file__).parents[2]
TEXT = (FOLDER / "ARCHITECTURE.md").read_text(encoding="utf-8")
#: What a path may be relative to, as the page says.
ROOTS = (FOLDER, FOLDER / "harness" / "sampler_harness", FOLDER / "reference_samplers")
#: What a user's own file and a target are called there.
NOT_OURS = {"file.py:name", "file.py::name::law/noise", "diffusers:NAME"}
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", TEXT)) - NOT_OURS)
PATHS = [one for one in QUOTED if " " not in one and (one.endswith((".py", ".toml", "/")) or "*" in one)]


@pytest.mark.parametrize("path", PATHS)
def test_a_file_that_is_named_is_there(path: str) -> None:
    places = [root for root in ROOTS if any(root.glob(path.rstrip("/")))]
    assert places or any(FOLDER.glob(f"fixtures/*/{path}")), path


def test_every_room_is_told_of() -> None:
    rooms = TEXT.partition("## The rooms")[2].partition("\n## ")[0]
    assert [room for room in EDGES if f"`{room}/`" not in rooms and f"`{room}.py`" not in rooms] == []


def test_the_tests_that_are_named_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    there = {
        name
        for file in (FOLDER / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named
    assert named <= there


def test_functions_of_checks_that_are_named_are_there() -> None:
    named = set(re.findall(r"`check_(\w+)`", TEXT))
    assert named <= {id.partition("/")[2].replace("-", "_") for id in check_ids()}


def test_it_is_a_page_and_a_half() -> None:
    assert len(TEXT.splitlines()) <= 120
