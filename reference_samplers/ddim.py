"""Song, Meng & Ermon 2020, "Denoising Diffusion Implicit Models", arXiv:2010.02502."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import prediction
from .grids.timesteps import Timesteps
from .openings import Array, Model, Noise
from .processes.table_chain import FinalAlphaBar, TableChain
from .validation import choice, flag, real

__all__ = ["DDIM", "FinalAlphaBar"]


@dataclass(frozen=True)
class DDIM(TableChain, Timesteps):
    """Steps that keep the marginals of DDPM while drawing less noise, or none.

    Source: Song et al. 2020, arXiv:2010.02502, equations 12 and 16, on a subset of the timesteps (section 4.2;
    the paper's alpha is alpha_bar here). Re-derived epsilon: Nichol et al. 2021 (GLIDE), arXiv:2112.10741,
    released code. Thresholding: Saharia et al. 2022, arXiv:2205.11487.

    Args:
        eta: in [0, 1]; 0 draws nothing after the start, 1 is DDPM with its small variance.
        final_alpha_bar: level after the last step: ``"one"``, or ``"first"``, the table's entry 0.
        rederive_epsilon: epsilon follows from the clamped x0; else the network's own is kept.

    Raises:
        ValueError: names field, value and legal range.
    """

    eta: float = real(0.0, low=0, high=1)
    final_alpha_bar: FinalAlphaBar = choice("one")
    rederive_epsilon: bool = flag(True)

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: equation 12 at each step.

        Draws:
            One of the sample's shape at the start; with ``eta`` > 0 one at each step but the last.
        """
        x = noise()  # x_T
        for t, t_next in self.transitions:  # section 4.2
            alpha_bar, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[t_next]
            output = model(x, t - 1)
            x0 = self.to_x0(x, output, alpha_bar)  # eq. 12, "predicted x0"
            epsilon = self.to_epsilon(x, output, x0, alpha_bar)
            sigma = self.sigma(alpha_bar, alpha_bar_next) if t_next > 0 else 0.0  # eq. 16
            # 0 where alpha_bar is 0 and eta 1: rounding must not take it below.
            direction_weight = np.sqrt(np.maximum(1 - alpha_bar_next - sigma**2, 0))
            x = np.sqrt(alpha_bar_next) * x0 + direction_weight * epsilon  # eq. 12, with "direction"
            if sigma > 0:  # a draw times 0 would leave the law as it is
                x = x + sigma * noise()  # eq. 12, "random noise"
        return x

    def sigma(self, alpha_bar: Any, alpha_bar_next: Any) -> Any:
        """Std of a step's draw (equation 16)."""
        return self.eta * np.sqrt((1 - alpha_bar_next) / (1 - alpha_bar)) * np.sqrt(1 - alpha_bar / alpha_bar_next)

    def to_epsilon(self, x: Array, output: Array, x0: Array, alpha_bar: Any) -> Array:
        """The epsilon that a step goes along: what the (clamped) x0 leaves of x, or the network's own."""
        if self.prediction == "epsilon" and not (self.rederive_epsilon and self.is_clipped):
            return output
        signal_scale, noise_scale = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
        if not self.rederive_epsilon:
            x0 = prediction.to_x0(self.prediction, x, output, signal_scale, noise_scale)
        return prediction.epsilon_from_x0(x, x0, signal_scale, noise_scale)

    def final_alpha_bar_of(self, table: Array) -> Any:
        """alpha_bar behind the last step.

        Args:
            table: ``(T,)`` alpha_bar of the timesteps.
        """
        return table[0] if self.final_alpha_bar == "first" else 1.0

    @property
    def stochasticity(self) -> float | None:
        """How much of the reverse process's noise is drawn: ``eta``."""
        return self.eta
