"""Denoising errors against those that are known in closed form, and every kind of network seen as a denoiser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference_samplers import DDIM, DDPM, EDM, FlowEuler
from sampler_harness.detail.denoising import (
    as_denoiser,
    default_levels,
    denoising_errors,
    missed,
    told_levels,
)
from sampler_harness.detail.spectrum import retained

LEVELS = (0.02, 0.3, 2.0, 30.0)
TABLE = tuple(0.03 * 1.09**i for i in range(75))


def frames(count: int = 40, size: int = 8) -> np.ndarray[Any, Any]:
    """White frames of unit variance, from a fixed stream."""
    return np.random.Generator(np.random.PCG64(7)).standard_normal((count, 1, size, size))


def gain(x: Any, sigma: Any) -> Any:
    """The exact denoiser of white data with unit variance."""
    return x / (1 + sigma**2)


def wiener(x: Tensor, sigma: Tensor) -> Tensor:
    return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


def identity(x: Tensor, sigma: Tensor) -> Tensor:
    return x


def as_network(reference: Any, denoise: Any, *, returns: str = "tensor") -> Any:
    """The exact network of a reference on tensors, item by item, as it would be told the time."""
    exact = reference.network(denoise)

    def network(x: Tensor, time: Tensor) -> Any:
        assert time.shape == (x.shape[0],)
        items = []
        for item, told in zip(x.double().numpy(), time.tolist(), strict=True):
            answer = exact(item, told)
            items.append(torch.cat([torch.from_numpy(a) for a in answer]) if isinstance(answer, tuple) else answer)
        output = torch.stack([torch.as_tensor(item) for item in items])
        return {"tensor": output, "tuple": (output,), "sample": SimpleNamespace(sample=output)}[returns]

    return network


@pytest.mark.parametrize(
    "reference",
    [
        EDM(),
        EDM(model_kind="network", sigma_data=0.7),
        EDM(model_kind="epsilon", train_sigmas=TABLE),
        EDM(model_kind="v", train_sigmas=TABLE),
        EDM(model_kind="x0", sigmas=(9.0, 1.7, 0.2, 0.0), times=(900.0, 500.5, 12.0)),
        DDPM(prediction="epsilon"),
        DDPM(prediction="v", beta_schedule="cosine"),
        DDPM(variance="learned_range", num_steps=50),
        DDIM(prediction="x0", rescale_zero_terminal_snr=True),
        FlowEuler(10),
    ],
    ids=lambda r: f"{type(r).__name__}-{getattr(r, 'model_kind', getattr(r, 'prediction', 'flow'))}",
)
@pytest.mark.parametrize("returns", ["tensor", "tuple", "sample"])
def test_every_kind_of_network_becomes_the_denoiser_inside_it(reference: Any, returns: str) -> None:
    denoiser = as_denoiser(as_network(reference, gain, returns=returns), reference)
    levels = told_levels(reference, (0.05, 0.4, 1.5, 6.0))
    x = torch.from_numpy(frames(4)) * torch.tensor(levels).double().reshape(-1, 1, 1, 1)
    sigma = torch.tensor(levels, dtype=torch.float64)
    found = denoiser(x, sigma)
    # Epsilon and flow are magnified by sigma, the index in a table is read back through its logarithm.
    torch.testing.assert_close(found, gain(x, sigma.reshape(-1, 1, 1, 1)), rtol=1e-9, atol=1e-9)


def test_levels_that_a_chain_is_told_are_those_of_its_table() -> None:
    reference = DDPM()
    levels = told_levels(reference, (0.001, 1.0, 1e9))
    table = np.sqrt((1 - reference.alpha_bar[1:]) / reference.alpha_bar[1:])
    assert levels[0] == table[0]
    assert levels[2] == table[-1]
    assert abs(np.log(levels[1])) < 0.01
    assert told_levels(EDM(), LEVELS) == LEVELS


def test_errors_are_those_of_the_closed_form() -> None:
    data = frames(60)
    variance = float(data.var())
    for found in denoising_errors(wiener, data, LEVELS, items=60):
        noise = float((found.sigma / (1 + found.sigma**2)) ** 2)
        kept = float((found.sigma**2 / (1 + found.sigma**2)) ** 2)
        exact = noise + kept * float((data**2).mean())
        # 3,840 pixels: their mean square is off by sqrt(2 / 3840), their correlation with the noise by 1 / sqrt.
        assert found.mse == pytest.approx(exact, rel=5 * np.sqrt(2 / data.size))
        assert found.relative == pytest.approx(found.mse / variance)
    at_identity = denoising_errors(identity, data, LEVELS, items=60)
    assert [e.mse / e.sigma**2 for e in at_identity] == pytest.approx([1.0] * 4, rel=5 * np.sqrt(2 / data.size))
    # One noise for all levels: relative to the level the error of the identity is one number, to float32's rounding.
    assert at_identity[1].mse / 0.3**2 == pytest.approx(at_identity[2].mse / 4.0, rel=1e-5)


def test_errors_do_not_depend_on_batches_or_on_the_other_items(monkeypatch: pytest.MonkeyPatch) -> None:
    data = frames(9)
    seen: list[Tensor] = []

    def keeping(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(x)
        return wiener(x, sigma)

    whole = denoising_errors(keeping, data, (0.3,))[0]
    given = torch.cat(seen)
    monkeypatch.setattr("sampler_harness.detail.denoising.MOST_PIXELS", 128)
    seen.clear()
    assert denoising_errors(keeping, data, (0.3,))[0].mse == pytest.approx(whole.mse, rel=1e-12)
    assert [len(x) for x in seen] == [2, 2, 2, 2, 1]
    assert torch.equal(torch.cat(seen), given)
    seen.clear()
    denoising_errors(keeping, data[:3], (0.3,))
    assert torch.equal(torch.cat(seen), given[:3])


def test_items_are_spread_over_the_data() -> None:
    data = np.concatenate([np.zeros((50, 1, 4, 4)), frames(50, 4)])
    half = denoising_errors(lambda x, sigma: torch.zeros_like(x), data, (1.0,), items=10)[0]
    assert half.mse == pytest.approx(0.5, rel=0.5)


def test_error_by_octave_says_which_details_are_known() -> None:
    data = frames(60, 16)

    def coarse_only(x: Tensor, sigma: Tensor) -> Tensor:
        radius = torch.hypot(torch.fft.fftfreq(16)[:, None], torch.fft.fftfreq(16)[None, :])
        rings = torch.round(radius * 16)  # as the spectrum has them
        kept: Tensor = torch.fft.ifft2(torch.fft.fft2(x) * (rings < 4)).real
        return kept

    ((_, off),) = missed(coarse_only, data, (0.01,))
    relative = retained(off, data, window=False)
    assert relative[0] == pytest.approx(1.0, rel=0.05)
    assert max(relative[1:]) < 1e-3


def test_mode_and_dtype_of_a_model_are_respected() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))
            self.drop = nn.Dropout(0.5)
            self.seen: set[tuple[bool, torch.dtype, bool]] = set()

        def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
            self.seen.add((self.training, x.dtype, torch.is_grad_enabled()))
            kept: Tensor = self.drop(x) * self.weight
            return kept

    model = Model()
    model.train()
    model.drop.eval()
    for denoiser in (model, as_denoiser(model, EDM()), model.forward):
        error = denoising_errors(denoiser, frames(), (0.5,))[0]
        assert error.mse == pytest.approx(0.25, rel=0.1)
        assert model.seen == {(False, torch.float64, False)}
        assert model.training
        assert not model.drop.training


def test_default_levels_are_evenly_spaced_in_their_logarithm() -> None:
    levels = default_levels(0.01, 100.0, 5)
    assert levels == pytest.approx((0.01, 0.1, 1.0, 10.0, 100.0))
    with pytest.raises(ValueError, match="sigma_min must be above 0"):
        default_levels(0.0, 1.0)
    with pytest.raises(ValueError, match="at least 1"):
        default_levels(n=0)


def half_shape(x: Tensor, sigma: Tensor) -> Tensor:
    return x[:, :, ::2]


def broken(x: Tensor, sigma: Tensor) -> Tensor:
    return torch.where(sigma.reshape(-1, 1, 1, 1) > 1, torch.full_like(x, torch.nan), x)


@pytest.mark.parametrize(
    ("denoiser", "message"),
    [
        (half_shape, r"at sigma 0.5 the denoiser returned shape \(8, 1, 4, 8\), should be \(8, 1, 8, 8\)"),
        (broken, r"at sigma 2 the denoiser returned NaN or infinity in 100.0% of the pixels"),
        (lambda x, sigma: x.numpy(), r"at sigma 0.5 the denoiser returned ndarray"),
    ],
)
def test_a_broken_denoiser_is_told_with_its_level(denoiser: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        denoising_errors(denoiser, frames(8), (0.5, 2.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": ()}, "levels are empty"),
        ({"levels": (0.0,)}, "a level is 0.0"),
        ({"items": 0}, "items is 0"),
        ({"data": np.ones((3, 1, 4, 4))}, "one single gray level"),
        ({"data": np.full((3, 1, 4, 4), np.nan)}, "NaN or infinity"),
    ],
)
def test_wrong_arguments_are_one_clear_sentence(arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"data": frames(4), "levels": (1.0,)} | arguments
    with pytest.raises(ValueError, match=message):
        denoising_errors(identity, given.pop("data"), given.pop("levels"), **given)


def test_a_network_that_returns_something_else_is_told() -> None:
    with pytest.raises(ValueError, match="should be an instance of EDM, DDPM, DDIM or FlowEuler"):
        as_denoiser(identity, "edm")
    with pytest.raises(ValueError, match="should be callable"):
        as_denoiser(3, EDM())  # type: ignore[arg-type]
    doubled = as_denoiser(lambda x, time: torch.cat([x, x], dim=1), DDPM())
    with pytest.raises(ValueError, match="DDPM needs a prediction of the input's shape"):
        denoising_errors(doubled, frames(4), (1.0,))
