"""The programs of ``scripts``: each has a target and a line in the README, and the comparison of verdicts sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sampler_harness import strategies
from sampler_harness.adapters.diffusers_options import known_options
from sampler_harness.adapters.diffusers_varied import REFERENCED
from sampler_harness.importing import TargetError
from sampler_harness.targets import load_subjects
from scripts import false_alarms
from scripts.verdicts import main, moved, stated

ROOT = Path(__file__).parents[2]
PROGRAMS = [path for path in (ROOT / "scripts").glob("*.py") if "def main" in path.read_text(encoding="utf-8")]
VERDICT = {
    "conforms": True,
    "seconds": 1.0,
    "margin": 0.25,
    "checks": [{"message": "at <f at 0x7f01>", "margin": 1e-9}],
}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_has_a_target_and_a_line_in_the_readme(path: Path) -> None:
    assert f"-m scripts.{path.stem}" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"`{path.name}`" in (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({}, []),
        ({"seconds": 7.0}, []),
        ({"margin": 0.250001}, []),
        ({"margin": 0.26}, [".margin"]),
        ({"margin": float("inf")}, [".margin"]),
        ({"margin": None}, [".margin"]),
        ({"conforms": False}, [".conforms"]),
        ({"checks": [{"message": "at <f at 0x7f99>", "margin": 1e-9}]}, []),
        ({"checks": [{"message": "at g", "margin": 2e-9}]}, [".checks[0].margin", ".checks[0].message"]),
        ({"checks": []}, [".checks"]),
        ({"more": 1}, [".more"]),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_moved_is_seen_and_nothing_else(changed: dict[str, Any], where: list[str]) -> None:
    assert [place for place, _, _ in moved(stated(VERDICT), stated({**VERDICT, **changed}))] == where


def test_a_comparison_is_red_where_something_moved_or_nothing_was_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for number, found in enumerate([{"one": VERDICT}, {"one": {**VERDICT, "conforms": False}}, {"other": VERDICT}]):
        files.append(str(tmp_path / f"{number}.json"))
        Path(files[-1]).write_text(json.dumps(found), encoding="utf-8")
    first, changed, other = files
    assert [main(["--diff", first, second]) for second in files] == [0, 1, 1]
    told = capsys.readouterr().out
    assert "moved  one\n    .conforms\n      - True\n      + False\n" in told
    assert f"only in {other}: other\n0 subjects in both, 0 moved\n" in told
    assert main(["--diff", changed, changed]) == 0


def test_a_sweep_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategies, "START", strategies.START)  # put back afterwards
    log = tmp_path / "sweep.log"
    known = "fixtures.sound_data.with_torch:mean_of_channels, quick, from 1"
    log.write_text(f"conforms {known}: 585 configurations, margin 0.0126, 1 s\nFLAGGED  other, quick, from 1: no\n")
    assert false_alarms.earlier(log) == {known}
    assert false_alarms.earlier(tmp_path / "none.log") == frozenset()
    wanted = ["with_torch:mean_of_channels", "with_torch:gray_frames"]
    assert false_alarms.main([*wanted, "--starts", "1", "--log", str(log)]) == 0
    told = capsys.readouterr().out
    assert "1 targets, 1 verdicts" in told
    assert "0 flagged" in told
    assert len(false_alarms.earlier(log)) == 2


@pytest.mark.parametrize("scheduler", REFERENCED)
def test_every_option_of_every_scheduler_has_values_that_are_tried(scheduler: str) -> None:
    asked = list(false_alarms.settings_of(scheduler))
    assert set(known_options(scheduler)) == {name for settings in asked for name in settings}


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", REFERENCED)
def test_an_option_that_is_not_tried_is_refused_by_name(scheduler: str) -> None:
    for settings in false_alarms.settings_of(scheduler):
        try:
            assert load_subjects(f"diffusers:{scheduler}", settings)
        except TargetError as error:
            refusal = str(error)
        else:
            continue
        assert settings, "a scheduler as it is constructed has a reference"
        assert any(f"{name}=" in refusal or f"{name} has no counterpart" in refusal for name in settings), refusal
