"""Further schedulers of diffusers that are chains: by hand, mistakes, and where one leaves its paper."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sampler_harness.adapters import diffusers as adapter
from sampler_harness.adapters.diffusers_corners_chains import CogVideoXDDIM, DDIMParallel, DDPMParallel
from sampler_harness.law.law import Law
from sampler_harness.law.response import respond_reference
from sampler_harness.runner import check_sampler

from .rewriting import rewritten
from .test_adapter_diffusers import apart, law_of

diffusers = pytest.importorskip("diffusers")
COGVIDEOX, UNCLIP, INVERSE = "CogVideoXDDIMScheduler", "UnCLIPScheduler", "DDIMInverseScheduler"
PARALLEL = ["DDIMParallelScheduler", "DDPMParallelScheduler"]
LAW = ("law/times", "law/initial-noise", "law/outputs", "law/noise")


@pytest.fixture(autouse=True)
def _foreign_warnings_are_not_ours() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def weight_of_output(step: Any, timestep: int) -> float:
    """How much of a model's output is in the state behind a step, whose draw is taken off."""
    generator = torch.Generator().manual_seed(0)
    one, zero = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    return float(step(one, torch.tensor(timestep), zero, generator))


def of_a_step(made: Any) -> Any:
    """One item, its mean alone."""

    def step(output: torch.Tensor, timestep: torch.Tensor, x: torch.Tensor, generator: Any) -> torch.Tensor:
        again = torch.Generator().manual_seed(0)
        stepped: torch.Tensor = made.step(output, timestep, x, generator=generator).prev_sample
        if "variance_type" in made.config and timestep > 0:
            stepped = stepped - made._get_variance(timestep) ** 0.5 * torch.randn(x.shape, generator=again)
        return stepped

    return step


def of_a_batch(made: Any) -> Any:
    """A batch of one item."""
    return lambda output, timestep, x, generator: made.batch_step_no_noise(output, timestep.reshape(1), x)


@pytest.mark.parametrize(("is_one", "should_be"), [(True, -0.01 / (1 - 1e-4) ** 0.5), (False, 0.0)])
def test_a_batch_ends_in_data_whatever_the_final_level_is(is_one: bool, should_be: float) -> None:
    """From alpha_bar = 1 - 1e-4: to 1 what is left of epsilon is taken off; to where x is already, nothing moves."""
    made = diffusers.DDIMParallelScheduler(clip_sample=False, set_alpha_to_one=is_one)
    made.set_timesteps(10)
    assert weight_of_output(of_a_step(made), 0) == pytest.approx(should_be, abs=1e-5)
    assert weight_of_output(of_a_batch(made), 0) == pytest.approx(-0.01, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "steps", "timestep", "after", "goes_to"),
    [
        ({"timestep_spacing": "linspace"}, 10, 999, 888, 899),
        ({"timestep_spacing": "trailing"}, 7, 999, 856, 857),
        ({"timestep_spacing": "leading"}, 10, 900, 800, 800),
    ],
)
def test_a_batch_of_ddpm_goes_a_whole_stride(
    options: dict[str, Any], steps: int, timestep: int, after: int, goes_to: int
) -> None:
    """Equation 7 by hand, for the next entry of the grid and for the level that a batch goes to."""
    made = diffusers.DDPMParallelScheduler(clip_sample=False, **options)
    made.set_timesteps(steps)
    table = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))

    def mean_weight(level: int) -> float:
        alpha = table[timestep] / table[level]
        x0_weight = np.sqrt(table[level]) * (1 - alpha) / (1 - table[timestep])
        return float(-x0_weight * np.sqrt((1 - table[timestep]) / table[timestep]))

    assert weight_of_output(of_a_step(made), timestep) == pytest.approx(mean_weight(after), rel=1e-3)
    assert weight_of_output(of_a_batch(made), timestep) == pytest.approx(mean_weight(goes_to), rel=1e-3)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: DDIMParallel(num_steps=5, in_batches=True, final_alpha_bar="first"), "batch-final-alpha"),
        (lambda: DDIMParallel(num_steps=5, in_batches=True, eta=0.5), "eta must be 0"),
        (lambda: DDIMParallel(num_steps=5, in_batches=True, result="tuple"), "the state alone"),
        (lambda: DDPMParallel(num_steps=5, in_batches=True, timestep_spacing="linspace"), "t - T // n"),
        (lambda: DDPMParallel(num_steps=7, in_batches=True, timestep_spacing="trailing"), "t - T // n"),
        (lambda: DDPMParallel(timesteps=(900, 400, 0), in_batches=True), "t - T // n"),
        (lambda: DDPMParallel(num_steps=5, in_batches=True, variance="learned_range"), "the caller draws"),
    ],
)
def test_what_a_batch_cannot_do_is_refused(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


@pytest.mark.parametrize("name", PARALLEL)
def test_the_corners_of_a_copy_are_those_of_what_was_copied(name: str) -> None:
    copied = {one.name.partition("[")[2] for one in adapter.subjects(name.replace("Parallel", ""))}
    assert copied < {one.name.partition("[")[2] for one in adapter.subjects(name)}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PARALLEL, COGVIDEOX, UNCLIP, INVERSE])
def test_a_scheduler_and_its_corners_conform(name: str) -> None:
    for subject in adapter.subjects(name):
        verdict = check_sampler(subject, budget="quick", diagnose=False)
        assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
        assert verdict.margin is None or verdict.margin < 1 / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "after", "check"),
    [
        (
            "DDIMParallelScheduler",
            "prev_t = t - self.config.num_train_timesteps // self.num_inference_steps",
            "prev_t = t - self.config.num_train_timesteps // self.num_inference_steps - 1",
            "law/outputs",
        ),
        (
            "DDIMParallelScheduler",
            "(1 - alpha_prod_t_prev - std_dev_t**2) ** (0.5) * pred_epsilon\n\n        # 7. compute x_t without "
            '"random noise" of formula (12) from https://huggingface.co/papers/2010.02502\n        prev_sample = '
            "alpha_prod_t_prev ** (0.5) * pred_original_sample + pred_sample_direction\n\n        return prev_sample",
            "(1 - alpha_prod_t) ** (0.5) * pred_epsilon\n        prev_sample = alpha_prod_t_prev ** (0.5) * "
            "pred_original_sample + pred_sample_direction\n        return prev_sample",
            "law/outputs",
        ),
        (
            "DDPMParallelScheduler",
            "t = t.view(-1, *([1] * (model_output.ndim - 1)))",
            "t = t[:1].view(-1, *([1] * (model_output.ndim - 1)))",
            "law/times",
        ),
        (
            "DDPMParallelScheduler",
            "alpha_prod_t_prev[prev_t < 0] = torch.tensor(1.0)",
            "alpha_prod_t_prev[prev_t < 0] = torch.tensor(0.99)",
            "law/outputs",
        ),
        (
            "DDPMParallelScheduler",
            "            pass\n\n        # 1. compute alphas, betas\n        self.alphas_cumprod",
            "            sample = sample + 0.01\n\n        # 1. compute alphas, betas\n        self.alphas_cumprod",
            "law/outputs",
        ),
    ],
)
def test_a_mistake_in_steps_of_a_batch_is_caught(name: str, before: str, after: str, check: str) -> None:
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name), budget="quick", checks=LAW, diagnose=False)
    assert check in [finding.id for finding in verdict.findings if finding.outcome == "failed"]


def test_items_of_a_batch_with_timesteps_of_their_own_are_looked_at() -> None:
    name = "DDPMParallelScheduler"
    subject = adapter.subject(name)
    config = subject.reference(num_steps=4, in_batches=True)

    def run() -> Any:
        model = lambda x, t: torch.zeros_like(x)  # noqa: E731
        return subject.function(model, (3, 1, 4, 4), config, device=torch.device("cpu"), dtype=torch.float32)

    run()
    before = "prev_t = prev_t.view(-1, *([1] * (model_output.ndim - 1)))"
    wrong = rewritten(name, before, before.replace("prev_t.view", "prev_t[-1:].view"))
    with wrong, pytest.raises(ValueError, match="with timesteps of their own differs"):
        run()


def test_a_shifted_table_by_hand() -> None:
    """alpha_bar 1/2 with a shift of 3: SNR 1 becomes 1/3, which is alpha_bar 1/4."""
    config = CogVideoXDDIM(betas=(0.5, 0.5), num_steps=2, snr_shift=3.0)
    np.testing.assert_allclose(config.alpha_bar, [1, 1 / 4, 1 / 10])
    made = diffusers.CogVideoXDDIMScheduler(trained_betas=[0.5, 0.5], num_train_timesteps=2)
    np.testing.assert_allclose(made.alphas_cumprod, [1 / 4, 1 / 10], rtol=1e-6)
    rescaled = CogVideoXDDIM(betas=(0.5, 0.5), num_steps=2, rescale_zero_terminal_snr=True, prediction="v")
    np.testing.assert_allclose(rescaled.alpha_bar, [1, 1 / 4, 0], atol=1e-15)


def test_what_a_scheduler_documents_and_does_not_read_changes_nothing() -> None:
    made = diffusers.CogVideoXDDIMScheduler()
    assert made.config.clip_sample
    made.set_timesteps(10)
    x, output = torch.full((1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1), 2.0)
    plain = made.step(output, 500, x)
    assert float(plain.pred_original_sample) > 1
    asked_for_all = made.step(output, 500, x, eta=1.0, use_clipped_model_output=True)
    assert torch.equal(plain.prev_sample, asked_for_all.prev_sample)


def test_a_caller_says_where_each_step_of_unclip_goes() -> None:
    subject = adapter.subject(UNCLIP)
    config = subject.reference(num_steps=4, clip_denoised=False, variance="fixed_small")
    assert config.grid == (999, 666, 333, 0)
    got, should_be = law_of(subject, config), Law.of(respond_reference(config))
    np.testing.assert_allclose(got.times, [999, 666, 333, 0])
    assert apart(got, should_be) < 2e-3
    dropped = rewritten(UNCLIP, "        t = timestep\n", "        t, prev_timestep = timestep, None\n")
    with dropped:
        assert apart(law_of(subject, config), should_be) > 5e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "after", "check"),
    [
        (
            COGVIDEOX,
            "snr_shift_scale + (1 - snr_shift_scale)",
            "snr_shift_scale - (1 - snr_shift_scale)",
            "law/outputs",
        ),
        (COGVIDEOX, "snr_shift_scale: float = 3.0", "snr_shift_scale: float = 3.1", "law/outputs"),
        (COGVIDEOX, "alpha_prod_t**0.5 * a_t", "alpha_prod_t_prev**0.5 * a_t", "law/outputs"),
        (
            COGVIDEOX,
            "if prev_timestep >= 0 else self.final_alpha_cumprod\n\n        beta_prod_t =",
            "if prev_timestep >= 0 else torch.tensor(1.0)\n\n        beta_prod_t =",
            "law/outputs",
        ),
        (
            COGVIDEOX,
            "alphas_bar_sqrt -= alphas_bar_sqrt_T",
            "alphas_bar_sqrt -= 0.9 * alphas_bar_sqrt_T",
            "law/outputs",
        ),
        # A release that reads what it documents.
        (
            COGVIDEOX,
            "        a_t = ((1 - alpha_prod_t_prev)",
            "        if self.config.clip_sample:\n            "
            "pred_original_sample = pred_original_sample.clamp(-1, 1)\n        a_t = ((1 - alpha_prod_t_prev)",
            "clip/replay",
        ),
        # As it stood up to 0.21, and as it is proposed now and again.
        (
            INVERSE,
            "            timestep - self.config.num_train_timesteps // self.num_inference_steps,\n",
            "            timestep + self.config.num_train_timesteps // self.num_inference_steps,\n",
            "law/outputs",
        ),
        (INVERSE, "torch.tensor(1.0) if set_alpha_to_one", "torch.tensor(0.99) if set_alpha_to_one", "law/outputs"),
        (
            INVERSE,
            "(1 - alpha_prod_t_prev) ** (0.5) * pred_epsilon",
            "(1 - alpha_prod_t) ** (0.5) * pred_epsilon",
            "law/outputs",
        ),
        (
            INVERSE,
            "            timesteps += self.config.steps_offset",
            "            timesteps -= self.config.steps_offset",
            "law/times",
        ),
        (INVERSE, "clip_sample: bool = True", "clip_sample: bool = False", "clip/replay"),
        (UNCLIP, "alpha = 1 - beta", "alpha = 1 - alpha_prod_t", "law/noise"),
        (
            UNCLIP,
            "            variance = torch.exp(0.5 * variance)",
            "            variance = torch.exp(variance)",
            "law/noise",
        ),
        (UNCLIP, "frac = (predicted_variance + 1) / 2", "frac = predicted_variance", "law/noise"),
        (
            UNCLIP,
            "            beta = self.betas[t]\n            alpha = self",
            "            beta = self.betas[t] * 1.003\n            alpha = self",
            "law/outputs",
        ),
        (
            UNCLIP,
            "pred_original_sample, -self.config.clip_sample_range, self",
            "pred_original_sample, -1.01, self",
            "clip/replay",
        ),
        (UNCLIP, "if t > 0:", "if t >= 0:", "law/times"),  # NaN: the small variance is 0 there, and has no logarithm
    ],
)
def test_a_mistake_in_a_scheduler_is_caught(name: str, before: str, after: str, check: str) -> None:
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name), budget="quick", diagnose=False)
    assert check in [finding.id for finding in verdict.findings if finding.outcome == "failed"]


def test_data_is_clean_where_inversion_begins() -> None:
    """Of predicted data there is no epsilon then: 0 / 0, or infinity."""
    made = diffusers.DDIMInverseScheduler(prediction_type="sample", clip_sample=False)
    made.set_timesteps(10)
    stepped = made.step(torch.full((1,), 0.3), 0, torch.full((1,), 0.5)).prev_sample
    assert not bool(stepped.isfinite())
    assert adapter.subject(INVERSE, {"prediction_type": "sample"}).fields["start_alpha_bar"] == "first"
