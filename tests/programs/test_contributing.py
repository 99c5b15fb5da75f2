"""CONTRIBUTING.md is true: each recipe is carried out word for word, in a copy of the repository.

A fenced block with ``title=`` is a file, or what is put ``after=``, ``before=`` or ``instead=`` of a text that stands
exactly once in it; one with ``red=`` or ``green`` is a command, and what must come of it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2]
PAGE = FOLDER / "CONTRIBUTING.md"
_PAIR = re.compile(r'(\w+)(?:=("(?:\\.|[^"\\])*"))?')
_BLOCK = re.compile(r"^```(\w+)[ ]([^\n]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One block of a recipe."""

    options: dict[str, str]
    text: str


def recipes() -> dict[str, list[Step]]:
    """The steps below each heading."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        found[title] = [
            Step({name: json.loads(value) if value else "" for name, value in _PAIR.findall(told)}, text)
            for _, told, text in _BLOCK.findall(body)
        ]
    return found


RECIPES = recipes()


def copied(folder: Path) -> Path:
    """The repository's files as they are now, those that git does not know yet included."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listed, cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, done.stdout.split("\0")):
        if (FOLDER / name).is_file():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(FOLDER / name, place)
    return folder


def put(step: Step, root: Path) -> None:
    file = root / step.options["title"]
    how = next((name for name in ("after", "before", "instead") if name in step.options), None)
    if how is None:
        assert not file.exists(), f"{file.name} is there already"
        file.write_text(step.text, encoding="utf-8")
        return
    text, anchor = file.read_text(encoding="utf-8"), step.options[how]
    places = [m.start() for m in re.finditer(rf"^{re.escape(anchor)}", text, re.MULTILINE)]
    assert len(places) == 1, f"{anchor!r} stands {len(places)} times in {file.name}"
    at, end = places[0], text.index("\n", places[0] + len(anchor)) + 1
    start, stop = {"after": (end, end), "before": (at, at), "instead": (at, end)}[how]
    file.write_text(text[:start] + step.text + text[stop:], encoding="utf-8")


def run(step: Step, root: Path) -> subprocess.CompletedProcess[str]:
    [line] = step.text.strip().splitlines()
    assert line.startswith(".venv/bin/python ")
    command = [sys.executable, *shlex.split(line)[1:], "-p", "no:cacheprovider", "-p", "no:randomly"]
    return subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "harness"), str(root)])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_are_three_recipes_and_each_begins_red() -> None:
    assert set(RECIPES) == {"A fault", "A check", "A sampler"}
    for steps in RECIPES.values():
        commands = [step for step in steps if "title" not in step.options]
        assert "red" in commands[0].options
        assert "green" in commands[-1].options
        assert all(len({"red", "green"} & set(step.options)) == 1 for step in commands)


@pytest.mark.parametrize("title", RECIPES)
@pytest.mark.slow
def test_a_recipe_is_true(title: str, tmp_path: Path) -> None:
    root = copied(tmp_path)
    for step in RECIPES[title]:
        if "title" in step.options:
            put(step, root)
            continue
        done = run(step, root)
        told = done.stdout + done.stderr
        if "green" in step.options:
            assert done.returncode == 0, f"{step.text}\n{told[-3000:]}"
        else:
            assert done.returncode in (1, 2), f"{step.text}\n{told[-3000:]}"
            assert step.options["red"] in told, told[-3000:]
    # What the page shows is as clean as the rest.
    checked = [str(root / s.options["title"]) for s in RECIPES[title] if s.options.get("title", "").endswith(".py")]
    ruff = [sys.executable, "-m", "ruff"]
    for more in (["check"], ["format", "--check"]):
        clean = subprocess.run([*ruff, *more, *dict.fromkeys(checked)], cwd=root, capture_output=True, text=True)
        assert clean.returncode == 0, clean.stdout + clean.stderr
