"""Every faulty grid fails the check that fits it and is told what it is; every sound one passes all."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fixtures
import reference_samplers.grids
from fixtures.faulty_grids import FAULTY_GRIDS, FaultyGrid, state
from fixtures.faulty_grids.true_edits import INEXPRESSIBLE, OTHER_FIELDS, OTHER_GRIDS, SINGLE_EDITS, TRUE_FAULTS
from fixtures.sound_grids import SOUND_GRIDS
from reference_samplers.grids import (
    ALL_GRIDS,
    BetaTimes,
    EvenTimes,
    ExponentialLevels,
    FlowLogSNR,
    KarrasLevels,
    KLOptimalLevels,
    LevelsInTable,
    LinearQuadratic,
    LogitNormalTimes,
    PolyexponentialLevels,
    SizedTimes,
    SpacedTimesteps,
    StretchedTimes,
    VPLogSNR,
)
from sampler_harness import grid_under_test
from sampler_harness.catalogue import check_ids
from sampler_harness.diagnosis.known_faults import GRID_FAULTS, KNOWN_FAULTS, KnownFault
from sampler_harness.grids.evidence import GridEvidence
from sampler_harness.grids.tolerance import levels_in, tolerance_of
from sampler_harness.law.program import Program, source_text
from sampler_harness.runner import check_sampler
from sampler_harness.subject.grid import GridSubject
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Finding

BY_NAME = {faulty.name: faulty for faulty in FAULTY_GRIDS}
GOLDEN = json.loads((Path(str(fixtures.__path__[0])) / "golden" / "grids.json").read_text(encoding="utf-8"))
#: A field, and nothing.
FEW = ("ends-one-call-too-many", "state-appended-to-a-default")


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> None:
    """Grids that keep something from one call for the next have kept nothing when a test begins."""
    importlib.reload(state)


@functools.cache
def failures(path: str) -> tuple[Finding, ...]:
    """What fails or cannot be judged in a quick verdict, without a search."""
    verdict = check_sampler(load_subject(path), budget="quick", diagnose=False)
    return tuple(f for f in verdict.findings if f.outcome not in ("passed", "skipped"))


# Faulty ones


@pytest.mark.parametrize("faulty", FAULTY_GRIDS, ids=lambda f: f.name)
@pytest.mark.sampled(every=12)
def test_a_faulty_grid_fails_the_check_that_fits(faulty: FaultyGrid) -> None:
    found = failures(faulty.subject_path)
    failed = {f.id: f for f in found if f.outcome == "failed"}
    assert faulty.fails in failed, sorted(failed)
    assert failed[faulty.fails].consequence_of is None
    margin = failed[faulty.fails].margin
    assert margin is not None
    assert margin > 3
    assert [f for f in found if f.outcome == "error"] == []


def test_every_check_fails_a_faulty_grid() -> None:
    assert {faulty.fails for faulty in FAULTY_GRIDS} == set(check_ids("grid"))


def test_many_of_the_faults_are_real() -> None:
    assert len(FAULTY_GRIDS) >= 50
    assert len({bug for faulty in FAULTY_GRIDS for bug in faulty.bug_ids}) >= 9


def test_it_is_said_of_every_faulty_grid_what_it_is() -> None:
    said = [*TRUE_FAULTS, *OTHER_FIELDS, *OTHER_GRIDS, *SINGLE_EDITS, *INEXPRESSIBLE]
    assert sorted(said) == sorted(BY_NAME)


def assert_told(faulty: FaultyGrid) -> None:
    verdict = check_sampler(load_subject(faulty.subject_path), budget="quick")
    assert [f.id for f in verdict.causes] == [faulty.fails]
    found = verdict.diagnosis
    assert found is not None
    if faulty.name in INEXPRESSIBLE:
        assert not found.exact
        assert found.answers == ()
        return
    assert found.exact, found.summary
    first = found.answers[0]
    if faulty.name in TRUE_FAULTS:
        assert {edit.fault for edit in first.edits} == {TRUE_FAULTS[faulty.name]}
        assert first.effects
        assert "+++ your grid" in first.diff
    elif faulty.name in OTHER_FIELDS:
        assert dict(first.config) == OTHER_FIELDS[faulty.name]
    elif faulty.name in OTHER_GRIDS:
        assert first.reference == OTHER_GRIDS[faulty.name]
    else:
        assert SINGLE_EDITS[faulty.name] in first.edits[0].sampler


@pytest.mark.parametrize("name", FEW)
def test_the_truth_comes_first_or_nothing_does(name: str) -> None:
    assert_told(BY_NAME[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in FEW])
def test_the_truth_comes_first_or_nothing_does_for_all(name: str) -> None:
    assert_told(BY_NAME[name])


# Sound ones


@pytest.mark.parametrize("path", SOUND_GRIDS)
@pytest.mark.sampled(every=9)
def test_a_sound_grid_passes_all(path: str) -> None:
    subject = load_subject(path)
    verdict = check_sampler(subject, budget="quick")
    assert verdict.conforms, [(f.id, f.message) for f in failures(path)]
    assert verdict.margin is not None
    assert isinstance(subject, GridSubject)
    # A result that is rounded once in half precision has half an ulp of the two that are allowed, and float32's.
    assert verdict.margin < (1 / 2 if "bfloat16" in subject.dtypes else 1 / 3 + 1e-3)


def test_a_released_grid_that_has_not_as_many_levels_as_steps_is_told_as_a_note() -> None:
    subject = load_subject("fixtures.sound_grids.tables:ddim_uniform")
    verdict = check_sampler(subject, budget="quick")
    assert verdict.conforms
    [note] = verdict.notes
    assert "model calls here, as LevelsInTable itself has it" in note


@pytest.mark.parametrize("recorded", GOLDEN, ids=lambda r: f"{r['grid']}-{'-'.join(map(str, r['fields'].values()))}")
def test_a_grid_is_the_released_program_s(recorded: dict[str, Any]) -> None:
    config = vars(reference_samplers.grids)[recorded["grid"]](**recorded["fields"])
    should_be = np.array(recorded["levels"])
    assert should_be.shape == np.shape(config.levels)
    assert (np.abs(levels_in(config) - should_be) <= tolerance_of(config, "float32") / 3).all()


# The bank of known faults of grids

CONFIGURATIONS: tuple[Any, ...] = (
    EvenTimes(num_steps=7, shift=3.0),
    EvenTimes(num_steps=1, shift=3.0),
    SizedTimes(num_steps=5, tokens=1000),
    SizedTimes(num_steps=5, tokens=2000, mu_is="linear"),
    StretchedTimes(num_steps=6, shift=3.0),
    StretchedTimes(num_steps=3, shift=2.0, terminal=0.3),
    KarrasLevels(num_steps=6, rho=5.0),
    ExponentialLevels(num_steps=6),
    PolyexponentialLevels(num_steps=6, rho=2.0),
    KLOptimalLevels(num_steps=6),
    LinearQuadratic(num_steps=9),
    FlowLogSNR(num_steps=5, first_time=0.97),
    VPLogSNR(num_steps=5),
    LogitNormalTimes(num_steps=5, logit_mean=0.5),
    BetaTimes(num_steps=5, beta=0.8),
    LevelsInTable(num_steps=7),
    LevelsInTable(num_steps=38),
    LevelsInTable(num_steps=7, places="normal"),
    LevelsInTable(num_steps=150, places="beta"),
    LevelsInTable(num_steps=7, table="flow", shift=3.0),
    LevelsInTable(num_steps=6, places="sgm_uniform", table="flow", shift=3.0),
    SpacedTimesteps(num_steps=6, timestep_spacing="trailing"),
)


@functools.cache
def levels_with(fault: KnownFault | None) -> tuple[tuple[float, ...], ...]:
    """Levels in every configuration, with a fault in each whose source has it."""
    found = []
    for config in CONFIGURATIONS:
        program = Program(type(config))
        files = {function.place.file for function in program.functions.values()}
        if fault is not None and {one.file for one in fault.replacements} <= files:
            program = Program(type(config), fault.replacements)
        with np.errstate(all="ignore"):
            levels = np.asarray(program.configured(config).levels, dtype=np.float64)
        found.append(tuple(float(level) for level in levels))
    return tuple(found)


@pytest.mark.parametrize("fault", GRID_FAULTS, ids=lambda f: f.name)
@pytest.mark.sampled(every=6)
def test_a_known_fault_stands_once_and_changes_levels(fault: KnownFault) -> None:
    for one in fault.replacements:
        assert source_text(one.file).count(one.before) == 1
    assert levels_with(fault) != levels_with(None)
    assert fault.effect.endswith(".")
    assert ". " not in fault.effect


@pytest.mark.slow
def test_no_two_known_faults_of_grids_do_the_same() -> None:
    names = [fault.name for fault in (*GRID_FAULTS, *KNOWN_FAULTS)]
    assert len(set(names)) == len(names)
    same = [(a.name, b.name) for a, b in combinations(GRID_FAULTS, 2) if levels_with(a) == levels_with(b)]
    assert same == []
    assert len(GRID_FAULTS) >= 30


def test_every_part_of_a_grid_that_calculates_has_a_known_fault() -> None:
    files = {one.file for fault in (*GRID_FAULTS, *KNOWN_FAULTS) for one in fault.replacements}
    for kind in ALL_GRIDS:
        if kind.__name__ == "FlowMatchTimes":  # made of the others
            continue
        reached = {function.place.file for function in Program(kind).functions.values()}
        assert reached & files, kind.__name__


# What is said


def subject(name: str) -> GridSubject:
    found = load_subject(f"fixtures.faulty_grids.{name}")
    assert isinstance(found, GridSubject)
    return found


def test_every_number_of_steps_of_the_range_is_looked_at() -> None:
    evidence = GridEvidence(subject("flows:shifted_twice"), budget="quick")
    evidence.measure()
    assert {config.num_steps for config in evidence.configurations} >= set(range(1, 41))


def test_what_is_no_number_is_the_cause_of_all_that_follows() -> None:
    finite, *others = failures(BY_NAME["ends-single-step-divides-by-zero"].subject_path)
    assert finite.message.splitlines()[0] == "for 1 step level 0 is nan, should be 80"
    assert {one.consequence_of for one in others} == {"grid/finite"}


#: Of the faulty grids whose line is marked, how many are named right; of the others none is named.
LOOKED_RIGHT, LOOKED_WRONG = 32, 0


@pytest.mark.slow
def test_the_wrong_line_is_named_or_none() -> None:
    found = [look_of(faulty) for faulty in FAULTY_GRIDS]
    assert found.count("right") >= LOOKED_RIGHT
    assert found.count("wrong") == LOOKED_WRONG


@pytest.mark.parametrize(
    "name", ["ends-points-for-steps", "flows-shift-turned-over", "flows-last-set-and-not-stretched"]
)
def test_the_wrong_line_is_named(name: str) -> None:
    assert look_of(BY_NAME[name]) == "right"


def look_of(faulty: FaultyGrid) -> str:
    subject = load_subject(faulty.subject_path)
    lines, first = inspect.getsourcelines(subject.function)
    marked = {number for number, line in enumerate(lines, first) if "# wrong" in line}
    place = check_sampler(subject, budget="quick", diagnose=False).causes[0].place
    if place is None:
        return "none"
    same_file = Path(place.file).resolve() == Path(inspect.getfile(subject.function)).resolve()
    return "right" if same_file and place.line in marked else "wrong"


def test_what_raises_and_what_returns_no_levels_are_named_with_their_line() -> None:
    @grid_under_test(EvenTimes, num_steps=4)
    def raising(config: EvenTimes) -> list[float]:
        return [1 / (config.num_steps - 4)]  # type: ignore[operator]

    @grid_under_test(EvenTimes, num_steps=4)
    def of_two_axes(config: EvenTimes) -> torch.Tensor:
        levels = torch.linspace(1, 0, 5)
        return levels[None]

    for subject, text in ((raising, "return [1 / (config.num_steps - 4)]"), (of_two_axes, "return levels[None]")):
        [cause] = check_sampler(subject, budget="quick", diagnose=False).causes
        assert cause.place is not None
        assert cause.place.text.startswith(text)
        assert f"line {cause.place.line}, in {subject.name}: return" in cause.message
