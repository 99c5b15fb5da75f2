"""Which answers a diagnosis gives: one that explains every configuration, NaN among them, and in true words."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from fixtures.torch_samplers import under_test
from reference_samplers import DDIM, EDM, FlowEuler
from sampler_harness import sampler_under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis import diagnose as room
from sampler_harness.diagnosis.answers import Answer, laws_of, same_laws
from sampler_harness.diagnosis.compared import lawless_of
from sampler_harness.diagnosis.explanation import Explanation
from sampler_harness.diagnosis.target import Lawless, Target
from sampler_harness.diagnosis.undecided import settled_by
from sampler_harness.law.program import source_text
from sampler_harness.law.tolerance import reference_law, tolerance_of
from sampler_harness.observe.trace import Case
from sampler_harness.report.json import to_json
from sampler_harness.report.terminal import diagnosis_lines
from sampler_harness.report.words import sureness
from sampler_harness.runner import check_sampler
from sampler_harness.subject import Subject
from sampler_harness.verdict import Diagnosis
from sampler_harness.verdict import Explanation as Told

#: Everything that a wrap of a Heun sampler can pass, as ranges.
WIDE: dict[str, Any] = {
    "num_steps": st.integers(1, 40),
    "sigma_min": st.floats(0.001, 0.1),
    "sigma_max": st.floats(1.0, 160.0),
    "rho": st.floats(1.0, 9.0),
    "s_churn": st.floats(0, 80),
    "s_tmin": st.floats(0, 1.0),
    "s_tmax": st.floats(1.0, 100.0),
    "s_noise": st.floats(0.9, 1.1),
    "solver": "heun",
}


def diagnosed(subject: Subject) -> Diagnosis:
    diagnosis = check_sampler(subject, budget="quick").diagnosis
    assert diagnosis is not None
    assert "failed with" not in diagnosis.unsearched
    return diagnosis


def text_of(diagnosis: Diagnosis) -> str:
    return " ".join(" ".join(line.text for line in diagnosis_lines(diagnosis)).split())


def told(shape: tuple[int, ...], sigma: Any, dtype: torch.dtype) -> Tensor:
    return torch.full((shape[0],), float(sigma), dtype=dtype)


def euler(model: Any, x: Tensor, visited: Any) -> Tensor:
    """Euler's method on given levels."""
    for sigma, after in pairwise(visited):
        x = x + (after - sigma) * (x - model(x, told(x.shape, sigma, x.dtype))) / sigma
    return x


# What every configuration has to bear out


def second_slope_over_own_first_level(
    model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """As k-diffusion writes Heun's method, in float32 throughout; the second slope is divided by the first level."""
    levels = torch.as_tensor(config.sigma_grid, dtype=torch.float32)
    x = torch.randn(shape, device=device, dtype=dtype) * levels[0]
    for sigma, after in pairwise(levels):
        inside = config.s_tmin <= sigma <= config.s_tmax
        gamma = min(config.s_churn / (len(levels) - 1), 2**0.5 - 1) if inside else 0.0
        drawn = torch.randn_like(x) * config.s_noise
        raised = sigma * (gamma + 1)
        if gamma > 0:
            x = x + drawn * (raised**2 - sigma**2) ** 0.5
        slope = (x - model(x, told(shape, raised, dtype))) / raised
        moved = x + slope * (after - raised)
        if after > 0:
            second = (moved - model(moved, told(shape, after, dtype))) / sigma
            moved = x + (slope + second) / 2 * (after - raised)
        x = moved
    return x


@pytest.mark.slow
def test_the_right_edit_is_found_where_grid_and_churn_vary_together() -> None:
    diagnosis = diagnosed(sampler_under_test(EDM, **WIDE)(second_slope_over_own_first_level))
    assert diagnosis.exact
    [edit] = diagnosis.answers[0].edits
    assert edit.sampler == "d_prime = (x - denoised(x, sigma_next)) / sigma_cur  # line 10"


def test_no_tolerance_is_derived_for_what_is_far_off() -> None:
    """A derived tolerance may be a hundred times the floor; what is further off than any is refused before."""
    evidence = Evidence(under_test.edm, budget="quick")
    target = next(t for t in room.targets_of(evidence) if t.law.num_calls > 2)
    assert not target.is_hopeless(target.reference_law)
    outputs = target.reference_law.outputs
    for factor, hopeless in ((1.05, False), (2.0, True)):
        other = type(target.reference_law)(**{**vars(target.reference_law), "outputs": factor * outputs})
        assert target.is_hopeless(other) is hopeless


def of_few_steps(run: Any) -> Subject:
    """A sampler that a single step is asked of, too."""
    return sampler_under_test(EDM, num_steps=st.integers(1, 12), solver="euler")(run)


def _nan_for_one_step(config: EDM) -> list[float]:
    """Levels whose ramp is divided by the number of steps less one."""
    ramp = torch.arange(config.num_steps, dtype=torch.float64) / (config.num_steps - 1)
    high, low = config.sigma_max ** (1 / config.rho), config.sigma_min ** (1 / config.rho)
    return [*((high + ramp * (low - high)) ** config.rho).tolist(), 0.0]


def nan_beside_unscaled_noise(
    model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Two faults: with one step the grid is NaN, with more the first noise is not scaled."""
    return euler(model, torch.randn(shape, device=device, dtype=dtype), _nan_for_one_step(config))


def stops_beside_unscaled_noise(
    model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Two faults: with one step it stops with an error, with more the first noise is not scaled."""
    assert config.num_steps > 1, "a single step is not supported"
    return euler(model, torch.randn(shape, device=device, dtype=dtype), config.sigma_grid.tolist())


def nan_alone(model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
    """With one step the grid is NaN; with more all is right."""
    levels = _nan_for_one_step(config)
    return euler(model, torch.randn(shape, device=device, dtype=dtype) * levels[0], levels)


#: Not remembered by its function: where lines of this file are edited, what its functions remember is forgotten.
_DIAGNOSED: dict[Any, Diagnosis] = {}


def diagnosed_of_few_steps(run: Any) -> Diagnosis:
    if run not in _DIAGNOSED:
        _DIAGNOSED[run] = diagnosed(of_few_steps(run))
    return _DIAGNOSED[run]


@pytest.mark.xdist_group("nan-beside-unscaled-noise")
@pytest.mark.parametrize("run", [nan_beside_unscaled_noise, stops_beside_unscaled_noise])
@pytest.mark.sampled(every=2)
def test_an_answer_that_leaves_out_nan_or_an_error_is_not_exact(run: Any) -> None:
    diagnosis = diagnosed_of_few_steps(run)
    assert not diagnosis.exact
    assert not diagnosis.answers
    [near] = diagnosis.near
    assert "initial-noise-unscaled" in near.summary
    assert "in which your sampler gives numbers, but not where it gives none" in near.summary
    assert "Sure" not in text_of(diagnosis)


def test_an_error_that_no_number_makes_is_no_nan() -> None:
    """A line that is gone raises where another one reads its name: NaN is not explained by it, nor it by NaN."""
    file = "reference_samplers/edm.py"
    line = "            gamma = self.gamma(sigma_cur)\n"
    assert line in source_text(file)
    gone = Explanation("edit", EDM, texts={file: source_text(file).replace(line, "")})
    nan = Explanation("edit", EDM, texts={file: source_text(file).replace(line, line.replace("self", "np.nan * self"))})
    config = EDM(num_steps=3)
    of_nan, of_number = Lawless(config, 5, is_error=False), Lawless(config, 5, is_error=True)
    of_code = Lawless(config, 5, is_error=True, is_of_code=True)
    assert [one.has_none_either(of_nan) for one in (gone, nan)] == [False, True]
    assert [one.has_none_either(of_number) for one in (gone, nan)] == [False, True]
    assert [one.has_none_either(of_code) for one in (gone, nan)] == [True, False]
    none = Explanation("edit", EDM, texts={file: source_text(file).replace("pairwise(self.sigma_grid)", "()")})
    assert [none.has_none_either(one) for one in (of_nan, of_number, of_code)] == [False, True, False]


def test_an_unknown_name_beside_another_fault_is_of_the_code() -> None:
    @sampler_under_test(EDM, num_steps=st.integers(1, 6))
    def stops(model: Any, shape: Any, config: EDM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        if config.num_steps == 1:
            return config.grid_of_one  # type: ignore[attr-defined,no-any-return]  # the fault
        return nan_beside_unscaled_noise(model, shape, config, device=device, dtype=dtype)

    evidence = Evidence(stops, budget="quick")
    evidence.measure()
    assert {(one.config.num_steps, one.is_error, one.is_of_code) for one in lawless_of(evidence)} == {(1, True, True)}


@pytest.mark.slow
def test_of_nan_alone_no_line_is_named() -> None:
    diagnosis = diagnosed(of_few_steps(nan_alone))
    assert not diagnosis.answers
    assert not diagnosis.near
    assert "makes NaN out of numbers" in text_of(diagnosis)


def test_of_draws_that_are_not_normal_no_line_is_named() -> None:
    """They stand in no column of the law, so that an edit that draws nothing would have it."""

    @sampler_under_test(EDM, num_steps=st.integers(2, 12), s_churn=st.floats(2, 20), solver="euler")
    def uniform(model: Any, shape: Any, config: EDM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        x: Tensor = torch.randn(shape, device=device, dtype=dtype) * config.sigma_grid[0]
        for sigma, after in pairwise(config.sigma_grid.tolist()):
            raised = sigma * (1 + float(config.gamma(sigma)))
            x = x + (torch.rand_like(x) - 0.5) * max(raised**2 - sigma**2, 0.0) ** 0.5
            x = x + (after - raised) * (x - model(x, told(shape, raised, dtype))) / raised
        return x

    diagnosis = diagnosed(uniform)
    assert not diagnosis.answers
    assert not diagnosis.near
    assert "the noise is not Gaussian" in text_of(diagnosis)


@pytest.mark.slow
@pytest.mark.parametrize(("final", "says"), [("first", False), ("one", True)])
def test_a_clamp_is_told_where_the_last_step_ends_in_data(final: Any, says: bool) -> None:
    """Behind the level of the first timestep the sample holds what the clamp left: no clamp at 1.005, times 0.995."""

    @sampler_under_test(DDIM, clip_denoised=True, num_train_timesteps=20, beta_start=0.01, beta_end=0.3)
    def clamped_elsewhere(model: Any, shape: Any, config: DDIM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        x: Tensor = torch.randn(shape, device=device, dtype=dtype)
        for t, after in config.transitions:
            level = float(config.alpha_bar[t])
            level_next = float(config.alpha_bar[after]) if after or final == "one" else float(config.alpha_bar[1])
            time = torch.full((shape[0],), t - 1, dtype=torch.int64)
            data = (x - (1 - level) ** 0.5 * model(x, time)) / level**0.5
            data = data.clamp(-0.9, 0.9) if says else data.clamp(-1, 1)
            epsilon = (x - level**0.5 * data) / (1 - level) ** 0.5
            x = level_next**0.5 * data + max(1 - level_next, 0.0) ** 0.5 * epsilon
        return x

    assert ("clamps at" in text_of(diagnosed(clamped_elsewhere))) is says


# How it is told


def two_odd_things(model: Any, shape: Any, config: EDM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
    """No edit of a line: the level that the model is told forgets the churn every other step, and x0 is curved."""
    x: Tensor = torch.randn(shape, device=device, dtype=dtype) * config.sigma_grid[0]
    for number, (sigma, after) in enumerate(pairwise(config.sigma_grid.tolist())):
        raised = sigma * (1 + float(config.gamma(sigma)))
        x = x + torch.randn_like(x) * (max(raised**2 - sigma**2, 0.0) ** 0.5 * (1 + 0.1 * math.sin(number + 1)))
        x = x + (after - raised) * (x - (1 - 0.1 * number) * model(x, told(shape, raised, dtype))) / raised
    return x


@pytest.mark.slow
def test_near_answers_differ_name_lines_and_claim_nothing() -> None:
    diagnosis = diagnosed(
        sampler_under_test(EDM, num_steps=st.integers(2, 12), s_churn=st.floats(2, 20), solver="euler")(two_odd_things)
    )
    assert not diagnosis.answers
    summaries = [one.summary for one in diagnosis.near]
    assert len(set(summaries)) == len(summaries)
    for summary in summaries:
        assert "exactly" not in summary
        assert "100%" not in summary
        assert "of the 2" in summary or "model input" in summary
    assert all(one.config or "`" in one.summary for one in diagnosis.near)


@pytest.mark.xdist_group("nan-beside-unscaled-noise")
def test_what_it_does_to_samples_names_the_configuration() -> None:
    diagnosis = diagnosed_of_few_steps(nan_beside_unscaled_noise)
    assert diagnosis.consequences
    assert all("EDM(num_steps=" in told for told in diagnosis.consequences)


@pytest.mark.slow
def test_a_search_that_raises_ends_in_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checks found stands, the error is named, and nothing is claimed."""

    def broken(self: Target) -> float:
        raise KeyError("of the harness")

    monkeypatch.setattr(Target, "reference_ratio", property(broken))
    verdict = check_sampler(of_few_steps(nan_beside_unscaled_noise), budget="quick")
    assert not verdict.conforms
    diagnosis = verdict.diagnosis
    assert diagnosis is not None
    assert not diagnosis.exact
    assert not diagnosis.answers
    assert "the search itself failed with KeyError: 'of the harness'" in diagnosis.unsearched
    assert "please report this" in sureness(diagnosis) + text_of(diagnosis)
    assert to_json(verdict)["diagnosis"]["unsearched"] == diagnosis.unsearched


def test_where_nothing_was_searched_nobody_says_that_nothing_explains_it() -> None:
    @sampler_under_test(EDM, num_steps=2)
    def stops(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> Tensor:
        raise RuntimeError("no such thing")

    diagnosis = diagnosed(stops)
    assert diagnosis.unsearched
    assert not diagnosis.searched
    assert "that was tried" not in text_of(diagnosis) + diagnosis.summary


def bent_at_the_end(
    model: Any, shape: tuple[int, ...], config: FlowEuler, *, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """The model is told the next time, and what is returned goes through a tanh."""
    x = torch.randn(shape, device=device, dtype=dtype)
    for time, after in pairwise(config.time_grid):
        x = x + (after - time) * model(x, told(shape, after, dtype))
    return torch.tanh(x)


@pytest.mark.slow
def test_what_bends_the_returned_sample_is_told_beside_the_line() -> None:
    diagnosis = diagnosed(sampler_under_test(FlowEuler, num_steps=st.integers(1, 6))(bent_at_the_end))
    assert diagnosis.exact
    assert [edit.fault for edit in diagnosis.answers[0].edits] == ["next-time-told"]
    (beside,) = diagnosis.observed
    assert beside.startswith("what the sampler does to the sample that it returns is tanh")
    assert f"In addition, {beside}" in text_of(diagnosis)


def test_a_law_that_is_as_declared_is_no_other_field() -> None:
    declared = sampler_under_test(
        FlowEuler, num_steps=st.integers(1, 6), deviations={"next-time-told": "so it was trained"}
    )
    diagnosis = diagnosed(declared(bent_at_the_end))
    assert not diagnosis.answers
    assert "as declared" in diagnosis.unsearched
    assert diagnosis.observed[0].startswith("what the sampler does to the sample that it returns is tanh")


def test_a_field_of_one_value_in_whose_others_two_answers_differ_is_told() -> None:
    """The first noise is 80, or as large as the first level, which is declared as 80."""

    def hypothetical(config: Any) -> Target:
        law = reference_law(config, False)
        case = Case(config, (1, 1, 2, 2), "float64", "cpu")
        return Target(case, law, law, tolerance_of(config, "float64", False))

    configs = [EDM(num_steps=steps, solver="euler") for steps in (3, 4)]
    targets = [hypothetical(config) for config in configs]
    both = [Explanation("configuration", EDM, fields=fields) for fields in ({"initial_scale": 80.0}, {})]
    one, other = (Answer([explanation], laws_of(explanation, targets)) for explanation in both)
    assert same_laws(one.laws, other.laws)
    assert settled_by([one, other], configs, hypothetical) == ("sigma_max",)
    assert settled_by([one], configs, hypothetical) == ()
    told_of = Diagnosis(False, answers=(Told("a"), Told("b")), searched="so far", settled_by=("sigma_max",))
    assert "a range instead of the one value of sigma_max would settle it" in sureness(told_of)


def grows_past_all_digits(
    model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Each step makes the sample about four times as large: after 50 of them no digit of a weight is left."""
    levels = config.sigma_grid.tolist()
    x: Tensor = levels[0] * torch.randn(shape, device=device, dtype=dtype)
    for level, after in pairwise(levels):
        x = 3.7 * x + 0.9 * (after - level) / level * (x - model(x, torch.tensor(level)))
    return x


def test_what_has_no_digits_left_confirms_no_edit() -> None:
    declared = sampler_under_test(EDM, num_steps=50, solver="euler")(grows_past_all_digits)
    diagnosis = diagnosed(declared)
    assert not diagnosis.answers
    assert not diagnosis.exact
    assert "declare runs of fewer steps" in text_of(diagnosis)
