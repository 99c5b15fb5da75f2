"""A training step under test: declarations, hostile steps, draws of many kinds, and how it is collected and told."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from reference_samplers import DDIM, DDPM, EDM, DDPMTraining, EDMTraining, FlowTraining
from sampler_harness import training_under_test
from sampler_harness.catalogue import check_ids
from sampler_harness.cli import main
from sampler_harness.observe.trace import Case
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.subject.training import TrainingSubject
from sampler_harness.training.law import measure
from sampler_harness.verdict import Finding

pytest_plugins = ["pytester"]


def scales(x0: Tensor, t: Tensor, config: DDPMTraining) -> tuple[Tensor, Tensor]:
    """Roots of alpha_bar and of 1 - alpha_bar, in front of an item."""
    alpha_bar = torch.from_numpy(config.alpha_bar)[t].reshape(-1, *[1] * (x0.ndim - 1))
    return alpha_bar.sqrt().to(x0), (1 - alpha_bar).sqrt().to(x0)


def step_with(model: Any, x0: Tensor, t: Tensor, config: DDPMTraining) -> Tensor:
    """The sound step at given times."""
    noise = torch.randn_like(x0)
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def judged(step: Any, reference: Any = DDPMTraining, **fields: Any) -> dict[str, Finding]:
    """Findings of a quick verdict by the last part of their ids."""
    subject = training_under_test(reference, **(fields or {"num_train_timesteps": 100}))(step)
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    assert [f.id for f in verdict.findings] == list(check_ids("training"))
    return {f.id.partition("/")[2]: f for f in verdict.findings}


def outcomes(step: Any, reference: Any = DDPMTraining, **fields: Any) -> set[str]:
    return {f.outcome for f in judged(step, reference, **fields).values()}


# Draws of many kinds


def uniform_time(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = (torch.rand(x0.shape[0]) * config.num_train_timesteps).long()
    return step_with(model, x0, t, config)


def antithetic(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0] // 2 + 1,))
    t = torch.cat([t, config.num_train_timesteps - t - 1])[: x0.shape[0]]
    return step_with(model, x0, t, config)


def multinomial(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.multinomial(torch.ones(config.num_train_timesteps), x0.shape[0], replacement=True)
    return step_with(model, x0, t, config)


def stratified(model: Any, x0: Tensor, config: FlowTraining) -> Tensor:
    count = x0.shape[0]
    t = (torch.arange(count) + torch.rand(count)) / count
    noise = torch.randn_like(x0)
    along = t.reshape(-1, *[1] * (x0.ndim - 1))
    loss: Tensor = (model((1 - along) * x0 + along * noise, t) - (noise - x0)).square().mean()
    return loss


def mirrored_draw(model: Any, x0: Tensor, config: EDMTraining) -> Tensor:
    sigma = (config.P_mean - config.P_std * torch.randn(x0.shape[0])).exp()
    level = sigma.reshape(-1, *[1] * (x0.ndim - 1))
    weight = (level**2 + config.sigma_data**2) / (level * config.sigma_data) ** 2
    loss: Tensor = (weight * (model(x0 - level * torch.randn_like(x0), sigma) - x0) ** 2).sum()
    return loss


def noise_in_another_layout(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    noise = torch.randn(x0.shape[0], *x0.shape[2:], x0.shape[1]).movedim(-1, 1)
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def noise_of_two_draws(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    noise = (torch.randn_like(x0) + torch.randn_like(x0)) / 2**0.5
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


@pytest.mark.parametrize(
    ("step", "reference", "fields"),
    [
        (uniform_time, DDPMTraining, {"num_train_timesteps": 100}),
        (antithetic, DDPMTraining, {"num_train_timesteps": 100}),
        (multinomial, DDPMTraining, {"num_train_timesteps": 100}),
        (stratified, FlowTraining, {"shapes": [(4, 3, 8, 8), (2, 1, 5, 7)], "time": "uniform"}),
        (mirrored_draw, EDMTraining, {"P_mean": st.floats(-2.0, 0.0)}),
        (noise_in_another_layout, DDPMTraining, {"num_train_timesteps": 100}),
        (noise_of_two_draws, DDPMTraining, {"num_train_timesteps": 100}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.sampled(every=3)
def test_sound_draws_of_other_kinds_pass(step: Any, reference: Any, fields: dict[str, Any]) -> None:
    found = judged(step, reference, **fields)
    told = {id: f.message for id, f in found.items() if f.outcome != "passed"}
    assert told == {}


# Generators, choices beside the loss, and low precision


def seeds_itself(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    torch.manual_seed(0)
    return step_with(model, x0, torch.randint(0, config.num_train_timesteps, (x0.shape[0],)), config)


def noise_of_a_generator_of_its_own(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(3))
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def does_not_pass_its_generator(model: Any, x0: Tensor, config: DDPMTraining, *, generator: Any) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],), generator=generator)
    return step_with(model, x0, t, config)


def passes_its_generator(model: Any, x0: Tensor, config: DDPMTraining, *, generator: Any) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],), generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def item_by_item(
    model: Any, x0: Tensor, config: DDPMTraining, generators: list[torch.Generator], first: torch.Generator | None
) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],), generator=first)
    noise = torch.cat([torch.randn(x0[:1].shape, generator=one) for one in generators])
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def forks_its_generator(model: Any, x0: Tensor, config: DDPMTraining, *, generator: Any) -> Tensor:
    forks = [torch.Generator().manual_seed(generator.initial_seed() + i) for i in range(x0.shape[0])]
    return item_by_item(model, x0, config, forks, generator)


def seeds_beside_its_generator(model: Any, x0: Tensor, config: DDPMTraining, *, generator: Any) -> Tensor:
    forks = [torch.Generator().manual_seed(i) for i in range(x0.shape[0])]
    return item_by_item(model, x0, config, forks, generator)


def draws_one_seed_for_all_items(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    seed = int(torch.randint(0, 2**31, ()).item())
    return item_by_item(model, x0, config, [torch.Generator().manual_seed(seed) for _ in x0], None)


def draws_a_seed_for_each_item(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    seeds = [int(torch.randint(0, 2**31, ()).item()) for _ in x0]
    return item_by_item(model, x0, config, [torch.Generator().manual_seed(seed) for seed in seeds], None)


def puts_the_state_back_for_each_item(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    rows = []
    for _ in x0:
        with torch.random.fork_rng(devices=[]):
            rows.append(torch.randn(x0[:1].shape))
    torch.randn(1)
    noise = torch.cat(rows)
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def keeps_its_noise(model: Any, x0: Tensor, config: DDPMTraining, kept: dict[Any, Tensor] = {}) -> Tensor:  # noqa: B006
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    noise = kept.setdefault(x0.shape, torch.randn_like(x0))
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def prefers_late_times(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    weights = torch.arange(1.0, config.num_train_timesteps + 1)
    return step_with(model, x0, torch.multinomial(weights, x0.shape[0], replacement=True), config)


def rounds_its_uniform(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = (torch.rand(x0.shape[0]) * (config.num_train_timesteps - 1)).round().long()
    return step_with(model, x0, t, config)


def target_in_low_precision(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    noise = torch.randn_like(x0)
    signal, level = scales(x0, t, config)
    output = model(signal * x0 + level * noise, t)
    loss: Tensor = (output.float() - noise.to(output.dtype).float()).square().mean()
    return loss


def times_in_low_precision(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    noise = torch.randn_like(x0)
    signal, level = scales(x0, t, config)
    told = t.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else t
    loss: Tensor = (model(signal * x0 + level * noise, told).float() - noise).square().mean()
    return loss


@pytest.mark.parametrize(
    ("step", "options", "check", "words"),
    [
        (seeds_itself, {}, "noise-matches-target", "every step draws the same numbers"),
        (noise_of_a_generator_of_its_own, {}, "noise-matches-target", "every step draws the same numbers"),
        (does_not_pass_its_generator, {"takes_generator": True}, "noise-matches-target", "add generator="),
        (
            seeds_beside_its_generator,
            {"takes_generator": True},
            "noise-matches-target",
            "the same state whatever the passed",
        ),
        (draws_one_seed_for_all_items, {}, "noise-matches-target", "items of a batch share their noise"),
        (puts_the_state_back_for_each_item, {}, "noise-matches-target", "items of a batch share their noise"),
        (prefers_late_times, {}, "time-distribution", "the time below which"),
        (rounds_its_uniform, {}, "time-distribution", "the time below which"),
        (target_in_low_precision, {}, "gradient", "made in low precision"),
        (times_in_low_precision, {"num_train_timesteps": 1000}, "gradient", "times are rounded to low precision"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.sampled(every=5)
def test_what_only_many_steps_or_low_precision_would_show_is_told(
    step: Any, options: dict[str, Any], check: str, words: str
) -> None:
    finding = judged(step, **({"num_train_timesteps": 100} | options))[check]
    assert finding.outcome == "failed"
    assert words in finding.message


def test_noise_that_is_kept_from_the_first_step_is_not_a_pass() -> None:
    assert not outcomes(keeps_its_noise) <= {"passed"}


def flips_a_coin_that_decides_nothing(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    _ = None if random.random() < 0.1 else "a label"
    return step_with(model, x0, torch.randint(0, config.num_train_timesteps, (x0.shape[0],)), config)


def casts_its_input(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    """As the first layer of a network under autocast would."""
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    noise = torch.randn_like(x0)
    signal, level = scales(x0, t, config)
    x = signal * x0 + level * noise
    x = x.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else x
    loss: Tensor = (model(x, t).float() - noise).square().mean()
    return loss


@pytest.mark.parametrize(
    ("step", "options"),
    [
        (passes_its_generator, {"takes_generator": True}),
        (forks_its_generator, {"takes_generator": True}),
        (draws_a_seed_for_each_item, {}),
        (flips_a_coin_that_decides_nothing, {}),
        (casts_its_input, {}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.sampled(every=3)
def test_sound_uses_of_generators_and_low_precision_pass(step: Any, options: dict[str, Any]) -> None:
    found = judged(step, num_train_timesteps=100, **options)
    assert {id: f.message for id, f in found.items() if f.outcome != "passed"} == {}


def tells_a_time_for_each_channel(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, x0.shape[:2])
    signal, level = (v.reshape(x0.shape[0], -1, 1, 1) for v in scales(x0, t.reshape(-1), config))
    noise = torch.randn_like(x0)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def test_times_that_are_not_one_for_each_item_are_told_as_outside() -> None:
    message = judged(tells_a_time_for_each_channel)["time-distribution"].message
    assert "one time for each item" in message


def tells_a_huge_time(model: Any, x0: Tensor, config: EDMTraining) -> Tensor:
    sigma = (config.P_mean + config.P_std * torch.randn(x0.shape[0])).exp()
    noise = torch.randn_like(x0)
    level = sigma.reshape(-1, *[1] * (x0.ndim - 1))
    loss: Tensor = (model(x0 + level * noise, 1000 * sigma) - x0).square().mean()
    return loss


def test_a_time_at_which_the_reference_overflows_is_a_failure_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not outcomes(tells_a_huge_time, reference=EDMTraining, model_kind="network") <= {"passed"}


# Hostile steps


def raises(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    raise RuntimeError("no such file")


def leaves(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    sys.exit(3)


def never_calls(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    loss: Tensor = (x0.requires_grad_() ** 2).mean()
    return loss


def returns_none(model: Any, x0: Tensor, config: DDPMTraining) -> None:
    step_with(model, x0, torch.randint(0, 100, (x0.shape[0],)), config)


def returns_items(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, 100, (x0.shape[0],))
    loss: Tensor = (model(x0, t) ** 2).mean(dim=(1, 2, 3))
    return loss


def returns_nan(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    return step_with(model, x0, torch.randint(0, 100, (x0.shape[0],)), config) * float("nan")


def goes_backward_itself(model: Any, x0: Tensor, config: DDPMTraining) -> float:
    loss = step_with(model, x0, torch.randint(0, 100, (x0.shape[0],)), config)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def endless(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    while True:
        model(x0, torch.zeros(x0.shape[0]))


def model_without_time(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    loss: Tensor = (model(x0) ** 2).mean()
    return loss


def asks_for_channels(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    loss: Tensor = (model(x0[:, : model.channels], torch.zeros(x0.shape[0])) ** 2).mean()
    return loss


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (raises, "the step raised RuntimeError: no such file (in raises"),
        (leaves, "called sys.exit(3)"),
        (never_calls, "without calling its model once"),
        (returns_none, "returned NoneType, should be a scalar tensor"),
        (returns_items, "a loss of shape (4,): reduce it to one number"),
        (returns_nan, "NaN"),
        (goes_backward_itself, "leave backward() to the harness"),
        (endless, "called its model more than 200 times"),
        (model_without_time, "without a time"),
        (asks_for_channels, ".channels"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_hostile_step_is_told_in_a_sentence(step: Any, words: str) -> None:
    found = judged(step)
    assert words in found["time-distribution"].message
    assert found["time-distribution"].outcome == "failed"
    assert {f.outcome for f in found.values()} == {"failed", "error"}
    assert all(f.consequence_of == "training/time-distribution" for f in found.values() if f.outcome == "error")


def numpy_time(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    return step_with(model, x0, torch.from_numpy(np.random.randint(0, 100, x0.shape[0])), config)  # noqa: NPY002


def numpy_noise(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    noise = torch.from_numpy(np.random.standard_normal(x0.shape)).to(x0)  # noqa: NPY002
    signal, level = scales(x0, t, config)
    loss: Tensor = (model(signal * x0 + level * noise, t) - noise).square().mean()
    return loss


def sometimes_twice(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    t = torch.randint(0, config.num_train_timesteps, (x0.shape[0],))
    if random.random() < 0.5:
        model(x0, t)
    return step_with(model, x0, t, config)


@pytest.mark.parametrize("step", [numpy_time, numpy_noise, sometimes_twice])
def test_randomness_that_is_not_torchs_is_never_a_pass(step: Any) -> None:
    assert not outcomes(step) <= {"passed"}


def writes_over_its_batch(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
    x0.mul_(1.0).add_(0.5).sub_(0.25)
    return step_with(model, x0, torch.randint(0, config.num_train_timesteps, (x0.shape[0],)), config)


@pytest.mark.slow
def test_a_batch_that_is_written_over_is_told() -> None:
    assert "x0 was written over" in judged(writes_over_its_batch)["gradient"].message


# What the law is


def test_the_law_of_a_step_is_read_exactly() -> None:
    subject = training_under_test(DDPMTraining, num_train_timesteps=100)(uniform_time)
    config = DDPMTraining(num_train_timesteps=100)
    law = measure(subject, Case(config, (2, 1, 6, 6)))
    assert law.problem is None
    for item in law.items:
        level = config.level_of_time(item.time)
        assert (item.a, *item.noises.values()) == pytest.approx(config.input_scales(level), rel=1e-5)
        assert (item.target_x0, *item.target_noises.values()) == pytest.approx((0.0, 1.0), abs=1e-6)
        assert item.unexplained < 1e-6


@pytest.mark.parametrize(
    ("sampler", "agrees"),
    [
        (DDPM(num_train_timesteps=100), True),
        (DDIM(num_train_timesteps=100, num_steps=10), True),
        (DDPM(num_train_timesteps=100, beta_end=0.03), False),
        (DDPM(num_train_timesteps=100, beta_schedule="cosine"), False),
    ],
)
def test_training_and_sampling_mean_the_same_by_a_time(sampler: Any, agrees: bool) -> None:
    found = judged(uniform_time, num_train_timesteps=100, sampler=sampler)["forward-backward-consistent"]
    assert (found.outcome == "passed") is agrees, found.message
    if not agrees:
        assert "sampled with" in found.message


def test_a_denoiser_that_is_told_sigma_is_sampled_with_sigma() -> None:
    found = judged(mirrored_draw, EDMTraining, P_mean=-1.2, sampler=EDM(num_steps=5))
    assert found["forward-backward-consistent"].outcome == "passed"
    # x0 - sigma z is a normal of the same strength: what counts is the noise, not its name.
    assert found["noise-matches-target"].outcome == "passed"


class Net(nn.Module):
    """A network with a layer that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Conv2d(3, 3, 3, padding=1)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        answer: Tensor = self.used(x)
        return answer


def test_a_parameter_that_no_gradient_reaches_is_named() -> None:
    found = judged(uniform_time, num_train_timesteps=100, model=Net, shapes=[(4, 3, 8, 8)])
    assert "no gradient reaches the model's parameter unused.weight" in found["gradient"].message


# Declarations


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (lambda: training_under_test(EDM), "EDM defines a sampler"),
        (lambda: training_under_test(EDMTraining()), "was given an instance"),  # type: ignore[arg-type]
        (lambda: training_under_test(DDPMTraining, snr_gama=1.0)(uniform_time), "did you mean 'snr_gamma'?"),
        (lambda: training_under_test(DDPMTraining, beta_end=2.0)(uniform_time), "DDPMTraining refuses this"),
        (
            lambda: training_under_test(DDPMTraining, prediction=st.sampled_from(["epsilon", "eps"]))(uniform_time),
            "a value of prediction is legal in no configuration of DDPMTraining",
        ),
        (
            lambda: training_under_test(DDPMTraining, beta_end=st.floats(0.01, 2.0))(uniform_time),
            "a value of beta_end is legal in no configuration",
        ),
        (
            lambda: training_under_test(DDPMTraining)(training_under_test(DDPMTraining)(uniform_time)),
            "declared twice: write one @training_under_test per function",
        ),
        (lambda: training_under_test(DDPMTraining)(lambda model, x0: None), "should take three"),
        (lambda: training_under_test(DDPMTraining, sampler=3)(uniform_time), "sampler must be a configuration"),
        (
            lambda: training_under_test(DDPMTraining, expected_failures={"law/noise": "x"})(uniform_time),
            "which is no check of training",
        ),
        (lambda: training_under_test(DDPMTraining, takes_generator=True)(uniform_time), "does not accept generator="),
    ],
)
def test_a_wrong_declaration_is_refused_with_what_to_write(declare: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(words)):
        declare()


def test_a_known_deviation_is_expected() -> None:
    def never_the_first(model: Any, x0: Tensor, config: DDPMTraining) -> Tensor:
        return step_with(model, x0, torch.randint(1, config.num_train_timesteps, (x0.shape[0],)), config)

    reason = {"training/time-distribution": "index 0 is left out on purpose"}
    found = judged(never_the_first, num_train_timesteps=100, expected_failures=reason)
    assert found["time-distribution"].outcome == "expected"
    assert "0 never occurs" in found["time-distribution"].message


def test_the_declaration_can_be_called_and_renamed() -> None:
    subject = training_under_test(DDPMTraining)(uniform_time)
    assert isinstance(subject, TrainingSubject)
    assert subject.reference_name == "DDPMTraining"
    assert dataclasses.replace(subject, name="other").name == "other"
    loss = subject(lambda x, t: x, torch.zeros(2, 1, 4, 4), DDPMTraining())
    assert loss.ndim == 0


# Collected, run and told as samplers are

FILE = """
import torch
from reference_samplers import DDPMTraining
from sampler_harness import training_under_test

@training_under_test(DDPMTraining, num_train_timesteps=100)
def my_step(model, x0, config):
    t = torch.randint({low}, config.num_train_timesteps, (x0.shape[0],))
    alpha_bar = torch.from_numpy(config.alpha_bar).float()[t].reshape(-1, 1, 1, 1)
    noise = torch.randn_like(x0)
    x_t = alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise
    loss: Tensor = ((model(x_t, t) - noise) ** 2).mean()
    return loss
"""


def test_pytest_collects_one_item_per_check(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_steps=FILE.format(low=1))
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider", "--sampler-json", "out.json")
    result.assert_outcomes(passed=len(check_ids("training")) - 1, failed=1)
    result.stdout.fnmatch_lines(["*told times 1 to 99, should be 0 to 99*"])
    answer = json.loads((pytester.path / "out.json").read_text())[0]
    assert (answer["kind"], answer["reference"], answer["conforms"]) == ("training", "DDPMTraining", False)


def test_the_command_line_runs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "steps_under_test.py"
    path.write_text(FILE.format(low=0), encoding="utf-8")
    assert main([str(path), "--budget", "quick"]) == 0
    shown = capsys.readouterr().out
    assert "my_step conforms to DDPMTraining" in shown
    assert "1 training step conforms" in shown
    assert main([str(path), "--budget", "quick", "--check", "law/noise"]) == 2
    assert main([str(path), "--save-law", str(tmp_path / "law.json")]) == 2


@pytest.mark.slow
def test_the_reproduction_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wrong_steps.py"
    path.write_text(FILE.format(low=0).replace("(1 - alpha_bar).sqrt()", "(1 - alpha_bar)"), encoding="utf-8")
    from sampler_harness.targets import load_subjects

    verdict = check_sampler(load_subjects(str(path))[0], budget="quick")
    failed = next(f for f in verdict.findings if f.id == "training/forward-backward-consistent")
    assert "a root is missing" in failed.message
    assert 0 < len(failed.reproduction.splitlines()) <= 15
    exec(compile(failed.reproduction, "reproduction", "exec"), {})
