"""What a reference of a training step offers: the contract that all of them keep, with the answer of most.

A *level* is the noise that an item is given, in the reference's own count: sigma, a timestep, a time.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from .configuration import Configuration
from .openings import Array
from .training_openings import Draws, TrainedModel

__all__ = ["OfLevel", "TrainingReference", "of_level"]

#: A function of the level, for a field that may be one. Steps that never declare one read a plain value, so that to
#: type checkers it is anything.
OfLevel = Any


def of_level(name: str, given: Any, level: Any) -> float:
    """What a field that is a function says of a level.

    Args:
        name: of the field, for the message.
        given: the function.
        level: in the reference's own count.

    Raises:
        ValueError: where it gives no finite number from 0 on.
    """
    value = float(given(level))
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must give finite numbers >= 0, gives {value!r} at {level!r}")
    return value


class TrainingReference(Configuration):
    """One step of training as its paper defines it, in one configuration."""

    def step(self, model: TrainedModel, x0: Array, draws: Draws) -> Array:
        """The loss of each item, mean over its elements.

        Args:
            model: ``(x, time)`` to its output; time is ``(B,)``.
            x0: ``(B, C, *D)`` data, data units.
            draws: the openings.

        Returns:
            ``(B,)``.
        """
        raise NotImplementedError

    # The level, and how the model is told of it

    @property
    def time_draw(self) -> Literal["integers", "uniform", "normal"]:
        """What an item's level is made of."""
        raise NotImplementedError

    def level(self, draw: float) -> float:
        """The level, from what was drawn."""
        raise NotImplementedError

    def quantile(self, p: float) -> float:
        """The level below which a share ``p`` of the draws lies."""
        raise NotImplementedError

    @property
    def level_bounds(self) -> tuple[float, float]:
        """Lowest and highest level."""
        raise NotImplementedError

    def told_time(self, level: float) -> float:
        """What the model is told: the level itself."""
        return float(level)

    def level_of_time(self, time: float) -> float:
        """The level, from what the model is told."""
        return float(time)

    # Data and noise at a level

    def forward_scales(self, level: float) -> tuple[float, float]:
        """Scales of data and noise before the model's own input scaling."""
        raise NotImplementedError

    def input_scales(self, level: float) -> tuple[float, float]:
        """Scales of data and noise in the model's input: those of the forward process."""
        return self.forward_scales(level)

    def target_scales(self, level: float) -> tuple[float, float]:
        """Weights of data and noise in what the model's raw output is compared with."""
        raise NotImplementedError

    def target_terms(self, level: float) -> float:
        """Size of the largest term that the target is the sum of: what its rounding is measured by."""
        return 1.0

    def weight(self, level: float) -> float:
        """An item's loss is this times the mean squared difference of output and target."""
        return 1.0

    def offset_scale(self, level: float) -> float:
        """Strength of the normal per item and channel, in units of the noise at a level."""
        return 0.0

    @property
    def tells_offset(self) -> bool:
        """Whether the model is told of the offset noise together with the rest."""
        return False

    @property
    def perturbation(self) -> float:
        """Strength of the noise that only the input has."""
        return 0.0

    # The denoiser around the network

    @property
    def is_preconditioned(self) -> bool:
        """Whether what is trained is the network inside of a preconditioning."""
        return False
