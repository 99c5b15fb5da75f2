"""Real samplers: ours, DIAMOND's as released, and two formulas that must have one law."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from fixtures.golden.configurations import DIAMOND, FOLDER
from reference_samplers import ALL_REFERENCES, DDPM, EDM
from sampler_harness import sampler_under_test
from sampler_harness.law.law import Law, row_echelon
from sampler_harness.measuring import respond
from sampler_harness.runner import Assessment, check_sampler
from sampler_harness.targets import load_sampler, load_subjects
from tests import small_samplers

from .nothing_told import nothing_is_told_of

OURS = "fixtures.torch_samplers.under_test"


@pytest.mark.parametrize("name", [s.name for s in load_subjects(OURS)])
@pytest.mark.sampled(every=9)
def test_our_torch_samplers_conform(name: str) -> None:
    nothing_is_told_of(f"{OURS}:{name}")


def test_every_reference_has_a_torch_sampler_that_is_held_to_it() -> None:
    """A reference that nothing was ever held against may be impossible to meet."""
    declared = [*load_subjects(OURS), *load_subjects("fixtures.wraps.score_sde")]
    met = {subject.reference_name for subject in declared}
    assert {reference.__name__ for reference in ALL_REFERENCES} <= met


@pytest.mark.parametrize("name", DIAMOND)
def test_the_transcription_of_diamond_is_the_released_one(name: str) -> None:
    data = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    options = data["config"]
    config = EDM(
        num_steps=options["num_steps_denoising"],
        sigma_min=2e-3,
        sigma_max=5.0,
        solver="heun" if options.get("order") == 2 else "euler",
        s_churn=options.get("s_churn", 0.0),
    )
    response = respond(load_sampler("fixtures.faulty_samplers.diamond:diamond"), config)
    law = Law.of(response, precision=2.0**-24)
    factor, opened, _ = row_echelon(np.array(data["noise_factor"]))
    assert np.allclose(response.times, data["times"], rtol=1e-6)
    assert np.allclose(response.outputs, data["output_coefficients"], rtol=1e-4, atol=1e-4)
    assert law.opened == opened
    assert np.allclose(law.factor, factor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("s_churn", "steps", "got", "should_be"),
    # With gamma = 0.4 the first input has std sqrt(1 + 24) = 5: it looks right by accident.
    [(0.0, 3, 1.0, 5.0), (2.0, 5, 5.0, 7.0), (4.0, 5, np.sqrt(26), 5 * np.sqrt(2))],
)
def test_diamond_starts_from_the_wrong_scale(s_churn: float, steps: int, got: float, should_be: float) -> None:
    config = EDM(num_steps=steps, sigma_min=2e-3, sigma_max=5.0, s_churn=s_churn)
    assessment = Assessment(load_sampler("fixtures.faulty_samplers.diamond:diamond"), budget="quick")
    evidence = assessment.sampler_evidence
    deviations = {d.term: d for d in evidence.compared(evidence.case(config)) if d.row == 0 and d.ratio > 1}
    assert deviations["initial-noise"].got == pytest.approx(got, rel=1e-4)
    assert deviations["initial-noise"].should_be == pytest.approx(should_be, rel=1e-6)
    if s_churn:
        assert deviations["time"].got == pytest.approx(5.0, rel=1e-5)
        assert deviations["time"].should_be == pytest.approx(should_be, rel=1e-6)
    else:
        assert "time" not in deviations


@pytest.mark.slow
def test_diamond_does_not_conform_and_both_defects_are_causes() -> None:
    verdict = check_sampler(load_sampler("fixtures.faulty_samplers.diamond:diamond"), budget="quick")
    causes = {f.id for f in verdict.findings if f.outcome == "failed" and f.consequence_of is None}
    assert causes == {"law/times", "law/initial-noise"}


def test_ddim_with_eta_one_and_ddpm_have_one_law() -> None:
    """Song et al. 2021, section 4.1: our torch DDIM at eta = 1 against our torch DDPM, both as measured."""
    ddpm = load_sampler(f"{OURS}:ddpm")
    verdict = check_sampler(
        small_samplers.ddim_ancestral, budget="quick", against=ddpm, checks={"law/outputs", "law/noise"}
    )
    assert verdict.conforms
    assert verdict.margin is not None
    assert verdict.margin < 0.1
    one, two = (Law.of(respond(s, DDPM(num_steps=10), dtype="float64")) for s in (ddpm, small_samplers.ddim_ancestral))
    assert one.opened == two.opened
    assert np.allclose(one.factor, two.factor, rtol=1e-9, atol=1e-9)
    assert np.allclose(one.outputs, two.outputs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
@pytest.mark.parametrize("steps", [7, 61])
def test_a_grid_whose_last_level_moves_is_not_flagged_by_limits(name: str, steps: int) -> None:
    """Trailing spacing: 10 to 40 steps are not asymptotic, and the reference itself shows it."""
    subject = load_sampler(f"{OURS}:{name}")
    trailing = dataclasses.replace(subject, fields={"timestep_spacing": "trailing", "num_steps": st.integers(1, steps)})
    verdict = check_sampler(trailing, budget="quick", checks={"limit/gaussian", "limit/order"})
    assert [f.message for f in verdict.findings if f.outcome not in ("passed", "skipped")] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"num_steps": st.integers(1, 22)},
        {"num_steps": st.integers(1, 60), "solver": "euler", "rho": 1.5, "sigma_min": 0.0002, "sigma_max": 500.0},
        {"num_steps": st.integers(1, 41), "solver": "euler", "rho": 3.0, "sigma_min": 0.0002, "sigma_max": 500.0},
    ],
    ids=["few-steps", "even-grid", "wide-grid"],
)
@pytest.mark.sampled(every=3)
def test_a_sound_sampler_is_not_flagged_where_steps_are_few(fields: dict[str, Any]) -> None:
    """Each of these was flagged once: with few steps errors do not yet fall by the method's order."""
    subject = sampler_under_test(EDM, **fields)(load_sampler(f"{OURS}:edm").function)
    verdict = check_sampler(subject, budget="quick", checks={"limit/gaussian", "limit/order"})
    assert all(finding.outcome in ("passed", "skipped") for finding in verdict.findings)
    assert all(finding.margin is None or finding.margin <= 1 / 3 for finding in verdict.findings)
