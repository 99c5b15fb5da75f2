"""What the search finds: mistakes of other forms of a step, of other steps, and of what is drawn."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from reference_samplers import DDIM, DDPM, EDM, FlowEuler
from reference_samplers.diffusers import EulerDiscrete, HeunDiscrete
from sampler_harness import sampler_under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.diagnose import search_for
from sampler_harness.diagnosis.forms import FORMS, Form
from sampler_harness.diagnosis.solving import as_written, digits_of
from sampler_harness.diagnosis.words import told
from sampler_harness.law.law import Law
from sampler_harness.law.program import Program
from sampler_harness.law.response import respond_reference
from sampler_harness.law.same import is_same_program
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.subject import Subject
from sampler_harness.verdict import Explanation

_CHAIN: dict[str, Any] = {"num_train_timesteps": 40, "num_steps": 6}
#: Between them every branch of the lines that the forms replace.
CONFIGURATIONS = [
    DDIM(**_CHAIN),
    DDIM(**_CHAIN, eta=0.6),
    DDIM(**_CHAIN, eta=1.0, final_alpha_bar="first", steps_offset=1),
    DDIM(**_CHAIN, eta=0.5, prediction="v", timestep_spacing="trailing"),
    DDIM(**_CHAIN, eta=0.5, prediction="x0", rederive_epsilon=False),
    DDPM(**_CHAIN),
    DDPM(**_CHAIN, prediction="v", variance="fixed_large"),
    DDPM(num_train_timesteps=6, prediction="x0"),
    DDPM(**_CHAIN, variance="learned_range"),
    DDPM(**_CHAIN, prediction="v", rescale_zero_terminal_snr=True, timestep_spacing="linspace"),
    DDIM(**_CHAIN, prediction="v", rescale_zero_terminal_snr=True, timestep_spacing="trailing"),
    DDIM(**_CHAIN, clip_denoised=True, eta=0.3),
    DDIM(**_CHAIN, clip_denoised=True, prediction="x0", rederive_epsilon=False),
    FlowEuler(num_steps=5),
    FlowEuler(num_steps=4, shift=3.0),
    FlowEuler(num_steps=1),
    EulerDiscrete(**_CHAIN, s_churn=2.0),
    EulerDiscrete(**_CHAIN, s_churn=2.0, prediction="v", sigma_spacing="karras"),
    EulerDiscrete(**_CHAIN, prediction="x0", timestep_spacing="leading", steps_offset=1),
    EulerDiscrete(**_CHAIN, sigma_spacing="exponential", rescale_zero_terminal_snr=True, prediction="v"),
    EulerDiscrete(**_CHAIN, final_level="sigma_min"),
    HeunDiscrete(**_CHAIN, prediction="v", timestep_spacing="trailing"),
    HeunDiscrete(**_CHAIN, sigma_spacing="beta"),
]

#: Forms that have no law where a rescaled table leaves no signal.
DIVIDES_BY_THE_SIGNAL = (
    "as k-diffusion's ancestral steps are, down to sigma_down and up by sigma_up",
    "as Algorithm 2 has it, by the noise that is predicted",
    "with epsilon from v first",
)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form_has_the_references_law(form: Form) -> None:
    files = {one.file for one in form.replacements}
    configs = [
        config for config in CONFIGURATIONS if files <= {place.file for place in Program(type(config)).functions}
    ]
    assert len(configs) >= 3
    for config in configs:
        learned = learned_variance(config)
        program = Program(type(config), form.replacements)
        with np.errstate(all="ignore"):
            laws = [
                Law.of(respond_reference(one, learned_variance=learned)) for one in (config, program.configured(config))
            ]
        if form.name in DIVIDES_BY_THE_SIGNAL and isinstance(config, (DDPM, DDIM)) and config.rescale_zero_terminal_snr:
            assert not np.isfinite(laws[1].outputs).all()
            continue
        assert is_same_program(*laws), config


def found_for(subject: Subject) -> Explanation:
    """The one answer, in words."""
    evidence = Evidence(subject, budget="quick")
    evidence.measure()
    found, targets = search_for(evidence, "quick")
    assert found is not None
    assert found.exact, [told(near.explanation, []).summary for near in found.near]
    return told(found.answers[0].first, [target.config for target in targets], found.answers[0].variants)


def at(shape: tuple[int, ...], time: float, dtype: torch.dtype) -> Tensor:
    return torch.full((shape[0],), time, dtype=dtype)


# Another form of a step


def _with_tau(lost: str) -> Any:
    """DDIM as azula writes it, without one root or square."""

    def run(model: Any, shape: Any, config: DDIM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        x = torch.randn(shape, device=device, dtype=dtype)
        for t, after in config.transitions:
            signal, level = math.sqrt(config.alpha_bar[t]), math.sqrt(1 - config.alpha_bar[t])
            signal_next = math.sqrt(config.alpha_bar[after])
            level_next = math.sqrt(max(1 - float(config.alpha_bar[after]), 0.0))
            ratio = signal / signal_next * level_next / level
            tau = config.eta**2 * (1 - (ratio if lost == "square of the ratio" else ratio**2)) if after > 0 else 0.0
            data = (x - level * model(x, at(shape, t - 1, torch.int64))) / signal
            kept = 1 - tau if lost == "root of what is kept" else math.sqrt(1 - tau)
            drawn = tau if lost == "root of what is drawn" else math.sqrt(tau)
            x = signal_next * data + level_next * kept / level * (x - signal * data)
            x = x + level_next * drawn * torch.randn_like(x)
        return x

    return run


@pytest.mark.parametrize(
    ("lost", "line"),
    [
        ("root of what is drawn", "x = x + level_next * tau * noise()"),
        ("root of what is kept", "kept = level_next * (1 - tau)"),
        ("square of the ratio", "tau = 1 - signal / signal_next * level_next / level"),
    ],
)
@pytest.mark.slow
def test_a_root_lost_in_another_form_is_named_in_that_form(lost: str, line: str) -> None:
    fields: dict[str, Any] = {"num_train_timesteps": 100, "num_steps": st.integers(1, 12), "eta": st.floats(0.2, 1.0)}
    answer = found_for(sampler_under_test(DDIM, **fields)(_with_tau(lost)))
    assert "written with tau" in answer.summary
    [edit] = answer.edits
    assert edit.sampler.startswith(line)
    assert f"+ {line}" in " ".join(answer.diff.split())


# What is drawn, and of which step


@pytest.mark.slow
def test_a_models_output_in_place_of_noise_is_named() -> None:
    @sampler_under_test(DDPM, num_train_timesteps=st.sampled_from([2, 10, 40]))
    def variance_times_output(
        model: Any, shape: Any, config: DDPM, *, device: torch.device, dtype: torch.dtype
    ) -> Tensor:
        x = torch.randn(shape, device=device, dtype=dtype)
        for t, after in config.transitions:
            level, level_next = float(config.alpha_bar[t]), float(config.alpha_bar[after])
            beta = 1 - level / level_next
            output = model(x, at(shape, t - 1, torch.int64))
            std = math.sqrt(beta * (1 - level_next) / (1 - level))
            x = (x - beta / math.sqrt(1 - level) * output) / math.sqrt(1 - beta) + std * output
        return x

    [edit] = found_for(variance_times_output).edits
    assert edit.sampler == "x = x + self.std(alpha_bar, alpha_bar_next, beta, v) * output  # line 4, draw"


def _euler(length: Any) -> Any:
    """EDM's Euler steps of some length, from the levels, the step's number and the raised level."""

    def run(model: Any, shape: Any, config: EDM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        levels = config.sigma_grid.tolist()
        x: Tensor = torch.randn(shape, device=device, dtype=dtype) * levels[0]
        kept: list[float] = []
        for number, (sigma, after) in enumerate(pairwise(levels)):
            raised = sigma * (1 + float(config.gamma(sigma)))
            x = x + torch.randn_like(x) * config.s_noise * max(raised**2 - sigma**2, 0.0) ** 0.5
            kept.append(after - raised)
            x = x + length(levels, number, kept) * (x - model(x, at(shape, raised, dtype))) / raised
        return x

    return run


@pytest.mark.parametrize(
    ("length", "name"),
    [
        (lambda levels, number, kept: kept[max(number - 1, 0)], "step-as-long-as-the-one-before"),
        (lambda levels, number, kept: levels[number] - levels[number - 1], "step-one-index-low"),
    ],
    ids=["kept", "index"],
)
@pytest.mark.slow
def test_the_length_of_another_step_is_named(length: Any, name: str) -> None:
    fields: dict[str, Any] = {"num_steps": st.integers(1, 12), "s_churn": st.floats(0, 20), "solver": "euler"}
    answer = found_for(sampler_under_test(EDM, **fields)(_euler(length)))
    assert name in answer.summary


@pytest.mark.slow
def test_a_level_of_the_first_step_is_named() -> None:
    @sampler_under_test(EDM, num_steps=st.integers(1, 12), rho=st.floats(3, 9))
    def second_slope_over_highest(
        model: Any, shape: Any, config: EDM, *, device: torch.device, dtype: torch.dtype
    ) -> Tensor:
        levels = config.sigma_grid.tolist()
        x: Tensor = torch.randn(shape, device=device, dtype=dtype) * levels[0]
        for sigma, after in pairwise(levels):
            slope = (x - model(x, at(shape, sigma, dtype))) / sigma
            moved = x + (after - sigma) * slope
            if after > 0:
                second = (moved - model(moved, at(shape, after, dtype))) / levels[0]
                moved = x + (after - sigma) * (slope + second) / 2
            x = moved
        return x

    [edit] = found_for(second_slope_over_highest).edits
    assert edit.sampler == "d_prime = (x - denoised(x, sigma_next)) / self.sigma_grid[0]  # line 10"


@pytest.mark.slow
def test_noise_in_a_flow_that_is_told_the_next_time_is_both() -> None:
    @sampler_under_test(FlowEuler, num_steps=st.integers(1, 30))
    def stochastic(model: Any, shape: Any, config: FlowEuler, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        x = torch.randn(shape, device=device, dtype=dtype)
        for time, after in pairwise(config.time_grid.tolist()):
            x = x + (after - time) * model(x, at(shape, after, dtype)) + (time - after) * torch.randn_like(x)
        return x

    answer = found_for(stochastic)
    assert "flow-noise-as-long-as-step" in answer.summary
    assert "next-time-told" in answer.summary


# The chain of the run


@pytest.mark.slow
def test_a_chain_as_long_as_the_run_is_named() -> None:
    @sampler_under_test(DDPM, num_train_timesteps=100, num_steps=st.integers(2, 20))
    def short_chain(model: Any, shape: Any, config: DDPM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        assert config.num_steps is not None
        short = DDPM(num_train_timesteps=config.num_steps)
        x = torch.randn(shape, device=device, dtype=dtype)
        for t, after in short.transitions:
            level, level_next = float(short.alpha_bar[t]), float(short.alpha_bar[after])
            beta = 1 - level / level_next
            output = model(x, at(shape, t - 1, torch.int64))
            x = (x - beta / math.sqrt(1 - level) * output) / math.sqrt(1 - beta)
            x = x + math.sqrt(beta * (1 - level_next) / (1 - level)) * torch.randn_like(x)
        return x

    answer = found_for(short_chain)
    assert answer.config == {"num_train_timesteps": "num_steps", "num_steps": None}
    assert "num_train_timesteps=num_steps" in answer.summary


# One branch of a program


@pytest.mark.slow
def test_a_mistake_of_one_branch_is_named_with_the_branch() -> None:
    """The root is forgotten for epsilon, and v is right; eta is not read where it is not 0."""

    def run(model: Any, shape: Any, config: DDIM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        x = torch.randn(shape, device=device, dtype=dtype)
        for t, after in config.transitions:
            level, level_next = float(config.alpha_bar[t]), float(config.alpha_bar[after])
            signal, noise = math.sqrt(level), math.sqrt(1 - level)
            output = model(x, at(shape, t - 1, torch.int64))
            if config.prediction == "v":
                data, epsilon = signal * x - noise * output, signal * output + noise * x
            else:
                data, epsilon = math.sqrt(1 / level) * x - (1 / level - 1) * output, output
            x = math.sqrt(level_next) * data + math.sqrt(1 - level_next) * epsilon
        return x

    fields: dict[str, Any] = {"num_train_timesteps": 100, "num_steps": st.integers(1, 12)}
    answer = found_for(sampler_under_test(DDIM, prediction=st.sampled_from(["epsilon", "v"]), **fields)(run))
    assert answer.edits[0].sampler == "x0: Array = np.sqrt(1 / alpha_bar) * x - (1 / alpha_bar - 1) * epsilon"

    def noisy(model: Any, shape: Any, config: DDIM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        eta = 1.0 if config.eta else 0.0
        x = torch.randn(shape, device=device, dtype=dtype)
        for t, after in config.transitions:
            level, level_next = float(config.alpha_bar[t]), float(config.alpha_bar[after])
            output = model(x, at(shape, t - 1, torch.int64))
            data = (x - math.sqrt(1 - level) * output) / math.sqrt(level)
            sigma = eta * math.sqrt((1 - level_next) / (1 - level) * (1 - level / level_next)) if after else 0.0
            x = math.sqrt(level_next) * data + math.sqrt(max(1 - level_next - sigma**2, 0.0)) * output
            x = x + sigma * torch.randn_like(x)
        return x

    answer = found_for(sampler_under_test(DDIM, eta=st.floats(0, 1), **fields)(noisy))
    assert answer.summary.startswith("where eta is above 0, your sampler")


# Numbers: the smallest description


def _ddpm(factor: float, alpha_bar: Any) -> Any:
    """DDPM with a model of v, its draws times a factor, on a table of its own."""

    def run(model: Any, shape: Any, config: DDPM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        table = [1.0, *alpha_bar(config).tolist()]
        x = torch.randn(shape, device=device, dtype=dtype)
        for t, after in config.transitions:
            level, level_next = table[t], table[after]
            beta = 1 - level / level_next
            data = math.sqrt(level) * x - math.sqrt(1 - level) * model(x, at(shape, t - 1, torch.int64))
            x = (
                math.sqrt(level_next) * beta / (1 - level) * data
                + math.sqrt(1 - beta) * (1 - level_next) / (1 - level) * x
            )
            x = x + factor * math.sqrt(beta * (1 - level_next) / (1 - level)) * torch.randn_like(x)
        return x

    return run


def _cosine(s: float, slower: float = 1.0) -> Any:
    def alpha_bar(config: DDPM) -> Tensor:
        time = torch.linspace(0, 1, config.num_train_timesteps + 1, dtype=torch.float64)
        level = torch.cos((time + s) / (1 + s) * math.pi / 2 / slower) ** 2
        return torch.cumprod(1 - torch.clip(1 - level[1:] / level[:-1], max=0.999), 0)

    return alpha_bar


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (_ddpm(1.0, _cosine(0.01)), "level = np.cos((time + 0.01) / (1 + 0.01) * (np.pi / 2))**2"),
        (_ddpm(1.0, _cosine(0.008, 1.05)), "level = np.cos((time + 0.008) / 1.008 * (np.pi / 2.1))**2"),
        (
            _ddpm(-math.sqrt(2), _cosine(0.008)),
            "posterior_variance = 2.0 * ((1 - alpha_bar_next) / (1 - alpha_bar) * beta)",
        ),
    ],
    ids=["s", "end", "noise-without-sign"],
)
@pytest.mark.slow
def test_the_smallest_description_wins(run: Any, line: str) -> None:
    fields: dict[str, Any] = {"num_train_timesteps": st.sampled_from([50, 100]), "num_steps": st.integers(1, 12)}
    answer = found_for(sampler_under_test(DDPM, beta_schedule="cosine", prediction="v", **fields)(run))
    [edit] = answer.edits
    assert edit.sampler.partition("  #")[0] == line


def test_a_solved_number_is_written_as_short_as_the_verdict_can_tell() -> None:
    """0.00999 is 0.01 to the tolerance, and noise has no sign."""

    def distances(values: Any) -> Any:
        off = np.array([abs(values[0]) - 0.009991, values[1] - 1.01])
        return off / np.array([4e-3 * 0.01, 4e-3])

    assert as_written([-0.009991, 1.0100003], distances, 0.0) == [0.01, 1.01]
    assert digits_of([0.01, 1.01]) == 4


def noise_in_every_step(
    model: Any, shape: Any, config: FlowEuler, *, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """As a flow that draws a little at each step, the last one too."""
    x = torch.randn(shape, device=device, dtype=dtype)
    for time, after in pairwise(config.time_grid):
        x = x + (after - time) * model(x, at(shape, time, dtype))
        x = x + 0.1 * math.sqrt(time - after) * torch.randn_like(x)
    return x


@pytest.mark.slow
def test_how_much_noise_each_step_of_a_flow_draws_is_solved_for() -> None:
    found = found_for(sampler_under_test(FlowEuler, num_steps=st.integers(1, 12))(noise_in_every_step))
    assert [edit.sampler for edit in found.edits] == ["x = x + 0.1 * np.sqrt(time_cur - time_next) * noise()"]
