"""The capacity probe on models whose answer is known, and the denoisers that it compares them with."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference_samplers import DDPM, EDM
from reference_samplers.denoisers import GaussianData, PointData
from sampler_harness.detail.baselines import EmpiricalDenoiser, FrequencyFilter, PrincipalFilter, linear_filters
from sampler_harness.detail.capacity import CapacityReport, ModelCapacity, capacity_probe
from sampler_harness.detail.denoising import told_levels

Frames = np.ndarray[Any, np.dtype[np.float64]]

LEVELS = (0.05, 0.3, 1.0, 4.0)
SIZE = 6


def smooth(count: int, seed: int, size: int = SIZE) -> Frames:
    """Gaussian frames, smooth and off-center, from a fixed stream."""
    white = np.random.Generator(np.random.PCG64(seed)).standard_normal((count, 1, size, size))
    summed = white + np.roll(white, 1, axis=3) + np.roll(white, 1, axis=2) + 0.5 * np.roll(white, 2, axis=2)
    return 0.3 * summed + 0.2


def signs(count: int, seed: int, size: int = 8) -> Frames:
    """Frames of independent pixels -1 or 1: no linear filter knows what they are like."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return np.where(generator.standard_normal((count, 1, size, size)) > 0, 1.0, -1.0)


def identity(x: Tensor, sigma: Tensor) -> Tensor:
    return x


def nothing(x: Tensor, sigma: Tensor) -> Tensor:
    return torch.zeros_like(x)


class Sized(nn.Module):
    """A given denoiser that has so many parameters."""

    def __init__(self, denoise: Any, parameters: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(parameters))
        self.denoise = denoise

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        estimate: Tensor = self.denoise(x, sigma)
        return estimate


def exact_signs(x: Tensor, sigma: Tensor) -> Tensor:
    """The posterior mean of a pixel that is -1 or 1."""
    return torch.tanh(x / sigma.reshape(-1, 1, 1, 1) ** 2)


def linear_signs(x: Tensor, sigma: Tensor) -> Tensor:
    """The best linear estimate of the same."""
    return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


def probed(model: Any, data: Frames, train: Frames, **options: Any) -> tuple[ModelCapacity, CapacityReport]:
    report = capacity_probe({"model": model}, data, train=train, **({"levels": LEVELS} | options))
    return report.models[0], report


# The baselines


def test_the_empirical_denoiser_is_the_references_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    points = smooth(50, 1)
    x = smooth(7, 2)
    exact = PointData(points.reshape(50, -1))
    monkeypatch.setattr("sampler_harness.detail.baselines.MOST_SCORES", 120)  # two items at once
    denoiser = EmpiricalDenoiser(points)
    for sigma in (0.01, 0.3, 5.0):
        found = denoiser(torch.from_numpy(x), torch.full((7,), sigma, dtype=torch.float64))
        assert found.numpy() == pytest.approx(exact(x, sigma), abs=1e-9)


def test_the_principal_filter_is_the_denoiser_of_its_covariance() -> None:
    train, x = smooth(100, 1), smooth(5, 2)
    flat = train.reshape(100, -1)
    exact = GaussianData(flat.mean(axis=0), np.cov(flat.T))
    denoiser = PrincipalFilter(train)
    for sigma in (0.05, 1.0):
        found = denoiser(torch.from_numpy(x), torch.full((5,), sigma, dtype=torch.float64))
        assert found.numpy() == pytest.approx(exact(x, sigma), abs=1e-9)


def test_the_frequency_filter_is_exact_where_its_coefficients_are_independent() -> None:
    """White data of variance 1 on top of a fixed frame: x - mean shrinks by 1 / (1 + sigma^2)."""
    pattern = np.linspace(-3, 3, 48).reshape(1, 6, 8)
    train = pattern + np.random.Generator(np.random.PCG64(3)).standard_normal((20_000, 1, 6, 8))
    denoiser = FrequencyFilter(train)
    x = torch.from_numpy(pattern[None] + 1.0)
    found = denoiser(x, torch.tensor([2.0], dtype=torch.float64))
    assert found.numpy() == pytest.approx(pattern[None] + 0.2, abs=0.05)
    untouched = denoiser(x, torch.tensor([1e-6], dtype=torch.float64))
    assert untouched.numpy() == pytest.approx(x.numpy(), abs=1e-9)


def test_a_covariance_is_fitted_only_where_frames_suffice() -> None:
    assert [type(one) for one in linear_filters(smooth(72, 1))] == [FrequencyFilter, PrincipalFilter]
    assert [type(one) for one in linear_filters(smooth(71, 1))] == [FrequencyFilter]
    assert [type(one) for one in linear_filters(np.zeros((3, 1, 40, 40)))] == [FrequencyFilter]
    with pytest.raises(ValueError, match="too large for a covariance"):
        PrincipalFilter(np.zeros((3, 1, 40, 40)))
    with pytest.raises(ValueError, match="train holds one frame"):
        linear_filters(smooth(1, 1))


def test_the_linear_filters_error_is_that_of_the_closed_form() -> None:
    """Off by what 2,000 frames leave unknown of a covariance, and by the scatter of 500 x 36 errors."""
    report = capacity_probe({"model": identity}, smooth(500, 5), train=smooth(2000, 4), levels=LEVELS, items=500)
    whole = smooth(200_000, 6).reshape(200_000, -1)
    power = np.linalg.eigvalsh(np.cov(whole.T))
    exact = [float((power * s**2 / (power + s**2)).sum() / power.sum()) for s in LEVELS]
    assert report.linear.held == pytest.approx(exact, rel=0.06)


# Models whose answer is known


def test_giving_back_the_noisy_frame_is_told() -> None:
    held = smooth(200, 5)
    model, report = probed(identity, held, smooth(100, 4), items=200)
    assert model.errors is not None
    assert model.errors.held == pytest.approx([s**2 / held.var() for s in LEVELS], rel=0.05)
    assert model.parameters == 0
    assert model.kind == "broken"
    assert model.verdict.startswith("broken or untrained at sigma 1, 4:")
    assert all(own > lin for own, lin in zip(model.errors.held, report.linear.held, strict=True))


def test_giving_back_nothing_is_told() -> None:
    model, _ = probed(nothing, smooth(50, 5) - 0.2, smooth(100, 4) - 0.2)
    assert model.errors is not None
    assert model.errors.held == pytest.approx([1.0] * 4, rel=0.02)
    assert model.kind == "broken"
    assert "at sigma 0.05, 0.3:" in model.verdict
    assert "Worse than a linear filter at sigma 1" in model.verdict


def test_wieners_filter_is_as_good_as_itself() -> None:
    train = smooth(60, 4)  # too few for a covariance: one filter alone
    model, report = probed(FrequencyFilter(train), smooth(50, 5), train)
    assert model.errors == report.linear
    assert model.kind == "better"
    assert "no better" in model.verdict


def test_a_filter_that_is_told_half_the_level_is_worse_than_a_linear_one() -> None:
    train = smooth(100, 4)
    exact = FrequencyFilter(train)
    model, _ = probed(Sized(lambda x, sigma: exact(x, 0.5 * sigma), 10), smooth(50, 5), train, levels=(0.3, 0.5))
    assert model.kind == "worse"
    assert model.verdict.startswith("worse than a linear filter at sigma 0.3, 0.5:")


def test_knowing_the_training_set_by_heart_is_told() -> None:
    train = smooth(100, 4)
    model, report = probed(EmpiricalDenoiser(train), smooth(50, 5), train)
    assert model.errors == report.memory
    assert model.errors is not None
    assert model.errors.train is not None
    assert model.errors.train[0] < 1e-12
    assert model.errors.held[0] > 0.1
    assert model.kind == "memorising"
    assert "near memorising at sigma 0.05, 0.3" in model.verdict
    assert "Worse than a linear filter at sigma 0.05" in model.verdict


def test_training_frames_that_are_easier_are_not_memorising() -> None:
    faint = 0.2 * (smooth(100, 4) - 0.2) + 0.2
    model, _ = probed(FrequencyFilter(faint), smooth(50, 5), faint, levels=(0.05, 1.0))
    assert model.kind != "memorising"


def test_structure_that_no_linear_filter_knows_is_told() -> None:
    model, _ = probed(exact_signs, signs(50, 5), signs(60, 4), levels=(0.4, 0.6, 1.0))
    assert model.kind == "better"
    assert model.verdict.startswith("as good as a linear filter or better at every level, at sigma 0.4 with")


def test_octaves_show_where_detail_is_unknown() -> None:
    """A model that knows the coarse alone: its error in the finest octave is all of the data's power there."""

    def coarse(x: Tensor, sigma: Tensor) -> Tensor:
        blurred = nn.functional.avg_pool2d(x, 4)
        return nn.functional.interpolate(blurred, scale_factor=4.0)

    model, report = probed(coarse, smooth(50, 5, 16), smooth(60, 4, 16), levels=(0.05, 0.3))
    assert model.errors is not None
    assert model.errors.finest is not None
    assert report.linear.finest is not None
    assert model.errors.finest[0] > 0.8
    assert report.linear.finest[0] < 0.1


# Larger, or another one


@pytest.mark.parametrize(
    ("small", "large", "says"),
    [
        (linear_signs, exact_signs, "it is worth its size"),
        (linear_signs, linear_signs, "no difference: size is not what is wanting"),
        (exact_signs, linear_signs, "size is not what is wanting; is it trained as long?"),
    ],
)
def test_whether_a_larger_network_helps_is_answered(small: Any, large: Any, says: str) -> None:
    models = {"large": Sized(large, 4000), "small": Sized(small, 50)}
    report = capacity_probe(models, signs(50, 5), train=signs(60, 4), levels=(0.5, 0.7))
    assert len(report.comparisons) == 1
    assert report.comparisons[0].startswith("large (4,000 parameters) against small (50):")
    assert says in report.comparisons[0]


def test_a_larger_network_that_only_knows_its_training_frames_better_is_told() -> None:
    train = signs(60, 4)

    class Half(nn.Module):
        """Knows half of a training frame's noise, and of others what the small one knows."""

        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.zeros(9))
            self.memory = EmpiricalDenoiser(train)

        def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
            recalled = self.memory(x, sigma)
            far = (recalled - x).square().mean(dim=(1, 2, 3), keepdim=True) > 1.5 * sigma.reshape(-1, 1, 1, 1) ** 2
            return torch.where(far, linear_signs(x, sigma), 0.5 * recalled + 0.5 * linear_signs(x, sigma))

    models = {"small": Sized(linear_signs, 1), "large": Half()}
    report = capacity_probe(models, signs(50, 5), train=train, levels=(0.4, 0.5))
    assert "better on its training frames alone" in report.comparisons[0]
    assert report.models[1].kind == "memorising"


# The report


def test_a_report_is_json_and_a_table_and_the_same_every_time() -> None:
    def run() -> CapacityReport:
        return capacity_probe(
            {"filter": FrequencyFilter(smooth(60, 4)), "raw": (lambda x, time: x, EDM())},
            smooth(50, 5),
            train=smooth(60, 4),
            levels=LEVELS,
        )

    def without_seconds(report: CapacityReport) -> Any:
        data = report.to_json()
        for model in data["models"]:
            assert model.pop("seconds") > 0
        return data

    first, second = run(), run()
    assert without_seconds(first) == without_seconds(second)
    assert json.loads(json.dumps(first.to_json()))["levels"] == list(LEVELS)
    lines = first.render()
    assert max(len(line) for line in lines[:10]) < 120
    for line in ("on held-out frames", "on training frames", "on held-out frames, finest octave alone"):
        at = lines.index(line)
        assert [text.split("  ")[0] for text in lines[at + 2 : at + 6]] == [
            "linear filter",
            "training set",
            "filter",
            "raw",
        ]
    assert any(line.startswith("raw: broken") for line in lines)


def test_without_training_frames_half_the_data_is_fitted_and_memorising_is_not_judged() -> None:
    data = smooth(80, 5)
    report = capacity_probe({"memory": EmpiricalDenoiser(data)}, data, levels=LEVELS)
    assert report.models[0].errors is not None
    assert report.models[0].errors.train is None
    assert "first 40 frames" in report.notes[0]
    assert report.models[0].kind == "better"
    assert "on training frames" not in report.render()


def test_a_model_that_cannot_be_run_is_told_in_its_row() -> None:
    def broken(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, torch.nan)

    models: dict[str, Any] = {"broken": broken, "sound": FrequencyFilter(smooth(60, 4))}
    report = capacity_probe(models, smooth(20, 5), train=smooth(60, 4), levels=LEVELS)
    assert report.models[0].errors is None
    assert report.models[0].verdict.startswith("broken: at sigma 0.05 the denoiser returned NaN")
    assert report.models[1].kind == "better"
    assert any("could not be run" in line for line in report.render())


def test_a_chain_is_measured_at_levels_that_it_is_told() -> None:
    reference = DDPM(num_train_timesteps=20, beta_start=0.01, beta_end=0.3)
    exact = FrequencyFilter(smooth(60, 4))
    network = reference.network(lambda x, s: exact(torch.from_numpy(x), torch.tensor([s])).numpy())

    def model(x: Tensor, time: Tensor) -> Tensor:
        return torch.from_numpy(network(x.double().numpy(), int(time[0]))).to(x.dtype)

    report = capacity_probe({"chain": (model, reference)}, smooth(20, 5), train=smooth(60, 4))
    assert set(report.levels) == set(told_levels(reference, report.levels))
    assert report.models[0].errors is not None
    assert report.models[0].errors.held == pytest.approx(report.linear.held, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": {}}, "models are empty"),
        ({"models": {"one": 3}}, "model 'one' is int"),
        ({"levels": (-1.0,)}, "a level is -1.0"),
        ({"train": np.zeros((5, 1, 3, 3))}, r"train has frames of shape \(1, 3, 3\), data of \(1, 6, 6\)"),
        ({"train": None, "data": np.zeros((3, 1, 6, 6))}, "without train 4 or more are needed"),
    ],
)
def test_wrong_arguments_are_one_clear_sentence(arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"models": {"m": identity}, "data": smooth(9, 5), "train": smooth(9, 4)} | arguments
    with pytest.raises(ValueError, match=message):
        capacity_probe(given.pop("models"), given.pop("data"), **given)
