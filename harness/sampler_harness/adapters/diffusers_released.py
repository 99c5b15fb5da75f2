"""What diffusers' schedulers do in the corners in which they leave their papers: references with the released line.

Context: a corner used to be declared by the checks that fail in it, which excused whatever else was wrong there.
Choice: what the release does stands here as a reference of the same parts, and the scheduler must be *that* in its
corner, to every digit. None of them is a paper's: no exact network, so that no limit is asked of them.
Reversed by: a release of diffusers in which a corner follows the paper; then its class and its entry go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

import reference_samplers
from reference_samplers import diffusers, diffusers_chains
from reference_samplers.contract import Reference
from reference_samplers.edm import StochasticSampler
from reference_samplers.grids.table_levels import BETA_SHAPE, TableLevels
from reference_samplers.openings import Array, Model, Noise
from reference_samplers.processes import betas
from reference_samplers.processes.table_chain import TableChain
from reference_samplers.validation import refuse

from .diffusers_corners_chains import BatchedDDIM, BatchedDDPM

__all__ = ["PAPERS", "RELEASED", "RELEASED_COPIES"]


class _Released(Reference):
    """Not a paper's sampler."""

    @property
    def has_network(self) -> bool:
        """No limit is claimed."""
        return False


def _counted_down(num_train_timesteps: int, num_steps: int) -> tuple[int, ...]:
    """Trailing timesteps as ``set_timesteps`` counts them: with a rounded quotient, one too many for some n."""
    ratio = num_train_timesteps / num_steps
    return tuple(int(t) - 1 for t in np.round(np.arange(num_train_timesteps, 0, -ratio)))


# Chains. A level is the number of an entry, from 1; here level 0, timestep -1, is the noisiest one, as an index of
# -1 is, and what is behind the last step has a place of its own at the end of the table.


class _IndexedFromTheEnd(_Released, TableChain):
    """A table in which timestep -1 is the last entry."""

    @cached_property
    def alpha_bar(self) -> Array:
        """``(T + 2,)``: the last entry, the table, and what is behind the last step."""
        table = self._train_alpha_bar
        return np.concatenate([table[-1:], table, [self.final_alpha_bar_of(table)]])


@dataclass(frozen=True)
class ReleasedDDPM(_IndexedFromTheEnd, reference_samplers.DDPM):
    """``DDPMScheduler``: trailing timesteps counted down, and noise wherever the timestep is above 0."""

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """``(n,)`` or one more, descending."""
        steps = self.num_train_timesteps if self.num_steps is None else self.num_steps
        return _counted_down(self.num_train_timesteps, steps)

    @property
    def levels(self) -> tuple[int, ...]:
        """Where each step begins, and where the run ends."""
        return (*(t + 1 for t in self.grid), self.num_train_timesteps + 1)

    @property
    def transitions(self) -> tuple[tuple[int, int], ...]:
        """``(t, t_next)``: -1 and T + 1 are both what is behind the last step; only the latter is above 0."""
        found = []
        for t, t_next in pairwise((*self.grid, -1)):
            behind = self.num_train_timesteps + 1 if t > 0 else -1
            found.append((t + 1, t_next + 1 if t_next >= 0 else behind))
        return tuple(found)

    def std(self, alpha_bar: Any, alpha_bar_next: Any, beta: Any, v: Any) -> Any:
        """Std of a step's draw; the smaller variance of ``learned_range`` is 1e-20 where it is 0, for its logarithm."""
        variance = (1 - alpha_bar_next) / (1 - alpha_bar) * beta
        if self.variance == "fixed_large":
            return np.sqrt(beta)
        if self.variance == "learned":
            return np.exp(0.5 * v)
        if self.variance == "fixed_small":
            return np.sqrt(variance)
        share = (v + 1) / 2
        return np.exp(0.5 * (share * np.log(beta) + (1 - share) * np.log(np.maximum(variance, 1e-20))))


@dataclass(frozen=True)
class ReleasedLaplaceDDPM(_Released, reference_samplers.DDPM):
    """``DDPMScheduler`` with ``beta_schedule="laplace"``: the signal scale is taken for alpha_bar."""

    @property
    def table_of_schedule(self) -> Array:
        """``(T,)`` alpha_bar after each timestep."""
        time = np.linspace(0.0, 1.0, self.num_train_timesteps + 1)
        log_snr = -0.5 * np.sign(0.5 - time) * np.log(1 - 2 * np.abs(0.5 - time) + 1e-6)
        return betas.alpha_bar(betas.limited_betas(np.sqrt(1 / (1 + np.exp(-log_snr)))))


@dataclass(frozen=True)
class ReleasedDDIM(_IndexedFromTheEnd, reference_samplers.DDIM):
    """``DDIMScheduler``: each step ends T // n below where it begins, trailing timesteps are counted down."""

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """``(n,)`` or one more, descending."""
        steps = self.num_train_timesteps if self.num_steps is None else self.num_steps
        if self.timestep_spacing == "trailing":
            return _counted_down(self.num_train_timesteps, steps)
        if self.timestep_spacing == "linspace":
            spaced = np.linspace(0, self.num_train_timesteps - 1, steps)
            return tuple(int(t) for t in np.round(spaced)[::-1])
        return tuple(i * (self.num_train_timesteps // steps) + self.steps_offset for i in reversed(range(steps)))

    @property
    def levels(self) -> tuple[int, ...]:
        """Where each step begins, and where the run ends."""
        return (*(t + 1 for t in self.grid), self.transitions[-1][1])

    @property
    def transitions(self) -> tuple[tuple[int, int], ...]:
        """``(t, t_next)``, whatever the next entry of the grid is."""
        steps = self.num_train_timesteps if self.num_steps is None else self.num_steps
        stride = self.num_train_timesteps // steps
        behind = self.num_train_timesteps + 1
        return tuple((t + 1, t - stride + 1 if t >= stride else behind) for t in self.grid)


@dataclass(frozen=True)
class ReleasedCogVideoXDDIM(ReleasedDDIM, diffusers_chains.CogVideoXDDIM):
    """``CogVideoXDDIMScheduler``: as DDIMScheduler, on its own table."""


# Noise levels.


class _ChurnedAfterTheCall(_Released, StochasticSampler):
    """Algorithm 2 with the model's call before the rise of the level."""

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample, as ``step`` does it."""
        x: Array = self.initial_std * noise()
        for sigma_cur, sigma_next in pairwise(self.sigma_grid):
            output = model(self.input_scale(sigma_cur) * x, self.time(sigma_cur))
            gamma = self.gamma(sigma_cur)
            sigma_hat = sigma_cur * (gamma + 1)
            x_hat = x + np.sqrt(sigma_hat**2 - sigma_cur**2) * self.s_noise * noise()
            # A v model's output is taken for one at the lower level.
            level = sigma_cur if self.model_kind == "v" else sigma_hat
            d_cur = (x_hat - self.to_x0(x_hat, output, level)) / sigma_hat
            x = x_hat + (sigma_next - sigma_hat) * d_cur
        return x


@dataclass(frozen=True)
class ReleasedEDMEulerChurned(_ChurnedAfterTheCall, diffusers.EDMEuler):
    """``EDMEulerScheduler`` with churn."""


@dataclass(frozen=True)
class ReleasedEulerChurned(_ChurnedAfterTheCall, diffusers.EulerDiscrete):
    """``EulerDiscreteScheduler`` with churn."""


@dataclass(frozen=True)
class ReleasedEDMEulerFirstNoise(_Released, diffusers.EDMEuler):
    """``EDMEulerScheduler``: data of unit variance is thought to be in the first noise."""

    def check(self) -> None:
        """One exponential level is a corner of its own."""
        if self.num_steps == 1 and self.sigma_spacing == "exponential":
            raise refuse("num_steps", 1, "> 1 where levels are exponential (FINDINGS: one step)")

    @property
    def initial_scale(self) -> float:
        """Std of the first noise, data units."""
        return float(np.sqrt(np.square(self.sigma_max) + 1))


@dataclass(frozen=True)
class ReleasedEDMEulerOneStep(_Released, diffusers.EDMEuler):
    """``EDMEulerScheduler`` with one exponential level: the lowest."""

    def named_levels(self) -> Array:
        """``(N + 1,)`` levels and a final 0."""
        ascending = np.linspace(np.log(self.sigma_min), np.log(self.sigma_max), self.num_steps)
        return np.append(np.exp(ascending)[::-1], 0.0)


class _CountedDown(_Released, TableLevels):
    """Trailing timesteps, counted down."""

    @cached_property
    def grid(self) -> tuple[float, ...]:
        """``(n,)`` or one more, descending."""
        steps = self.num_train_timesteps if self.num_steps is None else self.num_steps
        return tuple(float(t) for t in _counted_down(self.num_train_timesteps, steps))


@dataclass(frozen=True)
class ReleasedEulerCountedDown(_CountedDown, diffusers.EulerDiscrete):
    """``EulerDiscreteScheduler`` on such timesteps."""


@dataclass(frozen=True)
class ReleasedHeunCountedDown(_CountedDown, diffusers.HeunDiscrete):
    """``HeunDiscreteScheduler`` on such timesteps."""


class _QuantilesOfTheLevel(_Released, TableLevels):
    """Beta quantiles spread over the noise level."""

    def check(self) -> None:
        """Levels above the table are a corner of their own."""
        if self.sigma_max is not None and self.sigma_max > self.table[-1]:
            raise refuse("sigma_max", self.sigma_max, "one in the table (FINDINGS: levels beyond it)")

    def beta_levels(self, low: Any, high: Any) -> Array:
        """``(N,)`` levels.

        Args:
            low: lowest level, data units.
            high: highest level, data units.
        """
        from scipy import stats

        quantiles = stats.beta.ppf(1 - np.linspace(0.0, 1.0, len(self.grid)), BETA_SHAPE, BETA_SHAPE)
        levels: Array = low + np.asarray(quantiles) * (high - low)
        return levels


@dataclass(frozen=True)
class ReleasedEulerBeta(_QuantilesOfTheLevel, diffusers.EulerDiscrete):
    """``EulerDiscreteScheduler`` with ``use_beta_sigmas``."""


@dataclass(frozen=True)
class ReleasedHeunBeta(_QuantilesOfTheLevel, diffusers.HeunDiscrete):
    """``HeunDiscreteScheduler`` with ``use_beta_sigmas``."""


@dataclass(frozen=True)
class ReleasedEulerLogLinear(_Released, diffusers.EulerDiscrete):
    """``EulerDiscreteScheduler`` with ``interpolation_type="log_linear"``: other levels at the same times."""

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` levels, all above 0: there is one too many for the timesteps."""
        return np.exp(np.linspace(np.log(self.table[-1]), np.log(self.table[0]), len(self.grid) + 1))

    @cached_property
    def times(self) -> tuple[float, ...]:
        """``(N,)`` the timesteps of the spacing."""
        return self.grid


@dataclass(frozen=True)
class ReleasedEulerVelocity(_Released, diffusers.EulerDiscrete):
    """``EulerDiscreteScheduler``: ``get_velocity`` reads the table at the position in the grid."""

    def velocity_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in what ``get_velocity`` returns.

        Args:
            index: entry of the grid.
        """
        level = self.table[index]
        size = np.sqrt(level**2 + 1)
        return -float(level / size), float(1 / size)


# Steps in batches.


@dataclass(frozen=True)
class ReleasedBatchedDDIM(_Released, BatchedDDIM):
    """``DDIMParallelScheduler.batch_step_no_noise``: the run ends in data, whatever ``set_alpha_to_one`` says."""

    def final_alpha_bar_of(self, table: Array) -> Any:
        """1.

        Args:
            table: ``(T,)`` alpha_bar of the timesteps.
        """
        return 1.0


@dataclass(frozen=True)
class ReleasedBatchedDDPM(_Released, BatchedDDPM):
    """``DDPMParallelScheduler.batch_step_no_noise``: the mean goes T // n timesteps down, and the draw to the next."""

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample, as a caller of ``batch_step_no_noise`` does it."""
        x = noise()
        steps = self.num_train_timesteps if self.num_steps is None else self.num_steps
        stride = self.num_train_timesteps // steps
        for t, t_next in self.transitions:
            alpha_bar, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[max(t - stride, 0)]
            x0 = self.to_x0(x, model(x, t - 1), alpha_bar)
            alpha = alpha_bar / alpha_bar_next
            x0_weight = np.sqrt(alpha_bar_next) * (1 - alpha) / (1 - alpha_bar)
            x = x0_weight * x0 + np.sqrt(alpha) * (1 - alpha_bar_next) / (1 - alpha_bar) * x
            if t > 1:
                drawn_to = self.alpha_bar[t_next]
                x = x + self.std(alpha_bar, drawn_to, 1 - alpha_bar / drawn_to, None) * noise()
        return x


#: What is done in a corner, by the name of its known deviation.
RELEASED: dict[str, type[Reference]] = {
    "ddpm-trailing-one-step-too-many": ReleasedDDPM,
    "ddpm-noise-on-the-last-step": ReleasedDDPM,
    "ddpm-laplace-schedule": ReleasedLaplaceDDPM,
    "ddim-linspace-next-entry": ReleasedDDIM,
    "ddim-trailing-next-entry": ReleasedDDIM,
    "ddim-trailing-one-step-too-many": ReleasedDDIM,
    "ddim-offset-next-entry": ReleasedDDIM,
    "edm-euler-first-noise": ReleasedEDMEulerFirstNoise,
    "edm-euler-churn-after-the-model-call": ReleasedEDMEulerChurned,
    "edm-euler-exponential-one-step": ReleasedEDMEulerOneStep,
    "euler-churn-after-the-model-call": ReleasedEulerChurned,
    "euler-trailing-one-step-too-many": ReleasedEulerCountedDown,
    "euler-get-velocity": ReleasedEulerVelocity,
    "euler-log-linear-times": ReleasedEulerLogLinear,
    "euler-beta-sigmas": ReleasedEulerBeta,
    "heun-trailing-one-step-too-many": ReleasedHeunCountedDown,
    "heun-beta-sigmas": ReleasedHeunBeta,
    "ddim-parallel-batch-final-alpha": ReleasedBatchedDDIM,
    "ddpm-parallel-batch-next-entry": ReleasedBatchedDDPM,
}

#: What schedulers do in the same corners, whose tables are others.
RELEASED_COPIES: dict[tuple[str, str], type[Reference]] = {
    (deviation, "CogVideoXDDIMScheduler"): ReleasedCogVideoXDDIM
    for deviation, kind in RELEASED.items()
    if kind is ReleasedDDIM
}

#: The paper's reference of a corner, where that is not the one that the scheduler's own is made of.
PAPERS: dict[str, type[Reference]] = {
    "ddim-parallel-batch-final-alpha": BatchedDDIM,
    "ddpm-parallel-batch-next-entry": BatchedDDPM,
}
