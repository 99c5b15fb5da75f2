"""Lu & Song 2024, "Simplifying, Stabilizing and Scaling Continuous-Time Consistency Models", arXiv:2410.11081."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .consistency import MultistepConsistency
from .grids.angles import EvenAngles
from .openings import Array, Model, Noise
from .processes.trig_flow import TrigFlow, TrigPrediction
from .validation import choice, real

__all__ = ["TrigFlowConsistency", "TrigFlowDDIM"]


@dataclass(frozen=True)
class TrigFlowConsistency(MultistepConsistency, TrigFlow, EvenAngles):
    """Multistep consistency sampling on angles: predict the data, and turn it back to fresh noise.

    Source: Lu & Song 2024, arXiv:2410.11081, section 3, equation 3, with Algorithm 1 of Song et al. 2023,
    arXiv:2303.01469. It is easily taken for noise of std 1, where all of it has that of the data.

    Args:
        sigma_data: std of the data and of the noise, > 0.
        prediction: what the model gives: ``"network"``, F, which is shown x / sigma_data; or ``"velocity"``,
            sigma_data F, from x itself.

    Raises:
        ValueError: names field, value and legal range.
    """

    sigma_data: float = real(0.5, above=0)
    prediction: TrigPrediction = choice("network")


@dataclass(frozen=True)
class TrigFlowDDIM(TrigFlow, EvenAngles):
    """DDIM on angles: each step turns x and the model's output by the angle that is left behind.

    Source: Lu & Song 2024, arXiv:2410.11081, section 3: the first-order solver of dx/dt = sigma_data F(x / sigma_data,
    t), exact where F and x turn together. It is easily taken for Euler's method, which goes straight on.

    Args:
        sigma_data: std of the data and of the noise, > 0.
        prediction: what the model gives: ``"network"``, F, which is shown x / sigma_data; or ``"velocity"``,
            sigma_data F, from x itself.

    Raises:
        ValueError: names field, value and legal range.
    """

    sigma_data: float = real(0.5, above=0)
    prediction: TrigPrediction = choice("network")

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: a rotation at each step.

        Draws:
            One of the sample's shape at the start.
        """
        x: Array = self.initial_std * noise()
        for t, t_next in pairwise(self.levels):
            velocity = self.to_velocity(model(self.seen(x), self.time(t)))
            x = np.cos(t - t_next) * x - np.sin(t - t_next) * velocity  # section 3, DDIM
        return x

    @property
    def stochasticity(self) -> float:
        """0: nothing is drawn on the way."""
        return 0.0

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.levels) - 1
