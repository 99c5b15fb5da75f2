"""Ho et al. 2020, "Denoising Diffusion Probabilistic Models", arXiv:2006.11239."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .grids.timesteps import Timesteps
from .openings import Array, Denoise, Model, Noise
from .processes.table_chain import FinalAlphaBar, TableChain
from .validation import choice

__all__ = ["DDPM", "Variance"]

Variance = Literal["fixed_small", "fixed_large", "learned_range", "learned"]


@dataclass(frozen=True)
class DDPM(TableChain, Timesteps):
    """Ancestral sampling: each step draws from the Gaussian that reverses one step of the chain.

    Source: Ho et al. 2020, arXiv:2006.11239, Algorithm 2 in the form of equation 7, which also holds where x0
    is clamped. Learned variance and steps over several timesteps: Nichol & Dhariwal 2021, arXiv:2102.09672,
    equations 15 and 19. Thresholding: Saharia et al. 2022, arXiv:2205.11487.

    Args:
        variance: of each step's draw: ``"fixed_small"`` is the posterior's, ``"fixed_large"`` is beta; with
            ``"learned_range"`` the model's second output in [-1, 1] interpolates their logarithms, with
            ``"learned"`` it is the logarithm itself.
        final_alpha_bar: level after the last step: ``"one"``, or ``"first"``, the table's entry 0, where a program's
            table begins before its first timestep and the run ends there.

    Raises:
        ValueError: names field, value and legal range.
    """

    variance: Variance = choice("fixed_small")
    final_alpha_bar: FinalAlphaBar = choice("one")

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 2, line for line.

        Draws:
            One of the sample's shape at the start, and one at each step but the last.
        """
        x = noise()  # line 1
        for t, t_next in self.transitions:  # line 2
            alpha_bar, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[t_next]
            beta = 1 - alpha_bar / alpha_bar_next  # N&D eq. 19
            output, v = self.split(model(x, t - 1))
            x0 = self.to_x0(x, output, alpha_bar)  # eq. 15
            x0_weight = np.sqrt(alpha_bar_next) * beta / (1 - alpha_bar)  # eq. 7
            x_weight = np.sqrt(1 - beta) * (1 - alpha_bar_next) / (1 - alpha_bar)  # eq. 7
            x = x0_weight * x0 + x_weight * x  # line 4, mean
            if t_next > 0:  # line 3
                x = x + self.std(alpha_bar, alpha_bar_next, beta, v) * noise()  # line 4, draw
        return x  # line 6

    def std(self, alpha_bar: Any, alpha_bar_next: Any, beta: Any, v: Any) -> Any:
        """Std of a step's draw: sigma_t of Algorithm 2."""
        posterior_variance = (1 - alpha_bar_next) / (1 - alpha_bar) * beta  # eq. 7
        if self.variance == "fixed_large":
            return np.sqrt(beta)  # section 3.2
        if self.variance == "learned_range":
            share = (v + 1) / 2
            return np.exp(0.5 * (share * np.log(beta) + (1 - share) * np.log(posterior_variance)))  # N&D eq. 15
        if self.variance == "learned":
            return np.exp(0.5 * v)
        return np.sqrt(posterior_variance)  # section 3.2

    def final_alpha_bar_of(self, table: Array) -> Any:
        """alpha_bar behind the last step.

        Args:
            table: ``(T,)`` alpha_bar of the timesteps.
        """
        return table[0] if self.final_alpha_bar == "first" else 1.0

    def split(self, output: Any) -> tuple[Array, Any]:
        """Prediction and variance output of the model; the latter is None where the variance is fixed."""
        if self.model_channels == 2:
            prediction, v = output
            return prediction, v
        return output, None

    def network(self, denoise: Denoise) -> Model:
        """The perfect network of this configuration, from the posterior mean.

        With learned variance its second output says the posterior's variance, as ``"fixed_small"`` has it.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """
        predict = super().network(denoise)
        next_of = dict(self.transitions)

        def model(x: Array, timestep: float) -> Any:
            output = predict(x, timestep)
            if self.variance == "learned_range":
                return output, np.full_like(output, -1.0)
            if self.variance == "learned":
                t = int(timestep) + 1
                alpha_bar, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[next_of[t]]
                variance = (1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next)
                # The last step draws nothing: any finite logarithm will do there.
                return output, np.full_like(output, np.log(np.maximum(variance, 1e-20)))
            return output

        return model

    @property
    def stochasticity(self) -> float | None:
        """1, the reverse process itself; what is learned freely has no closed form."""
        return None if self.learns_variance_freely else 1.0

    @property
    def learns_variance_freely(self) -> bool:
        """Whether the model's second output is the variance's logarithm itself."""
        return self.variance == "learned"

    @property
    def model_channels(self) -> int:
        """The model's output as a multiple of the sample: 2 with a learned variance."""
        return 2 if self.variance in ("learned_range", "learned") else 1

    def spread_of_forms(self, unit: float) -> Array:
        """Relative spread of each row in the form that reads beta from a table of its own.

        Here beta = 1 - alpha_bar / alpha_bar_next, which cancels against 1 - alpha_bar to the digit at the last step.
        Published programs also divide a beta that was rounded by itself by a 1 - alpha_bar that was: the whole update
        is then off by the rounding of 1 - alpha_bar, which is largest as t -> 0.

        Args:
            unit: unit roundoff.

        Returns:
            ``(n + 1,)``.
        """
        off = [0.5 * unit / max(1.0 - float(self.alpha_bar[t]), unit) for t in self.levels[:-1]]
        return np.append(0.0, np.sqrt(np.cumsum(np.square(off))))
