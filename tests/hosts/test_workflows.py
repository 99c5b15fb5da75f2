"""The scheduled workflow tries what pyproject.toml promises, and may write nothing; CI leaves no test out."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEDULED: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "scheduled.yml").read_text("utf-8"))
CELLS: list[dict[str, str]] = SCHEDULED["jobs"]["suite"]["strategy"]["matrix"]["include"]
PYTHONS = [
    name.rpartition(" ")[2]
    for name in PROJECT["classifiers"]
    if name.startswith("Programming Language :: Python :: 3.")
]
#: What the extras of users ask for; those of this project's own developers are pinned as they like.
EXTRAS = sorted({one for name, needs in PROJECT["optional-dependencies"].items() if name != "dev" for one in needs})


def lower_bound(requirement: str) -> tuple[str, str]:
    """Name and lowest version of a dependency that gives nothing but that."""
    need = Requirement(requirement)
    (only,) = need.specifier
    assert only.operator == ">=", requirement
    return need.name, only.version


def test_the_lowest_cell_is_the_bounds_on_the_oldest_python() -> None:
    (lowest,) = [cell for cell in CELLS if cell["versions"] == "lowest"]
    bounds = [f"{name}=={version}.*" for name, version in map(lower_bound, PROJECT["dependencies"])]
    assert lowest["core"].split() == bounds
    assert f">={lowest['python']}" == PROJECT["requires-python"]
    assert lowest["python"] == PYTHONS[0]
    extras = {f"{name}=={version}.*" for name, version in map(lower_bound, EXTRAS)}
    assert set(lowest["extras"].split()) == extras


def test_the_newest_cells_bound_nothing_and_are_on_both_ends_of_python() -> None:
    newest = [cell for cell in CELLS if cell["versions"] == "newest"]
    assert [cell["python"] for cell in newest] == [PYTHONS[0], PYTHONS[-1]]
    for cell in newest:
        assert cell["core"].split() == [Requirement(one).name for one in PROJECT["dependencies"]]
        assert set(cell["extras"].split()) == {Requirement(one).name for one in EXTRAS}
    assert len(CELLS) == 3


def test_it_runs_weekly_and_by_hand() -> None:
    # YAML 1.1 reads the key `on` as true.
    triggers = SCHEDULED[True]
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    (one,) = triggers["schedule"]
    minute, hour, day, month, weekday = one["cron"].split()
    assert (day, month) == ("*", "*")
    assert all(part.isdigit() for part in (minute, hour, weekday))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_nothing_else(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert "continue-on-error" not in job
        assert job["timeout-minutes"] <= 60
        assert all("continue-on-error" not in step for step in job["steps"])


def test_continuous_integration_runs_every_test() -> None:
    """What ``.ci/run`` would run: the suite once, without a choice; slow tests are left out by ``make test`` alone."""
    assert "make check" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    def suites(target: str) -> list[str]:
        dry = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [line.partition("pytest")[2] for line in dry.splitlines() if "-m pytest" in line]

    assert suites("check") == suites("test-all")
    [everything], [awaited] = suites("test-all"), suites("test")
    assert "not slow" not in everything
    assert '-m "not slow"' in awaited
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert "-m" not in options["addopts"]
