"""Samplers as the schedulers of diffusers document them: methods on noise levels, on the grids of that library.

The methods are those of the papers. What a scheduler does beside them, a grid, a table or a scale of its own, is a part
with the scheduler as its source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from .ancestral import EulerAncestralSteps
from .contract import Reference
from .dpm2 import DPM2AncestralSteps, DPM2Steps
from .edm import StochasticSampler
from .grids import sigmas
from .grids.noise_levels import KarrasLevels, LevelsByHand
from .openings import Array, Denoise, Model
from .processes.table_model import TableModel
from .processes.variance_exploding import ModelKind, NoiseLevels
from .validation import choice, flag, real, refuse, whole

__all__ = [
    "EDMEuler",
    "EulerAncestralDiscrete",
    "EulerDiscrete",
    "FinalLevel",
    "FirstNoise",
    "HeunDiscrete",
    "KDPM2AncestralDiscrete",
    "KDPM2Discrete",
]

FirstNoise = Literal["unit_variance_data", "level"]
FinalLevel = Literal["zero", "sigma_min"]

#: The corrector divides a state of size sigma by sigma_next, and multiplies by the step: rounding of 2^-24 grows by
#: sigma^2 / sigma_next, and at 1e4 it is no longer small beside what is clamped.
STEEPEST_CLIPPED_STEP = 1e4


def _refuse_what_is_not_offered(config: Reference, *names: str) -> None:
    for name in names:
        if config.values()[name]:
            raise refuse(name, config.values()[name], "left at its default: the scheduler has no such option")


@dataclass(frozen=True)
class _EndsAt(Reference):
    """Where the run ends.

    Args:
        final_level: ``"zero"``, or ``"sigma_min"``: the lowest level that the network was trained at.
    """

    final_level: FinalLevel = choice("zero")


def _refuse_end_of_levels_by_hand(sampler: EDMEuler | EulerDiscrete) -> None:
    """Levels by hand say themselves where the run ends."""
    if sampler.sigmas is not None and sampler.final_level != "zero":
        raise refuse("final_level", sampler.final_level, "'zero' where sigmas is given")


@dataclass(frozen=True)
class _SignedNetwork(NoiseLevels):
    """A network inside the preconditioning, on levels of ``EDMEulerScheduler``.

    Args:
        sigma_spacing: ``"karras"`` (equation 5) or ``"exponential"``, evenly spaced logarithms.
        sigma_data: std of the data, > 0.
        prediction: ``"epsilon"`` is F as in table 1, ``"v"`` its negative.
        first_noise: std of the first noise: ``"unit_variance_data"``, sqrt(sigma_max^2 + 1), which the scheduler
            documents, or ``"level"``, sigma_max, which Algorithm 1 has.
    """

    sigma_spacing: Literal["karras", "exponential"] = choice("karras")
    sigma_data: float = real(0.5, above=0)
    prediction: Literal["epsilon", "v"] = choice("epsilon")
    first_noise: FirstNoise = choice("unit_variance_data")

    @property
    def model_kind(self) -> ModelKind:
        """F inside the preconditioning."""
        return "network"

    def output_scale(self, sigma: Any) -> Any:
        """What the output, F or its negative, is multiplied by: a line for each, as the scheduler has it."""
        if self.prediction == "epsilon":
            return sigma * self.sigma_data / np.sqrt(sigma**2 + self.sigma_data**2)  # table 1, c_out
        return -sigma * self.sigma_data / np.sqrt(sigma**2 + self.sigma_data**2)  # table 1, c_out

    def network(self, denoise: Denoise) -> Model:
        """The perfect network F, or its negative.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """
        exact = super().network(denoise)
        sign = 1 if self.prediction == "epsilon" else -1
        return lambda x, time: sign * exact(x, time)


@dataclass(frozen=True)
class EDMEuler(LevelsByHand, StochasticSampler, _SignedNetwork, _EndsAt, KarrasLevels):
    """Euler's method of EDM on a network inside the preconditioning, as ``EDMEulerScheduler`` documents it.

    Source: Karras et al. 2022, arXiv:2206.00364, Algorithm 1 without the correction, equation 5, table 1.

    Args:
        sigmas: the levels themselves, decreasing, with the final 0; ``num_steps`` must fit.

    Raises:
        ValueError: names field, value and legal range.
    """

    solver = "euler"

    def check(self) -> None:
        """Levels by hand are as many as there are steps, and where the run ends they say themselves."""
        if self.sigma_max <= self.sigma_min:
            raise refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r}")
        if self.sigmas is not None and self.num_steps != len(self.sigmas) - 1:
            raise refuse("num_steps", self.num_steps, f"{len(self.sigmas) - 1}, one per level")
        _refuse_end_of_levels_by_hand(self)
        if self.num_steps == 1 and self.final_level == "sigma_min":
            raise refuse("num_steps", 1, "> 1 where the run ends at its lowest level: it would end where it starts")

    def named_levels(self) -> Array:
        """``(N + 1,)`` levels of the named spacing, and where the run ends."""
        if self.sigma_spacing == "exponential":
            levels = sigmas.exponential_sigmas(self.num_steps, self.sigma_min, self.sigma_max)
        else:
            levels = sigmas.karras_sigmas(self.num_steps, self.sigma_min, self.sigma_max, self.rho)[:-1]
        last = levels[-1] if self.final_level == "sigma_min" else 0.0
        return np.append(levels, last)

    @property
    def initial_scale(self) -> float | None:
        """Std of the first noise, data units."""
        if self.first_noise == "level":
            return None
        return float(np.sqrt(np.square(self.sigma_max) + 1))


@dataclass(frozen=True)
class EulerDiscrete(StochasticSampler, _EndsAt, TableModel):
    """Euler's method of EDM on the noise levels of a chain, as ``EulerDiscreteScheduler`` documents it.

    Source: Karras et al. 2022, arXiv:2206.00364, Algorithm 2 without the correction; levels from a chain's table
    as in its appendix C.3.4; timesteps: Lin et al. 2023, arXiv:2305.08891, table 2; ``"beta"``: Lee et al. 2024,
    arXiv:2407.12173 (quantiles of time).

    Raises:
        ValueError: names field, value and legal range.
    """

    solver = "euler"

    def check(self) -> None:
        """Where a run on levels by hand ends, they say themselves; it moves."""
        _refuse_end_of_levels_by_hand(self)
        if len(self.levels) == 2 and self.levels[0] == self.levels[1]:
            raise refuse("final_level", self.final_level, "'zero' where it is the only level: the run would not move")

    @property
    def last_level(self) -> Any:
        """Where the run ends: in data, or at the lowest level of the table."""
        return self.table[0] if self.final_level == "sigma_min" else 0.0


@dataclass(frozen=True)
class HeunDiscrete(StochasticSampler, TableModel):
    """Heun's method of EDM on the noise levels of a chain, as ``HeunDiscreteScheduler`` documents it.

    Source: Karras et al. 2022, arXiv:2206.00364, Algorithm 1; the rest as in :class:`EulerDiscrete`. Churn, custom
    levels, rescaling and continuous time are not offered.

    Args:
        clip_denoised: what the model denoises is clamped to ``[-clip_range, clip_range]``.
        clip_range: data units, > 0.
        grid_timesteps: how many timesteps ``set_timesteps`` is told that there are; None for those of the table.

    Raises:
        ValueError: names field, value and legal range.
    """

    beta_start: float = real(0.00085, above=0, below=1)
    beta_end: float = real(0.012, above=0, below=1)
    clip_denoised: bool = flag(False)
    clip_range: float = real(1.0, above=0)
    grid_timesteps: int | None = whole(None, low=2)

    solver = "heun"

    def check(self) -> None:
        """What the scheduler does not offer is left alone."""
        _refuse_what_is_not_offered(
            self, "sigmas", "sigma_min", "sigma_max", "rescale_zero_terminal_snr", "continuous_time", "s_churn"
        )
        steepest = max((high**2 / low for high, low in pairwise(self.levels[:-1])), default=0.0)
        if self.clip_denoised and steepest > STEEPEST_CLIPPED_STEP:
            legal = "False where a step falls so far that rounding in float32 decides what is clamped"
            raise refuse("clip_denoised", True, legal)

    @property
    def grid_length(self) -> int:
        """How many timesteps a spacing is laid over."""
        return self.num_train_timesteps if self.grid_timesteps is None else self.grid_timesteps

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """D(x; sigma), clamped where that is asked for."""

        def denoised(x: Array, sigma: Any) -> Array:
            return self.clipped(self.to_x0(x, model(self.input_scale(sigma) * x, self.time(sigma)), sigma))

        return denoised

    @property
    def is_clipped(self) -> bool:
        """Whether the clamp may act."""
        return self.clip_denoised

    def clipped(self, x0: Array) -> Array:
        """Predicted data as the clamp leaves it."""
        if self.clip_denoised:
            return np.clip(x0, -self.clip_range, self.clip_range)
        return x0

    @property
    def clip_reach(self) -> float:
        """Magnitude that a clamp leaves no value beyond."""
        return self.clip_range

    @property
    def clip_told(self) -> str:
        """What should be done to predicted data."""
        return f"clamp at ±{self.clip_range:g}" if self.clip_denoised else super().clip_told


@dataclass(frozen=True)
class EulerAncestralDiscrete(EulerAncestralSteps, TableModel):
    """Euler's method with ancestral noise, as ``EulerAncestralDiscreteScheduler`` documents it.

    Source: Song et al. 2021, arXiv:2011.13456, appendix F, equation 47; levels from a chain's table: Karras et al.
    2022, arXiv:2206.00364, appendix C.3.4; timesteps: Lin et al. 2023, arXiv:2305.08891, table 2. Levels of a named
    spacing or by hand are not offered, nor is ``eta``, which is 1.

    Raises:
        ValueError: names field, value and legal range.
    """

    def check(self) -> None:
        """What the scheduler does not offer is left alone."""
        _refuse_what_is_not_offered(self, "sigmas", "timesteps", "sigma_min", "sigma_max", "continuous_time")
        if self.sigma_spacing != "timesteps":
            raise refuse("sigma_spacing", self.sigma_spacing, "'timesteps': the scheduler has no such option")
        if self.prediction == "x0":
            raise refuse("prediction", "x0", "'epsilon' or 'v': the scheduler takes no other")


@dataclass(frozen=True)
class _TwoCalls(TableModel):
    """What both schedulers of DPM-Solver-2 leave out, and their defaults."""

    beta_start: float = real(0.00085, above=0, below=1)
    beta_end: float = real(0.012, above=0, below=1)

    def check(self) -> None:
        """What the schedulers do not offer is left alone; the middle of a step has a place in the table."""
        _refuse_what_is_not_offered(
            self, "sigmas", "timesteps", "sigma_min", "sigma_max", "rescale_zero_terminal_snr", "continuous_time"
        )
        if self.prediction == "x0":
            raise refuse("prediction", "x0", "'epsilon' or 'v': the schedulers take no other")


@dataclass(frozen=True)
class KDPM2Discrete(DPM2Steps, _TwoCalls):
    """DPM-Solver-2 on the noise levels of a chain, as ``KDPM2DiscreteScheduler`` documents it.

    Source: Lu et al. 2022, arXiv:2206.00927, Algorithm 1 with alpha = 1 and r_1 = 1/2; levels from a chain's table:
    Karras et al. 2022, arXiv:2206.00364, appendix C.3.4. Churn and levels by hand are not offered.

    Raises:
        ValueError: names field, value and legal range.
    """

    def check(self) -> None:
        """No level is raised."""
        _refuse_what_is_not_offered(self, "s_churn")


@dataclass(frozen=True)
class KDPM2AncestralDiscrete(DPM2AncestralSteps, _TwoCalls):
    """DPM-Solver-2 with ancestral noise, as ``KDPM2AncestralDiscreteScheduler`` documents it.

    Source: as :class:`KDPM2Discrete`; the noise: Song et al. 2021, arXiv:2011.13456, equation 47, with ``eta`` = 1.

    Raises:
        ValueError: names field, value and legal range.
    """
