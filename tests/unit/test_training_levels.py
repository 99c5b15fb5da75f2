"""What a step says level by level: weights and offset noise that are functions, times that are told in thousandths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reference_samplers import DDPM, EDM, DDPMTraining, EDMTraining, FlowEuler, FlowTraining
from sampler_harness import sampler_under_test, training_under_test
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.verdict import Verdict

SHAPES = [(4, 3, 4, 4), (3, 2, 5, 3)]
SHARES = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
SNR = SHARES / (1 - SHARES)


def column(values: Any, like: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = values.to(like.dtype).view(-1, *[1] * (like.ndim - 1))
    return found


def judged(step: Any, reference: Any, **declared: Any) -> Verdict:
    return check_sampler(
        training_under_test(reference, shapes=SHAPES, **declared)(step), budget="quick", diagnose=False
    )


def failures(verdict: Verdict) -> list[str]:
    return [finding.id for finding in verdict.causes]


def debiased(t: int) -> float:
    """Of v, as kohya-ss/sd-scripts#1715 has it."""
    return float(1 / (SNR[t] + 1))


@pytest.mark.parametrize(
    ("weight", "causes"), [(lambda snr: 1 / (snr + 1), []), (lambda snr: snr.rsqrt(), ["training/weight"])]
)
@pytest.mark.sampled(every=2)
def test_a_weight_is_declared_as_a_function_of_the_timestep(weight: Any, causes: list[str]) -> None:
    def step(model: Any, x0: Any, config: Any) -> Any:
        t = torch.randint(0, 1000, (x0.shape[0],))
        noise = torch.randn_like(x0)
        a, s = column(SHARES[t].sqrt(), x0), column((1 - SHARES[t]).sqrt(), x0)
        off = model(a * x0 + s * noise, t) - (a * noise - s * x0)
        return (column(weight(SNR[t]), x0) * off**2).mean()

    declared = {"prediction": "v", "weighting": debiased, "sampler": DDPM(prediction="v")}
    assert failures(judged(step, DDPMTraining, **declared)) == causes


@pytest.mark.parametrize(("strength", "causes"), [(0.1, []), (0.2, ["training/noise-matches-target"])])
@pytest.mark.sampled(every=2)
def test_offset_noise_is_declared_as_a_function_of_the_timestep(strength: float, causes: list[str]) -> None:
    def step(model: Any, x0: Any, config: Any) -> Any:
        t = torch.randint(0, 1000, (x0.shape[0],))
        shared = torch.randn((*x0.shape[:2], 1, 1))
        noise = torch.randn_like(x0) + column(strength * (t + 1) / 1000, x0) * shared
        a, s = column(SHARES[t].sqrt(), x0), column((1 - SHARES[t]).sqrt(), x0)
        return ((model(a * x0 + s * noise, t) - noise) ** 2).mean()

    assert failures(judged(step, DDPMTraining, offset_noise=lambda t: 0.1 * (t + 1) / 1000)) == causes


@pytest.mark.parametrize("kind", ["denoiser", "network"])
@pytest.mark.parametrize(("power", "causes"), [(-1.0, []), (-2.0, ["training/weight"])])
@pytest.mark.sampled(every=4)
def test_a_weight_is_declared_as_a_function_of_sigma(kind: str, power: float, causes: list[str]) -> None:
    def step(model: Any, x0: Any, config: Any) -> Any:
        sigma = (torch.randn(x0.shape[0], dtype=torch.float64) * 1.2 - 1.2).exp()
        x = x0 + column(sigma, x0) * torch.randn_like(x0)
        weight = column((1 + sigma) ** power, x0)
        if kind == "denoiser":
            return (weight * (model(x, sigma.to(x.dtype)) - x0) ** 2).mean()
        root = column((sigma**2 + 0.25).sqrt(), x0)
        skip, out = 0.25 / root**2, column(sigma, x0) * 0.5 / root
        answer = model(x / root, (sigma.log() / 4).to(x.dtype))
        return (weight * (answer - (x0 - skip * x) / out) ** 2).mean()

    sampler = EDM(num_steps=4, model_kind=kind)  # type: ignore[arg-type]
    declared = {"model_kind": kind, "weighting": lambda sigma: 1 / (1 + sigma), "sampler": sampler}
    assert failures(judged(step, EDMTraining, **declared)) == causes


def flow_step(scale: float, *, cast: bool = False, weight: Any = None) -> Any:
    def step(model: Any, x0: Any, config: Any) -> Any:
        t, noise = torch.rand(x0.shape[0]), torch.randn_like(x0)
        x = (1 - column(t, x0)) * x0 + column(t, x0) * noise
        told = scale * t
        told = told.to(torch.bfloat16).float() if cast else told
        loss = (model(x, told) - (noise - x0)) ** 2
        return (loss if weight is None else column(weight(t), x0) * loss).mean()

    return step


@pytest.mark.parametrize(
    ("step", "declared", "causes"),
    [
        (flow_step(1000.0), 1000.0, []),
        (flow_step(1.0), 1000.0, ["training/time-distribution"]),
        (flow_step(1000.0), 1.0, ["training/time-distribution"]),
        (flow_step(1000.0, cast=True), 1000.0, ["training/time-distribution"]),
    ],
)
@pytest.mark.sampled(every=4)
def test_a_flow_model_may_be_told_its_time_in_thousandths(step: Any, declared: float, causes: list[str]) -> None:
    sampler = FlowEuler(num_steps=20, time_scale=declared)
    verdict = judged(step, FlowTraining, time_scale=declared, sampler=sampler)
    assert failures(verdict)[:1] == causes, [(one.id, one.message) for one in verdict.bad]


def test_a_sampler_that_tells_other_units_than_its_model_was_trained_on_is_told() -> None:
    verdict = judged(flow_step(1000.0), FlowTraining, time_scale=1000.0, sampler=FlowEuler(num_steps=20))
    assert failures(verdict) == ["training/forward-backward-consistent"]


def test_a_weight_of_flow_is_a_function_of_t() -> None:
    for weight, causes in ((lambda t: 1 - 0.5 * t, []), (lambda t: 1 - 0.4 * t, ["training/weight"])):
        verdict = judged(flow_step(1.0, weight=weight), FlowTraining, weighting=lambda t: 1 - 0.5 * t)
        assert failures(verdict) == causes


@pytest.mark.parametrize(("scale", "sound"), [(1000.0, True), (1.0, False)])
def test_a_flow_sampler_may_tell_its_time_in_thousandths(scale: float, sound: bool) -> None:
    @sampler_under_test(FlowEuler, num_steps=5, time_scale=1000.0, shapes=[(2, 3, 4, 4)])
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        x = torch.randn(shape, device=device, dtype=dtype)
        for step in range(config.num_steps):
            x = x - model(x, torch.full((shape[0],), scale * (1 - step / config.num_steps))) / config.num_steps
        return x

    assert check_sampler(sampler, budget="quick", diagnose=False).conforms is sound


def test_the_reference_itself_weighs_and_adds_as_its_functions_say() -> None:
    """By hand: one item at t = 9 with a weight of 3, noise of 2 and offset noise of 0.5 of that of a channel, 4."""

    class Draws:
        def integers(self, low: int, high: int, count: int) -> Any:
            return np.array([9])

        def uniform(self, count: int) -> Any:
            raise AssertionError

        def normal(self, shape: tuple[int, ...]) -> Any:
            return np.full(shape, 2.0 if shape[-1] > 1 else 4.0)

    reference = DDPMTraining(weighting=lambda t: 3.0 if t == 9 else 0.0, offset_noise=lambda t: 0.5 if t == 9 else 0.0)
    loss = reference.step(lambda x, time: np.zeros_like(x), np.zeros((1, 1, 2, 2)), Draws())
    assert loss == pytest.approx([3.0 * (2.0 + 0.5 * 4.0) ** 2])


def test_functions_that_give_no_weight_and_values_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weighting must give finite numbers >= 0, gives -1\.0 at 3"):
        DDPMTraining(weighting=lambda t: -1.0).weight(3)
    with pytest.raises(DeclarationError, match="weighting must be one of"):
        judged(flow_step(1.0), FlowTraining, weighting="edm")
    with pytest.raises(DeclarationError, match="offset_noise must be"):
        judged(flow_step(1.0), DDPMTraining, offset_noise=-0.1)
