"""A whole pipeline in small, for triage: frames in gray levels, their exact denoiser, and one fault of each kind.

Fields of a known spectrum stand in for pictures: in [-1, 1], in 256 gray levels. The exact denoiser of such fields is
the model, so that nothing is trained; what a bad training leaves behind is a denoiser that knows less than there is.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from reference_samplers import EDM, EDMTraining
from sampler_harness import data_under_test, sampler_under_test, training_under_test
from sampler_harness.detail.spectrum import Array, radial_frequency
from tests.programs import small_world

SIZE = small_world.SIZE
STD = 0.25


def power() -> Array:
    """``(H, W)`` power of the frames at each frequency: 1/f², as pictures have it."""
    return small_world.power() * (STD / small_world.STD) ** 2


def gray(count: int = 16) -> Array:
    """Gray levels 0 to 255 as a screen has them, the same on every machine."""
    fields = small_world.frames(count) * (STD / small_world.STD)
    levels: Array = np.clip(np.rint((fields + 1) * 127.5), 0, 255)
    levels[0, 0, 0, :2] = 0, 255  # a screen has black and white somewhere
    return levels


# Frames, as --data names them.


def frames() -> Array:
    return gray() / 127.5 - 1


def frames_uint8() -> Any:
    return torch.from_numpy(gray()).to(torch.uint8)


def frames_255() -> Array:
    return gray()


def frames_unit() -> Array:
    return gray() / 255


def frames_soft_unit() -> Array:
    """In [0, 1], and by no gray level of it told apart from bright frames of [-1, 1]."""
    fields: Array = 0.05 + 0.45 * (frames() + 1)
    return fields


def frames_standardised() -> Array:
    values = gray()
    standard: Array = (values - values.mean()) / values.std()
    return standard


def frames_broken() -> Array:
    values = frames()
    values[3] = np.nan
    return values


def frames_gone() -> Array:
    raise FileNotFoundError("episode_17.npz")


def two_frames() -> Array:
    return frames()[:2]


# Models, as --model names them: loaders.


class Denoiser(nn.Module):
    """The exact denoiser of the frames; ``blur`` takes for nothing what is finer, cycles per pixel."""

    def __init__(self, blur: float = 1.0) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.from_numpy(power() * (radial_frequency(SIZE, SIZE) <= blur)).float())

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        level = torch.as_tensor(sigma, dtype=torch.float32).reshape(-1, 1, 1, 1)
        answer: Tensor = torch.fft.ifft2(torch.fft.fft2(x) * (self.power / (self.power + level**2))).real
        return answer


def load(path: str | None) -> Any:
    return Denoiser()


def load_blurred(path: str | None) -> Any:
    return Denoiser(0.2)


def load_noisy(path: str | None) -> Any:
    """Leaves a tenth of what is put in."""
    exact = Denoiser()
    return lambda x, sigma: 0.9 * exact(x, sigma) + 0.1 * x


def load_very_noisy(path: str | None) -> Any:
    exact = Denoiser()
    return lambda x, sigma: 0.7 * exact(x, sigma) + 0.3 * x


def load_nan(path: str | None) -> Any:
    broken = Denoiser()
    with torch.no_grad():
        broken.power[0, 3] = float("nan")
    return broken


def load_raising(path: str | None) -> Any:
    exact = Denoiser()

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        if float(sigma[0]) < 0.1:
            raise KeyError("no embedding for this level")
        answer: Tensor = exact(x, sigma)
        return answer

    return model


def load_narrow(path: str | None) -> Any:
    return lambda x, sigma: x[..., :-1]


def load_absent(path: str | None) -> Any:
    raise RuntimeError("Missing key(s) in state_dict: 'conv_in.weight'")


def load_average(path: str) -> Any:
    """What a training loop saved as its average."""
    model = Denoiser()
    model.load_state_dict(torch.load(path, weights_only=True)["ema"])
    return model


def write_checkpoints(folder: Path) -> tuple[Path, Path]:
    """Two of a run whose weights move and whose average, a blurred one, never does."""
    average = Denoiser(0.2).state_dict()
    places = folder / "early.pt", folder / "late.pt"
    for place, blur in zip(places, (0.3, 1.0), strict=True):
        torch.save({"model": Denoiser(blur).state_dict(), "ema": average, "step": 7}, place)
    return places


# Samplers.


def edm(
    model: Any, shape: tuple[int, ...], config: EDM, dtype: Any, *, told: float = 1.0, ends_in: float = float("inf")
) -> Tensor:
    """Heun's or Euler's method as Algorithm 1 has it; ``told`` times the level is what the model hears."""
    sigmas = torch.from_numpy(config.sigma_grid).to(dtype)
    x = torch.randn(shape, dtype=dtype) * sigmas[0]
    for sigma, following in pairwise(sigmas):
        slope = (x - model(x, (told * sigma).expand(shape[0]))) / sigma
        ahead = x + (following - sigma) * slope
        if following > 0 and config.solver == "heun":
            end = (ahead - model(ahead, (told * following).expand(shape[0]))) / following
            ahead = x + (following - sigma) * (slope + end) / 2
        x = ahead
    return x.clamp(-ends_in, ends_in)


FIELDS: dict[str, Any] = {"sigma_max": 5.0, "sigma_min": 0.01, "num_steps": st.integers(2, 24)}


@sampler_under_test(EDM, **FIELDS)
def sampler(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, dtype)


@sampler_under_test(EDM, **FIELDS)
def tells_twice_the_level(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, dtype, told=2.0)


@sampler_under_test(EDM, **FIELDS)
def tells_a_little_more(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, dtype, told=1.002)


@sampler_under_test(EDM, **FIELDS)
def clamps_the_sample(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, dtype, ends_in=0.2)


@sampler_under_test(EDM, **FIELDS)
def crashes(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    raise OSError("the disk is gone")


@sampler_under_test(EDM, **FIELDS)
def other_for_large_batches(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, dtype, told=2.0 if shape[0] > 12 else 1.0)


@sampler_under_test(EDM, **(FIELDS | {"num_steps": st.integers(20, 40)}))
def steps_unknown(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, dtype)


# Sequences: a horizon of 32 steps, 7 numbers in each, as a policy makes them.

HORIZON, ACTIONS = 32, 7


def _motion_power() -> Array:
    """``(T,)`` power of a motion at each frequency of time."""
    frequency = np.abs(np.fft.fftfreq(HORIZON))
    frequency[0] = 1 / HORIZON
    shape = frequency**-2.0
    scaled: Array = shape * STD**2 / shape.mean()
    return scaled


def motions(count: int = 48) -> Array:
    white = np.random.Generator(np.random.PCG64(8)).standard_normal((count, HORIZON, ACTIONS))
    moved: Array = np.fft.ifft(np.fft.fft(white, axis=1) * np.sqrt(_motion_power())[:, None], axis=1).real
    return moved


def load_motions(path: str | None, *, quick: float = 1.0) -> Any:
    """The exact denoiser of such motions; ``quick`` takes for nothing what is quicker, cycles per step."""
    known = torch.from_numpy(_motion_power() * (np.abs(np.fft.fftfreq(HORIZON)) <= quick)).float()[:, None]

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        gain = known / (known + torch.as_tensor(sigma, dtype=torch.float32).reshape(-1, 1, 1) ** 2)
        answer: Tensor = torch.fft.ifft(torch.fft.fft(x, dim=1) * gain, dim=1).real
        return answer

    return model


def load_slow_motions(path: str | None) -> Any:
    return load_motions(path, quick=0.2)


@sampler_under_test(EDM, shapes=[(2, HORIZON, ACTIONS)], **FIELDS)
def motion_sampler(model: Any, shape: tuple[int, ...], config: EDM, *, device: Any, dtype: Any) -> Tensor:
    return edm(model, shape, config, dtype)


# Training steps.


def step(model: Any, x0: Tensor, config: EDMTraining, level_scale: float) -> Tensor:
    sigma = (config.P_mean + config.P_std * torch.randn(x0.shape[0])).exp()
    level = sigma.reshape(-1, *[1] * (x0.ndim - 1))
    weight = (level**2 + config.sigma_data**2) / (level * config.sigma_data) ** 2
    loss: Tensor = (weight * (model(x0 + level_scale * level * torch.randn_like(x0), sigma) - x0) ** 2).mean()
    return loss


@training_under_test(EDMTraining)
def training(model: Any, x0: Tensor, config: EDMTraining) -> Tensor:
    return step(model, x0, config, 1.0)


@training_under_test(EDMTraining)
def adds_less_noise(model: Any, x0: Tensor, config: EDMTraining) -> Tensor:
    return step(model, x0, config, 0.5)


# Batches.


@data_under_test(range="[-1,1]")
def batches() -> list[Tensor]:
    return list(torch.tensor_split(torch.from_numpy(gray(32) / 127.5 - 1).float(), 4))


@data_under_test(range="[-1,1]")
def batches_unit() -> list[Tensor]:
    return list(torch.tensor_split(torch.from_numpy(gray(32) / 255).float(), 4))


@data_under_test(range="[-1,1]")
def batches_gone() -> list[Tensor]:
    raise FileNotFoundError("train_000.npz")
