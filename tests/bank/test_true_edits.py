"""The edits that are said to explain the faulty samplers do explain them: edited references have the same laws."""

from __future__ import annotations

import dataclasses
import importlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import reference_samplers
from fixtures.faulty_samplers import FAULTY, Faulty
from fixtures.faulty_samplers.true_edits import NOT_EXPRESSIBLE, TRUE_EDITS, TrueEdit
from sampler_harness.checks.evidence import Evidence, expected_calls
from sampler_harness.law.bundle import Bundle
from sampler_harness.law.comparison import compare
from sampler_harness.law.law import Law
from sampler_harness.law.replay import innovations, replay
from sampler_harness.law.response import AMPLITUDE, respond_reference
from sampler_harness.law.tolerance import PRECISIONS, tolerance_between
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.subject import Subject
from sampler_harness.targets import load_subject

from .edited_references import edited_references, text_of

#: Configurations of a subject that are compared, and the calls that a run of one may take.
ENOUGH = 7
LONGEST = 44


def edited_instance(edit: TrueEdit, package: ModuleType, config: Any) -> Any:
    """The edited reference in the configuration that the sampler was run in."""
    kind = vars(package)[edit.reference or type(config).__name__]
    known = {f.name for f in dataclasses.fields(kind) if f.init}
    given = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.init and f.name in known}
    return kind(**{**given, **edit.config})


def cases_of(evidence: Evidence) -> list[Case]:
    """A few short configurations from all over the covering set, the base among them.

    In float64, so that what is compared is the law and not its rounding.
    """
    short = [c for c in evidence.covering.configurations if expected_calls(c) <= LONGEST]
    places = np.unique(np.linspace(0, len(short) - 1, ENOUGH).round().astype(int))
    return [evidence.case(short[place], dtype="float64") for place in places]


def law_ratio(bundle: Bundle, program: Any) -> float:
    """The worst deviation of a sampler from a program's law, over the tolerance of float32."""
    law = Law.of(respond_reference(program, learned_variance=learned_variance(bundle.case.config)))
    deviations = compare(bundle.law, law, tolerance_between(law, "float32"), last_row=bundle.last_row)
    return max(deviation.ratio for deviation in deviations)


def large_values_ratio(bundle: Bundle, program: Any) -> float:
    """The worst deviation of a sampler from a program at large values, where clamps bite, over a thousandth."""
    case = bundle.case
    dense = bundle.dense
    assert not isinstance(dense, Problem)
    fresh = innovations(bundle.first.response, dense.fields, PRECISIONS[case.dtype].unit)
    rows = replay(program, case.shape, dense.outputs, fresh, learned_variance=learned_variance(case.config))
    assert rows is not None
    assert rows.shape == dense.rows.shape
    size = np.abs(rows) + np.sqrt(np.mean(rows**2, axis=1, keepdims=True))
    return float((np.abs(dense.rows - rows) / (1e-3 * size)).max())


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda f: f.name)
def test_every_faulty_sampler_has_an_edit_or_a_reason(faulty: Faulty) -> None:
    assert (faulty.name in TRUE_EDITS) != (faulty.name in NOT_EXPRESSIBLE)


def test_nothing_else_is_told_of() -> None:
    assert {*TRUE_EDITS, *NOT_EXPRESSIBLE} == {f.name for f in FAULTY}
    assert len(TRUE_EDITS) >= 55
    assert all(NOT_EXPRESSIBLE.values())


@pytest.mark.parametrize("name", TRUE_EDITS)
def test_what_is_replaced_stands_exactly_once(name: str) -> None:
    edit = TRUE_EDITS[name]
    assert edit.replacements or edit.config
    for one in edit.replacements:
        assert text_of(one.file).count(one.before) == 1
        assert one.before != one.after


@pytest.mark.parametrize("name", TRUE_EDITS)
@pytest.mark.sampled(first_of="file")
def test_a_faulty_sampler_does_what_its_reference_does_once_edited(name: str) -> None:
    edit = TRUE_EDITS[name]
    faulty = next(f for f in FAULTY if f.name == name)
    subject = load_subject(faulty.subject_path)
    assert isinstance(subject, Subject)
    evidence = Evidence(subject, budget="quick")
    cases = cases_of(evidence)
    assert len(cases) >= min(3, len(evidence.covering.configurations))
    found: list[float] = []
    away = 0.0
    with edited_references(edit.replacements) as package:
        for case in cases:
            bundle = evidence.bundle(case)
            instance = edited_instance(edit, package, case.config)
            assert bundle.problem is None
            ratios = [large_values_ratio] if name.startswith("clip-") else []
            # A constant swallows impulses; what rounds then has no law that is read at both amplitudes alike.
            if bundle.amplitude == AMPLITUDE or not ratios:
                ratios.append(law_ratio)
            found += [ratio(bundle, instance) for ratio in ratios]
            away = max(away, *(ratio(bundle, case.config) for ratio in ratios))
    assert max(found) <= 1
    assert away > 1, "the reference as it stands explains the sampler: there is nothing to edit"


def test_an_edit_leaves_the_references_alone() -> None:
    with edited_references(TRUE_EDITS["edm-initial-noise-unscaled"].replacements) as package:
        assert package.EDM is not reference_samplers.EDM
    assert importlib.import_module("reference_samplers.edm").EDM is reference_samplers.EDM
