"""A small world for triage: fields of a known spectrum, their exact denoiser, and one fault of each kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reference_samplers import EDM, EDMTraining
from sampler_harness import data_under_test, sampler_under_test, training_under_test
from sampler_harness.detail.spectrum import Array, radial_frequency
from sampler_harness.subject import Subject

SIZE = 16
STD = 0.5


def power() -> Array:
    """``(H, W)`` power of the data at each frequency: 1/f², as pictures have it."""
    radius = radial_frequency(SIZE, SIZE)
    radius[0, 0] = 1 / SIZE
    shape = radius**-2.0
    scaled: Array = shape * STD**2 / shape.mean()
    return scaled


def frames(count: int = 16) -> Array:
    """Fields of that power, the same on every machine."""
    white = np.random.Generator(np.random.PCG64(5)).standard_normal((count, 1, SIZE, SIZE))
    fields: Array = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(power())).real
    return fields


class Perfect(nn.Module):
    """The exact denoiser of such fields; ``blur`` makes it know less of the fine ones than there is.

    Args:
        blur: power that it takes for nothing above this frequency, cycles per pixel.
    """

    def __init__(self, blur: float = 1.0) -> None:
        super().__init__()
        known = power() * (radial_frequency(SIZE, SIZE) <= blur)
        self.power = nn.Parameter(torch.from_numpy(known).float())

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        level = torch.as_tensor(sigma, dtype=torch.float32).reshape(-1, 1, 1, 1)
        gain = self.power / (self.power + level**2)
        answer: Tensor = torch.fft.ifft2(torch.fft.fft2(x) * gain).real
        return answer


def edm(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any, told: float = 1.0) -> Tensor:
    """Euler's method as Algorithm 1 has it; ``told`` times the level is what the model hears."""
    sigmas = torch.from_numpy(config.sigma_grid).to(dtype)
    x = torch.randn(shape, dtype=dtype) * sigmas[0]
    for sigma, following in pairwise(sigmas):
        denoised = model(x, (told * sigma).expand(shape[0]))
        x = x + (following - sigma) * (x - denoised) / sigma
    return x


FIELDS: dict[str, Any] = {"num_steps": 60, "sigma_max": 20.0, "sigma_min": 0.02, "solver": "euler"}


@sampler_under_test(EDM, **FIELDS)
def sound(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, device=device, dtype=dtype)


@sampler_under_test(EDM, **FIELDS)
def tells_twice_the_level(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, device=device, dtype=dtype, told=2.0)


@sampler_under_test(EDM, **FIELDS)
def crashes(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    raise OSError("the disk is gone")


def remembers_its_runs() -> Subject:
    """A sampler whose grid ends at a higher level in its second and third run; the first, fourth, … are right."""
    runs = [0]

    @sampler_under_test(EDM, **FIELDS)
    def forgetful(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
        low = config.sigma_min * 8 ** (runs[0] % 3)
        runs[0] += 1
        return edm(model, shape, dataclasses.replace(config, sigma_min=low), device=device, dtype=dtype)

    return forgetful


def step(model: Any, x0: Tensor, config: EDMTraining, *, level_scale: float = 1.0) -> Tensor:
    sigma = (config.P_mean + config.P_std * torch.randn(x0.shape[0])).exp()
    level = sigma.reshape(-1, *[1] * (x0.ndim - 1))
    weight = (level**2 + config.sigma_data**2) / (level * config.sigma_data) ** 2
    loss: Tensor = (weight * (model(x0 + level_scale * level * torch.randn_like(x0), sigma) - x0) ** 2).mean()
    return loss


@training_under_test(EDMTraining)
def sound_step(model: Any, x0: Tensor, config: EDMTraining) -> Tensor:
    return step(model, x0, config)


@training_under_test(EDMTraining)
def adds_less_noise(model: Any, x0: Tensor, config: EDMTraining) -> Tensor:
    return step(model, x0, config, level_scale=0.5)


def gray_batches(low: float, high: float) -> Callable[[], list[Tensor]]:
    """Batches of the fields in 256 gray levels between two values."""

    def batches() -> list[Tensor]:
        levels = torch.from_numpy(np.clip(np.rint((frames(32) / 3 + 0.5) * 255), 0, 255)).float()
        return list(torch.tensor_split(low + levels / 255 * (high - low), 4))

    return batches


sound_data = data_under_test(range="[-1,1]")(gray_batches(-1.0, 1.0))
unit_range = data_under_test(range="[-1,1]")(gray_batches(0.0, 1.0))


def load_perfect(path: str | None) -> Perfect:
    """The loader that a command line names."""
    return Perfect()
