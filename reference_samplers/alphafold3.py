"""Abramson et al. 2024, "Accurate structure prediction of biomolecular interactions with AlphaFold 3", Nature 630."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from . import prediction
from .grids import sigmas
from .grids.noise_levels import KarrasLevels, LevelsByHand
from .openings import Array, Denoise, Model, Noise
from .processes.variance_exploding import VarianceExploding
from .validation import choice, real, refuse, whole

__all__ = ["AlphaFold3", "EndOfLevels"]

EndOfLevels = Literal["lowest", "zero_for_lowest", "zero_behind_lowest"]


@dataclass(frozen=True)
class AlphaFold3(VarianceExploding, LevelsByHand, KarrasLevels):
    """Euler steps that overshoot, each behind a rise of the noise level, with noise a little too large.

    Source: Abramson et al. 2024, supplementary information, Algorithm 18, without the centering and random rotation of
    its line 3, which a wrap leaves out: they mix elements, and are no part of this. In line 9 the paper has x for
    x_noisy, which its released code does not (bytedance/Protenix#8). It is easily taken for EDM's churn, whose rise
    depends on the level that a step comes from, and is told the number of steps.

    Args:
        num_steps: N, >= 1.
        sigma_min: sigma_data * s_min, the lowest level, data units.
        sigma_max: sigma_data * s_max, the first level, data units.
        gamma_0: >= 0, relative rise of the level ahead of a step.
        gamma_min: >= 0, data units: a level is raised where the *next* one is above it.
        noise_scale: lambda, > 0, std of the noise that raises the level.
        step_scale: eta, > 0, factor of the step.
        sigma_data: std of the data, > 0, for a ``"network"``, which is told ln(sigma / sigma_data) / 4 (Algorithm 20).
        ends_at: ``"lowest"``: N + 1 levels, of which the last is ``sigma_min`` (the paper); ``"zero_for_lowest"``: 0
            stands in its place (Protenix); ``"zero_behind_lowest"``: N levels and then 0 (Boltz).

    Raises:
        ValueError: names field, value and legal range.
    """

    num_steps: int = whole(200, low=1)
    sigma_min: float = real(0.0064, above=0)
    sigma_max: float = real(2560.0, above=0)
    gamma_0: float = real(0.8, low=0)
    gamma_min: float = real(1.0, low=0)
    noise_scale: float = real(1.003, above=0)
    step_scale: float = real(1.5, above=0)
    ends_at: EndOfLevels = choice("lowest")
    sigma_data: float = real(16.0, above=0)

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 18, line for line.

        Draws:
            One of the sample's shape at the start, and one at each step, times 0 where no level is raised.
        """
        denoised = self.denoiser(model)
        x: Array = self.initial_std * noise()  # line 1
        for sigma_cur, sigma_next in pairwise(self.levels):  # line 2
            gamma = self.gamma_0 if sigma_next > self.gamma_min else 0.0  # line 4
            t_hat = sigma_cur * (gamma + 1)  # line 5
            xi = self.noise_scale * np.sqrt(t_hat**2 - sigma_cur**2) * noise()  # line 6
            x_noisy = x + xi  # line 7
            delta = (x_noisy - denoised(x_noisy, t_hat)) / t_hat  # lines 8, 9
            dt = sigma_next - t_hat  # line 10
            x = x_noisy + self.step_scale * dt * delta  # line 11
        return x  # line 13

    def check(self) -> None:
        """Levels by hand say themselves where they end; a model of a chain has a table for raised levels."""
        if self.sigmas is not None and self.ends_at != "lowest":
            raise refuse("ends_at", self.ends_at, "left at 'lowest' where sigmas is given")
        if self.times is not None:
            raise refuse("times", self.times, "None: it has none for raised levels; give train_sigmas")
        if self.model_kind in ("epsilon", "v", "x0") and self.train_sigmas is None:
            raise refuse("train_sigmas", None, f"given for model_kind={self.model_kind!r}")
        if self.sigma_max <= self.sigma_min:
            raise refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r}")

    def named_levels(self) -> Array:
        """``(N + 1,)`` levels of equation 7, to where the run ends."""
        if self.ends_at == "zero_behind_lowest":
            return sigmas.karras_sigmas(self.num_steps, self.sigma_min, self.sigma_max, self.rho)
        levels = sigmas.karras_sigmas(self.num_steps + 1, self.sigma_min, self.sigma_max, self.rho)[:-1]
        return np.append(levels[:-1], 0.0) if self.ends_at == "zero_for_lowest" else levels

    def time(self, sigma: Any) -> float:
        """What the model is told: of a network ln(sigma / sigma_data) / 4 (Algorithm 20)."""
        if self.model_kind == "denoiser":
            return float(sigma)
        if self.model_kind == "network":
            return float(prediction.c_noise(sigma / self.sigma_data))
        return float(sigmas.fractional_index(sigma, self._log_train_sigmas))

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration's kind.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """
        exact = super().network(denoise)
        scale = np.log(self.sigma_data) / 4 if self.model_kind == "network" else 0.0
        return lambda x, time: exact(x, time + scale)

    @property
    def stochasticity(self) -> float | None:
        """0 where no level is raised and no step overshoots; else the limit is not that of the process."""
        is_raised = self.gamma_0 > 0 and any(sigma > self.gamma_min for sigma in self.levels[1:])
        return 0.0 if self.step_scale == 1 and not is_raised else None

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.levels) - 1

    @property
    def window_ends(self) -> Any:
        """The level above which noise is added, where it is in effect."""
        return {"gamma_min": False} if self.gamma_0 and self.gamma_min else {}
