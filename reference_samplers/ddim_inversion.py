"""Song, Meng & Ermon 2020, "Denoising Diffusion Implicit Models", arXiv:2010.02502, section 4.3: from data to noise.

What the model is told on the way up is a convention, since what the paper asks for, the noise at the level that a step
comes to, is not known before the step is made.

Context: guided-diffusion tells it the level that x has; the code released with Mokady et al. 2022 (arXiv:2211.09794,
null-text inversion) and diffusers tell it the level that the step goes to, so that both runs hold the same timesteps.
Choice: both, as ``told``. Reversed by: nothing; they differ, and models are inverted with either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from . import prediction
from .grids.timesteps import Timesteps
from .openings import Array, Model, Noise
from .processes.table_chain import FinalAlphaBar, TableChain
from .validation import choice, flag, refuse

__all__ = ["DDIMInversion", "Told"]

Told = Literal["next", "current"]


@dataclass(frozen=True)
class DDIMInversion(TableChain, Timesteps):
    """DDIM's steps turned round: data is encoded as the noise that it is drawn from.

    Source: Song et al. 2020, arXiv:2010.02502, section 4.3, equation 14 in the other direction, written as equation 12
    with sigma = 0; what the model is told: Mokady et al. 2022, arXiv:2211.09794, released code, or Dhariwal & Nichol
    2021, arXiv:2105.05233, released code (``ddim_reverse_sample``). The first draw stands for the data.

    Args:
        told: what the model is told in a step: ``"next"``, the timestep that the step goes to, which begins in the
            data and ends at the last timestep of the grid; or ``"current"``, the timestep that x is at, where data is
            taken for x at the first timestep, and the last step goes to noise alone.
        start_alpha_bar: level of the data where the model is told the next timestep: ``"one"``, or ``"first"``, the
            table's entry 0.
        rederive_epsilon: epsilon follows from the clamped x0; else the network's own is kept.

    Raises:
        ValueError: names field, value and legal range.
    """

    told: Told = choice("next")
    start_alpha_bar: FinalAlphaBar = choice("one")
    rederive_epsilon: bool = flag(False)

    def check(self) -> None:
        """Nothing is asked of the model that it cannot say."""
        if self.told == "current" and self.start_alpha_bar != "one":
            raise refuse("start_alpha_bar", self.start_alpha_bar, "'one' where the model is told the current timestep")
        begins_clean = self.told == "next" and self.start_alpha_bar == "one"
        if begins_clean and self.prediction == "x0":
            raise refuse("prediction", "x0", "'epsilon' or 'v' where x is the data: of x0 there is no epsilon left")
        if begins_clean and self.rederive_epsilon and self.is_clipped:
            raise refuse("rederive_epsilon", True, "False where x is the data: of x0 there is no epsilon left")
        if self.prediction == "epsilon" and any(self.alpha_bar[t] == 0 for t in self.levels[:-1]):
            raise refuse("prediction", "epsilon", "'x0' or 'v' where a step begins at alpha_bar = 0")

    def sample(self, model: Model, noise: Noise) -> Array:
        """Encode one sample: equation 12 at each step, upwards.

        Draws:
            One of the sample's shape, which stands for the data.
        """
        x = noise()  # x_0
        for t, t_next in self.transitions:  # section 4.3
            alpha_bar, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[t_next]
            output = model(x, (t_next if self.told == "next" else t) - 1)
            x0 = self.to_x0(x, output, alpha_bar)  # eq. 12, "predicted x0"
            epsilon = self.to_epsilon(x, output, x0, alpha_bar)
            x = np.sqrt(alpha_bar_next) * x0 + np.sqrt(1 - alpha_bar_next) * epsilon  # eq. 12, 14
        return x  # x_T

    def to_epsilon(self, x: Array, output: Array, x0: Array, alpha_bar: Any) -> Array:
        """The epsilon that a step goes along: what the (clamped) x0 leaves of x, or the network's own."""
        signal_scale, noise_scale = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
        if self.rederive_epsilon and self.is_clipped:
            return prediction.epsilon_from_x0(x, x0, signal_scale, noise_scale)
        if self.prediction == "x0":
            return prediction.epsilon_from_x0(x, output, signal_scale, noise_scale)
        if self.prediction == "v":
            own: Array = signal_scale * output + noise_scale * x  # Salimans & Ho 2022, appendix D
            return own
        return output

    @property
    def levels(self) -> tuple[int, ...]:
        """``(n + 1,)`` entries of the chain, ascending: from the data on, or on to noise alone behind the table."""
        ascending = tuple(t + 1 for t in reversed(self.grid))
        return (0, *ascending) if self.told == "next" else (*ascending, self.num_train_timesteps + 1)

    @cached_property
    def alpha_bar(self) -> Array:
        """``(T + 2,)`` share of the signal's variance at each level; behind the table there is none."""
        table = self._train_alpha_bar
        return np.concatenate([[self.final_alpha_bar_of(table)], table, [0.0]])

    def final_alpha_bar_of(self, table: Array) -> Any:
        """alpha_bar of the data.

        Args:
            table: ``(T,)`` alpha_bar of the timesteps.
        """
        return table[0] if self.start_alpha_bar == "first" else 1.0

    @property
    def stochasticity(self) -> float:
        """0: nothing is drawn on the way."""
        return 0.0

    @property
    def has_network(self) -> bool:
        """What the perfect model says of one level is asked at another; no limit of samples is claimed."""
        return False
