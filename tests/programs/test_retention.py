"""How much detail a sampler keeps, in closed form: against drawn samples, by hand, and where there is none."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reference_samplers import DDIM, DDPM, EDM, FlowEuler
from sampler_harness import sampler_under_test
from sampler_harness.checks.marginal import propagate
from sampler_harness.detail.retention import (
    RetentionUnavailable,
    beside_reference,
    decibels,
    detail_retention,
    measured_law,
    power_law,
    retention,
    shared_power,
    usual_configuration,
)
from sampler_harness.detail.spectrum import Spectrum, octaves, retained
from sampler_harness.law.law import Law
from sampler_harness.law.tolerance import reference_law
from sampler_harness.subject import Subject
from sampler_harness.targets import load_subject
from scripts.detail_ranking import AGREEMENT, agreement, game_spectrum, kind_of

SPECTRUM = power_law(16, 16)
#: Rings times samplers, two-sided, one false alarm in ten thousand streams: Bonferroni.
ALARM = 1e-4


def subject_of(target: str) -> Subject:
    subject = load_subject(target)
    assert isinstance(subject, Subject)
    return subject


def sound(name: str) -> Subject:
    return subject_of(f"fixtures.torch_samplers.under_test:{name}")


def faulty(name: str) -> Subject:
    return subject_of(f"fixtures.faulty_samplers.{name}")


# Against drawn samples


@pytest.mark.parametrize(
    "number", range(len(AGREEMENT)), ids=[f"{t.rpartition(':')[2]}-{i}" for i, (t, _) in enumerate(AGREEMENT)]
)
@pytest.mark.sampled(every=3)
def test_drawn_samples_have_the_power_of_the_closed_form(number: int) -> None:
    from scipy.stats import norm

    found = agreement(number, samples=2500, size=8)
    bound = float(norm.isf(ALARM / 2 / (len(AGREEMENT) * found.closed.size)))
    assert np.abs(found.z).max() < bound
    # And the errors are no wider than they should be: with 6 rings their mean square is 1 within 4 standard errors.
    assert (found.z**2).mean() < 1 + 4 * np.sqrt(2 / found.z.size)
    if found.name not in ("edm", "ddpm", "ddim", "trajectory_misses_final_image"):
        assert found.refutes_reference_at > 3  # the samples are not the reference's


# By hand


def test_a_law_that_does_nothing_keeps_what_its_noise_has() -> None:
    """One call, weighed 1, of a model that sees the first noise at sigma 2: the closed form on paper."""
    law = Law(
        times=np.array([2.0]),
        offset=np.zeros(2),
        outputs=np.array([[0.0], [1.0]]),
        factor=np.array([[2.0], [0.0]]),
        opened=(0,),
    )
    found = retention(law, SPECTRUM, EDM())
    gain = SPECTRUM.power / (SPECTRUM.power + 4.0)
    assert found.kept == pytest.approx((2.0 * gain) ** 2 / SPECTRUM.power)


@pytest.mark.parametrize(
    "config",
    [
        EDM(s_churn=10.0),
        EDM(model_kind="network"),
        DDPM(num_steps=30),
        DDIM(num_steps=20, prediction="v"),
        FlowEuler(20),
    ],
    ids=lambda c: type(c).__name__,
)
def test_each_frequency_is_one_gaussian_direction(config: Any) -> None:
    """Another road to the same number: forwards through all rows, one frequency at a time."""
    law = reference_law(config)
    kept = retention(law, SPECTRUM, config).kept
    forwards = [propagate(law, config.network, 0.0, float(p))[-1].variance / p for p in SPECTRUM.power]
    assert kept == pytest.approx(forwards, rel=1e-9)


def test_references_keep_all_detail_with_many_steps() -> None:
    """Heun's error falls with the square of the steps; the whole chain of DDPM loses a few hundredths of a decibel."""
    fine = retention(reference_law(EDM(num_steps=512)), SPECTRUM, EDM(num_steps=512))
    coarse = retention(reference_law(EDM(num_steps=64)), SPECTRUM, EDM(num_steps=64))
    assert max(abs(1 - share) for share in fine.octaves) < 0.02
    assert abs(1 - fine.octaves[0]) < abs(1 - coarse.octaves[0])
    assert all(0.0 < -decibels(share) < 0.15 for share in retention(reference_law(DDPM()), SPECTRUM, DDPM()).octaves)


def test_a_whole_chain_takes_well_under_a_second() -> None:
    law = reference_law(DDPM())
    spectrum = power_law(84, 84)
    started = time.process_time()
    retention(law, spectrum, DDPM())
    assert time.process_time() - started < 2.0  # 0.04 s; forwards through all rows it would be minutes


def test_constants_are_no_detail() -> None:
    law = reference_law(EDM())
    shifted = Law(law.times, law.offset + 3.0, law.outputs, law.factor, law.opened)
    assert np.array_equal(retention(shifted, SPECTRUM, EDM()).kept, retention(law, SPECTRUM, EDM()).kept)


def test_octaves_are_the_spectrums_own() -> None:
    found = retention(reference_law(DDIM(num_steps=20)), SPECTRUM, DDIM(num_steps=20))
    samples = Spectrum(SPECTRUM.frequency, found.kept * SPECTRUM.power, SPECTRUM.count, 1)
    assert found.octaves == retained(samples, SPECTRUM)
    assert found.names == tuple(octave.name for octave in octaves(SPECTRUM))


# Samplers


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("edm", EDM(s_churn=10.0)),
        ("edm_by_hand", None),
        ("ddpm", DDPM(num_steps=50)),
        ("ddpm_learned", DDPM(num_steps=20, variance="learned_range")),
        ("ddim", DDIM(num_steps=50, eta=1.0)),
        ("flow", None),
    ],
)
def test_a_sound_sampler_keeps_what_its_reference_keeps(name: str, config: Any) -> None:
    found = detail_retention(sound(name), game_spectrum(), config=config)
    assert np.abs(found.change_db).max() < 1e-4
    assert min(found.shared) > 1 - 1e-5


def test_float32_alone_is_precise_enough_where_float64_fails() -> None:
    @sampler_under_test(EDM, num_steps=18)
    def single(model: Any, shape: Any, config: EDM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        assert dtype == torch.float32
        sampled: Tensor = sound("edm")(model, shape, config, device=device, dtype=dtype)
        return sampled

    assert np.abs(detail_retention(single, game_spectrum()).change_db).max() < 0.01


@pytest.mark.parametrize(
    ("name", "config", "kind", "finest"),
    [
        ("diamond:diamond", EDM(num_steps=18, sigma_max=5.0, solver="euler", s_noise=0.9), "fades", -13.98),
        ("edm:initial_noise_unscaled", None, "fades", -13.98),
        ("ddpm:variance_for_std", None, "fades", -13.0),
        ("edm:final_level_repeats_sigma_min", None, "as before", 0.0),
        ("ddpm:late_noise_too_strong", DDPM(num_steps=7), "grain", 2.76),
        ("ddpm:index_zero_never_used", None, "grain", 0.77),
        ("constructed:slope_too_short", None, "exaggerates", 5.47),
        ("ddpm:noise_shared_by_channels", None, "as before", 0.0),
    ],
)
def test_faults_that_fade_and_faults_that_add_noise_are_told_apart(
    name: str, config: Any, kind: str, finest: float
) -> None:
    found = detail_retention(faulty(name), power_law(84, 84), config=config)
    assert kind_of(found) == kind
    assert found.change_db[0] == pytest.approx(finest, abs=0.5)


def test_first_noise_unscaled_costs_the_square_of_the_first_level() -> None:
    found = detail_retention(faulty("edm:initial_noise_unscaled"), SPECTRUM)
    assert found.change_db == pytest.approx([-20 * np.log10(5.0)] * 3, abs=1e-6)
    assert found.shared == pytest.approx([1.0] * 3, abs=1e-9)


def test_a_wrongly_told_level_is_answered_as_a_trained_network_would() -> None:
    config = EDM(num_steps=18, sigma_max=5.0, solver="euler", s_churn=4.0)
    law = measured_law(faulty("edm:denoiser_at_sigma_after_churn"), config)
    right_times = Law(reference_law(config).times, law.offset, law.outputs, law.factor, law.opened)
    assert beside_reference(right_times, SPECTRUM, config).change_db == pytest.approx([0.0] * 3, abs=1e-4)
    assert min(beside_reference(law, SPECTRUM, config).change_db) > 0.3


def test_shared_power_tells_grain_from_exaggeration() -> None:
    """Noise of variance n on top of detail of power p shares p / (p + n); a factor shares all."""
    config = EDM()
    law = reference_law(config)
    grain = np.zeros((law.num_calls + 1, 1))
    grain[-1] = 0.1
    noisy = Law(law.times, law.offset, law.outputs, np.hstack([law.factor, grain]), (*law.opened, law.num_calls))
    exact = retention(law, SPECTRUM, config)
    power = exact.kept * SPECTRUM.power
    assert shared_power(retention(noisy, SPECTRUM, config), exact) == pytest.approx(power / (power + 0.01))
    outputs = law.outputs.copy()
    outputs[-1] *= 1.5
    factor = law.factor.copy()
    factor[-1] *= 1.5
    larger = retention(Law(law.times, law.offset, outputs, factor, law.opened), SPECTRUM, config)
    assert larger.kept == pytest.approx(2.25 * exact.kept)
    assert shared_power(larger, exact) == pytest.approx(np.ones(exact.kept.shape))


def test_the_usual_configuration_is_long_and_without_clamp() -> None:
    assert usual_configuration(sound("ddim")).num_steps == 50
    assert not usual_configuration(sound("ddim")).is_clipped
    assert usual_configuration(sound("edm")).num_steps == 40


# Where there is no closed form


def one_number_a_frame(model: Any, shape: Any, config: EDM, *, device: torch.device, dtype: torch.dtype) -> Tensor:
    x = config.sigma_grid[0] * torch.randn((*shape[:2], 1, 1), device=device, dtype=dtype).expand(shape)
    for sigma, after in zip(config.sigma_grid[:-1].tolist(), config.sigma_grid[1:].tolist(), strict=True):
        x = x + (after - sigma) * (x - model(x, sigma)) / sigma
    sample: Tensor = x
    return sample


@pytest.mark.parametrize(
    ("subject", "config", "message"),
    [
        (sound("ddim"), DDIM(num_steps=10, clip_denoised=True), "clamps x0 here, which mixes frequencies"),
        (sound("ddpm_learned"), DDPM(num_steps=10, variance="learned"), "decides the variance freely"),
        (faulty("clip:tanh_for_clamp"), None, "declared with a clamp alone"),
        (faulty("clip:quantised_by_truncation"), None, "is not affine"),
        (faulty("edm:nan_into_zero"), None, "cannot be measured: the returned sample is not finite"),
        (faulty("state:noise_from_numpy"), None, "draws no noise that the harness sees"),
        (faulty("ddpm:offset_noise_at_inference"), DDPM(num_steps=3), "share a drawn number"),
        (Subject(one_number_a_frame, EDM, name="flat"), EDM(num_steps=5, solver="euler"), "in flat pixels .* share"),
    ],
)
def test_what_has_no_closed_form_is_said(subject: Subject, config: Any, message: str) -> None:
    with pytest.raises(RetentionUnavailable, match=message):
        detail_retention(subject, SPECTRUM, config=config)


def told(times: list[float]) -> Law:
    calls = len(times)
    outputs = np.tri(calls + 1, calls, -1)
    return Law(np.array(times), np.zeros(calls + 1), outputs, np.ones((calls + 1, 1)), (0,))


@pytest.mark.parametrize(
    ("times", "config", "message"),
    [
        ([3.0, 1000.0], DDPM(), "model call 1 is told time 1000, at which no model was trained"),
        ([-1.0], DDPM(), "told time -1"),
        ([float("nan")], EDM(), "told time nan"),
        ([300.0], EDM(model_kind="network"), "told time 300, at which the perfect model's output is not finite"),
    ],
)
def test_a_time_that_no_model_knows_is_said(times: list[float], config: Any, message: str) -> None:
    with pytest.raises(RetentionUnavailable, match=message):
        retention(told(times), SPECTRUM, config)


def test_a_spectrum_without_power_is_refused() -> None:
    flat = Spectrum(SPECTRUM.frequency, np.where(SPECTRUM.frequency > 0.4, 0.0, 1.0), SPECTRUM.count, 1)
    with pytest.raises(ValueError, match=r"the data has no power at 0\.44"):
        retention(reference_law(EDM()), flat, EDM())
    with pytest.raises(ValueError, match="std is 0"):
        power_law(8, 8, std=0)


def test_a_power_law_has_the_variance_that_is_asked_for() -> None:
    natural = power_law(32, 24, 2.0, std=0.3)
    assert float((natural.count * natural.power).sum()) / (32 * 24) == pytest.approx(0.09)
    assert natural.power[0] / natural.power[-1] == pytest.approx((natural.frequency[-1] / natural.frequency[0]) ** 2)
