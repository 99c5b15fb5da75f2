"""Consistency models as schedulers of diffusers sample them: their networks, on grids of that library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from .consistency import MultistepConsistency
from .grids import sigmas, spacings
from .openings import Array, Model, Noise
from .processes.trig_flow import TrigFlow, TrigPrediction
from .processes.variance_exploding import ModelKind, NoiseLevels
from .validation import checked_whole, checked_wholes, flag, real, refuse, store, whole

__all__ = ["SCM", "CMStochasticIterative"]


@dataclass(frozen=True)
class CMStochasticIterative(MultistepConsistency, NoiseLevels):
    """Multistep consistency sampling on a network, as ``CMStochasticIterativeScheduler`` documents it.

    Source: Song et al. 2023, arXiv:2303.01469, Algorithm 1; the network: equation 5 and appendix C; levels: Karras et
    al. 2022, arXiv:2206.00364, equation 5, with T of them.

    Args:
        num_steps: n, calls of the model, in [1, T]; None where ``timesteps`` is given.
        num_train_timesteps: T, levels of the whole grid.
        sigma_min: epsilon, the lowest of them, data units, > 0.
        sigma_max: the highest, data units, > ``sigma_min``.
        sigma_data: std of the data, > 0.
        s_noise: std of the fresh noise, > 0.
        rho: > 0.
        clip_denoised: predicted data is clamped to ±1.
        timesteps: which of the T levels are visited, descending, in [0, T - 1], as the scheduler is given them: it
            walks from the last of these, of which 0 is ``sigma_max``; excludes ``num_steps``.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_steps: int | None = None
    num_train_timesteps: int = whole(40, low=2)
    sigma_min: float = real(0.002, above=0)
    sigma_max: float = real(80.0, above=0)
    sigma_data: float = real(0.5, above=0)
    s_noise: float = real(1.0, above=0)
    rho: float = real(7.0, above=0)
    clip_denoised: bool = flag(True)
    timesteps: tuple[int, ...] | None = None

    def check(self) -> None:
        """The levels fall, and are some of those that there are."""
        if self.sigma_max <= self.sigma_min:
            raise refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r}")
        if self.missing_variance(self.sigma_min) < 0:
            legal = "one whose square float32 does not take below itself: the scheduler's last step is NaN (FINDINGS)"
            raise refuse("sigma_min", self.sigma_min, legal)
        last = self.num_train_timesteps - 1
        if self.timesteps is None:
            store(self, "num_steps", checked_whole("num_steps", self.num_steps, 1, self.num_train_timesteps))
            return
        store(self, "timesteps", checked_wholes("timesteps", self.timesteps, 0, last))
        self.refuse_beside("timesteps", "num_steps")
        if any(low >= high for high, low in pairwise(self.timesteps)):
            raise refuse("timesteps", self.timesteps, "strictly descending")

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 1, and what float32 leaves of a noise that should be 0 behind the last call.

        Draws:
            One of the sample's shape at the start, one before each further call, and one behind the last of several.
        """
        f = self.denoiser(model)
        tau_first, *taus = self.levels[:-1]
        x_hat: Array = self.initial_std * noise()  # input
        x = f(x_hat, tau_first)  # line 1
        for tau in taus:  # line 2
            z = noise()  # line 3
            alpha, sigma = self.renoised_scales(tau)
            x_hat = alpha * x + sigma * z  # line 4
            x = f(x_hat, tau)  # line 5
        if taus:
            x = x + self.renoised_scales(self.sigma_min)[1] * noise()
        return x  # line 7

    def missing_variance(self, level: Any) -> float:
        """What a level's variance is above the lowest one's, as the scheduler works it out.

        The level is squared in float32, and the lowest one before it is rounded to float32: where they are one, what is
        left need not be 0.
        """
        square = np.square(np.float32(max(level, self.sigma_min)))
        return float(square - np.float32(self.sigma_min**2))

    @property
    def places(self) -> tuple[int, ...]:
        """Which of the T levels are visited, from the highest."""
        if self.timesteps is not None:
            return self.timesteps[::-1]
        assert self.num_steps is not None
        return spacings.leading(self.num_train_timesteps, self.num_steps)[::-1]

    @cached_property
    def levels(self) -> Array:
        """``(n + 1,)`` noise levels, and 0 for the data."""
        table = sigmas.karras_sigmas(self.num_train_timesteps, self.sigma_min, self.sigma_max, self.rho)
        return np.append(table[list(self.places)], 0.0)

    @property
    def initial_std(self) -> float:
        """Std of the first noise, wherever the run begins."""
        return self.sigma_max

    @property
    def model_kind(self) -> ModelKind:
        """A network inside a preconditioning."""
        return "network"

    def time(self, sigma: Any) -> float:
        """What the network is told: 1000 times that of Karras et al."""
        return float(1000 * np.log(sigma) / 4)

    def to_x0(self, x: Array, output: Array, sigma: Any) -> Array:
        """What the network stands for: at the lowest level it is x itself (equation 5)."""
        above = sigma - self.sigma_min
        c_skip = self.sigma_data**2 / (above**2 + self.sigma_data**2)  # appendix C
        c_out = self.sigma_data * above / np.sqrt(self.sigma_data**2 + sigma**2)  # appendix C
        predicted: Array = c_skip * x + c_out * output  # eq. 5
        return predicted

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """f(x; sigma), clamped where that is asked for."""

        def denoised(x: Array, sigma: Any) -> Array:
            return self.clipped(self.to_x0(x, model(self.input_scale(sigma) * x, self.time(sigma)), sigma))

        return denoised

    def renoised_scales(self, level: Any) -> tuple[Any, Any]:
        """The whole of the predicted data, and what noise is missing in it."""
        return 1.0, self.s_noise * np.sqrt(self.missing_variance(level))

    @property
    def is_clipped(self) -> bool:
        """Whether the clamp may act."""
        return self.clip_denoised

    def clipped(self, x0: Array) -> Array:
        """Predicted data as the clamp leaves it."""
        return np.clip(x0, -1.0, 1.0) if self.clip_denoised else x0

    @property
    def clip_told(self) -> str:
        """What should be done to predicted data."""
        return "clamp at ±1" if self.clip_denoised else super().clip_told


@dataclass(frozen=True)
class SCM(MultistepConsistency, TrigFlow):
    """Multistep consistency sampling on angles, as ``SCMScheduler`` documents it.

    Source: Lu & Song 2024, arXiv:2410.11081, section 3 and algorithm 2 of its appendix (the multistep sampler of Song
    et al. 2023, arXiv:2303.01469, on TrigFlow). What the scheduler is given is sigma_data F, and x.

    Args:
        num_steps: n, calls of the model, in [1, T].
        num_train_timesteps: T, which bounds n and does nothing else.
        sigma_data: std of the fresh noise, > 0. That of the first noise is the caller's: the scheduler documents 1.
        first_time: the first angle, in (0, 2).
        middle_time: the second one of two steps, in (0, ``first_time``); no other number of steps has it.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_steps: int = whole(2, low=1)
    num_train_timesteps: int = whole(1000, low=1)
    sigma_data: float = real(0.5, above=0)
    first_time: float = real(1.57080, above=0, below=2)
    middle_time: float = real(1.3, above=0, below=2)

    def check(self) -> None:
        """The angles fall."""
        checked_whole("num_steps", self.num_steps, 1, self.num_train_timesteps)
        if self.num_steps == 2 and self.middle_time >= self.first_time:
            raise refuse("middle_time", self.middle_time, f"< first_time={self.first_time!r}")

    @cached_property
    def levels(self) -> Array:
        """``(n + 1,)`` angles, falling to 0."""
        if self.num_steps == 2:
            return np.array([self.first_time, self.middle_time, 0.0])
        return np.linspace(self.first_time, 0.0, self.num_steps + 1)

    @property
    def prediction(self) -> TrigPrediction:
        """dx/dt, which a pipeline makes of the network's output."""
        return "velocity"

    @property
    def initial_std(self) -> float:
        """What the scheduler documents."""
        return 1.0
