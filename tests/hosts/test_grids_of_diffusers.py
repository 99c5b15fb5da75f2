"""Grids by themselves held against diffusers' own, and the options of its schedulers of flows that lay them out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from reference_samplers.grids import (
    EvenTimes,
    FlowMatchTimes,
    SizedTimes,
    SpacedTimesteps,
    StretchedTimes,
    TableLevels,
)
from sampler_harness import grid_under_test
from sampler_harness.grids.evidence import GridEvidence
from sampler_harness.runner import check_sampler

diffusers = pytest.importorskip("diffusers")

from sampler_harness.adapters import diffusers as adapter  # noqa: E402

from .rewriting import rewritten  # noqa: E402

STEPS = st.integers(1, 40)


def flow_match(*, steps: int, mu: float | None = None, **options: Any) -> Any:
    """A scheduler with its grid laid out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=mu is not None, **options)
        made.set_timesteps(steps, mu=mu)
    return made


def of_times(config: FlowMatchTimes) -> Any:
    spread = {} if config.sigma_spacing == "timesteps" else {f"use_{config.sigma_spacing}_sigmas": True}
    return flow_match(
        steps=config.num_steps,
        num_train_timesteps=config.num_train_timesteps,
        shift=config.shift,
        mu=config.mu,
        time_shift_type=config.time_shift_type,
        shift_terminal=config.terminal,
        **spread,
    )


def conforms(function: Any, grid: type[Any], **declared: Any) -> None:
    verdict = check_sampler(grid_under_test(grid, **declared)(function), budget="quick", diagnose=False)
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3 + 1e-3


SPACINGS = st.sampled_from(["timesteps", "karras", "exponential", "beta"])


def test_flow_match_times_are_the_scheduler_s() -> None:
    def levels(config: FlowMatchTimes) -> Any:
        return of_times(config).sigmas

    conforms(levels, FlowMatchTimes, num_steps=STEPS, shift=st.floats(0.5, 8.0), sigma_spacing=SPACINGS)
    by_size = {"mu": st.floats(0.2, 2.0), "time_shift_type": st.sampled_from(["exponential", "linear"])}
    conforms(levels, FlowMatchTimes, num_steps=STEPS, sigma_spacing=SPACINGS, **by_size)
    stretched = {"num_steps": st.integers(2, 40), "terminal": st.floats(0.02, 0.3), "shift": st.floats(0.5, 8.0)}
    conforms(levels, FlowMatchTimes, sigma_spacing=SPACINGS, **stretched)


def test_a_single_level_that_is_stretched_is_not_a_number() -> None:
    grid = grid_under_test(FlowMatchTimes, num_steps=STEPS, terminal=0.1)(lambda config: of_times(config).sigmas)
    verdict = check_sampler(grid, budget="quick", diagnose=False)
    [cause] = verdict.causes
    assert cause.id == "grid/finite"
    assert cause.message.startswith("for 1 step level 0 is nan, should be 1")


@pytest.mark.slow
def test_what_pipelines_give_the_scheduler_is_the_papers_grid() -> None:
    """Flux gives even times down to 1 / N and mu of the image's size; LTX-Video the same, stretched."""

    def sized(config: SizedTimes) -> Any:
        made = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
        made.set_timesteps(sigmas=np.linspace(1, 1 / config.num_steps, config.num_steps).tolist(), mu=config.mu)
        return made.sigmas

    conforms(sized, SizedTimes, num_steps=STEPS, tokens=st.integers(256, 8192))

    def stretched(config: StretchedTimes) -> Any:
        options = {"shift": config.shift, "shift_terminal": config.terminal}
        made = diffusers.FlowMatchEulerDiscreteScheduler(**options)
        made.set_timesteps(sigmas=np.linspace(1, 1 / config.num_steps, config.num_steps).tolist())
        return made.sigmas

    few = {"num_steps": st.integers(2, 40), "shift": st.floats(0.5, 8.0), "terminal": st.floats(0.02, 0.3)}
    conforms(stretched, StretchedTimes, **few)


@pytest.mark.slow
def test_the_question_whether_a_shift_is_applied_twice_is_one_number() -> None:
    """With a static shift the lowest level is shifted twice: another value of one field, and told as that."""

    def levels(config: EvenTimes) -> Any:
        assert config.num_steps is not None
        return flow_match(steps=config.num_steps, shift=config.shift).sigmas

    subject = grid_under_test(EvenTimes, num_steps=st.integers(2, 40), shift=3.0, lowest_time=0.001)(levels)
    verdict = check_sampler(subject, budget="quick")
    assert [cause.id for cause in verdict.causes] == ["grid/levels"]
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.exact
    [(field, value)] = verdict.diagnosis.answers[0].config.items()
    assert field == "lowest_time"
    assert value == pytest.approx(0.003 / 1.002, rel=1e-3)


def of_table(config: TableLevels) -> Any:
    spread = {} if config.sigma_spacing == "timesteps" else {f"use_{config.sigma_spacing}_sigmas": True}
    made = diffusers.EulerDiscreteScheduler(
        beta_schedule=config.beta_schedule, timestep_spacing=config.timestep_spacing, **spread
    )
    made.set_timesteps(config.num_steps)
    return made.sigmas


def test_levels_of_a_chain_are_the_scheduler_s() -> None:
    schedules = {"beta_schedule": st.sampled_from(["linear", "scaled_linear"])}
    for spacing in ("timesteps", "karras", "exponential"):
        steps = st.sampled_from([1, 2, 5, 10, 20, 30, 50])
        conforms(
            of_table, TableLevels, num_steps=steps, sigma_spacing=spacing, timestep_spacing="linspace", **schedules
        )


def test_quantiles_of_the_level_for_those_of_the_timestep_are_told() -> None:
    subject = grid_under_test(TableLevels, num_steps=st.integers(3, 9), sigma_spacing="beta")(of_table)
    [cause] = check_sampler(subject, budget="quick", diagnose=False).causes
    assert cause.id == "grid/levels"
    assert cause.message.startswith("level 1 of 3 (model call 1) is ")


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
def test_timesteps_are_the_scheduler_s(spacing: str) -> None:
    def timesteps(config: SpacedTimesteps) -> Any:
        made = diffusers.DDIMScheduler(timestep_spacing=spacing, steps_offset=config.steps_offset)
        made.set_timesteps(config.num_steps)
        return made.timesteps

    # Counts at which a rounded quotient gives one timestep too many are another finding's.
    steps = st.sampled_from([1, 2, 3, 4, 5, 7, 10, 20, 30, 50])
    conforms(timesteps, SpacedTimesteps, num_steps=steps, timestep_spacing=spacing, steps_offset=0)


def test_a_trailing_grid_with_one_timestep_too_many_is_told_by_its_length() -> None:
    def timesteps(config: SpacedTimesteps) -> Any:
        made = diffusers.DDIMScheduler(timestep_spacing="trailing")
        made.set_timesteps(config.num_steps)
        return made.timesteps

    subject = grid_under_test(SpacedTimesteps, num_steps=st.integers(1, 100), timestep_spacing="trailing")(timesteps)
    evidence = GridEvidence(subject, budget="standard")
    evidence.measure()
    wrong = {seen.config.num_steps for seen in evidence.seen if seen.levels.size != seen.should_be.size}
    assert wrong == {steps for steps in range(1, 101) if np.arange(1000, 0, -1000 / steps).size > steps}
    assert wrong


# The adapter's options that lay a flow's times out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("derivative = 0.5 * (self.prev_derivative + derivative)", "derivative = self.prev_derivative", "law/outputs"),
        ("denoised = sample - model_output * sigma_next", "denoised = sample - model_output * sigma", "law/outputs"),
        ("timesteps[1:].repeat_interleave(2)", "timesteps[:-1].repeat_interleave(2)", "law/times"),
    ],
)
def test_a_mistake_in_heuns_method_for_flows_is_caught(before: str, after: str, check: str) -> None:
    name = "FlowMatchHeunDiscreteScheduler"
    assert check_sampler(adapter.subject(name), budget="quick").conforms
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name), budget="quick", diagnose=False)
    assert check in [cause.id for cause in verdict.causes]


def test_heuns_method_for_flows_is_decided_where_its_digits_are_kept() -> None:
    name = "FlowMatchHeunDiscreteScheduler"
    with pytest.raises(ValueError, match="below, digits are lost"):
        adapter.subject(name).reference(num_steps=4)
    with pytest.raises(ValueError, match="s_churn cannot be set"):
        adapter.subject(name, {"s_churn": "5"})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["FlowMatchEulerDiscreteScheduler", "FlowMatchLCMScheduler"])
def test_stretched_and_respaced_schedulers_conform(name: str) -> None:
    for settings in ({}, {"shift_terminal": "0.2"}, {"use_karras_sigmas": "true", "shift": "3"}):
        verdict = check_sampler(adapter.subject(name, settings), budget="quick")
        assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
        assert verdict.margin is not None
        assert verdict.margin < 1 / 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one_minus_z[-1] / (1 - self.config.shift_terminal)", "one_minus_z[-1] / self.config.shift_terminal"),
        ("stretched_t = 1 - (one_minus_z / scale_factor)", "stretched_t = 1 - one_minus_z"),
        ("rho = 7.0  # 7.0", "rho = 5.0  # 7.0"),
        ("np.linspace(math.log(sigma_max), math.log(sigma_min)", "np.linspace(math.log(sigma_max), math.log(1e-2)"),
        ("alpha: float = 0.6, beta: float = 0.6", "alpha: float = 0.6, beta: float = 0.7"),
        ("return mu / (mu + (1 / t - 1) ** sigma)", "return mu / (mu + (1 / t - 1) ** 2)"),
    ],
)
def test_a_mistake_in_how_times_are_laid_out_is_caught(before: str, after: str) -> None:
    name = "FlowMatchEulerDiscreteScheduler"
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name), budget="quick", diagnose=False)
    assert "law/times" in [cause.id for cause in verdict.causes]
