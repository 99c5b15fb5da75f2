"""What a process answers: all that a method need know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference_samplers.contract import Reference
from reference_samplers.openings import Array, Model
from reference_samplers.validation import checked_whole

__all__ = ["Process"]


class Process(Reference):
    """``x = alpha * x0 + sigma * epsilon`` at a level, in the process's own count of levels.

    A method that asks for nothing but this runs on every process.
    """

    @property
    def initial_std(self) -> Any:
        """Std of the first noise, in units of x."""
        raise NotImplementedError

    def scales(self, level: Any) -> tuple[Any, Any]:
        """``(alpha, sigma)``: signal and noise in x at a level."""
        raise NotImplementedError

    def forward_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in ``x`` at an entry of the grid.

        Args:
            index: in [0, N]; N is the returned sample.
        """
        index = checked_whole("index", index, 0, len(self.levels) - 1)
        signal_scale, noise_scale = self.scales(self.levels[index])
        return float(signal_scale), float(noise_scale)

    def time(self, level: Any) -> float:
        """What the model is told at a level, in its own convention."""
        raise NotImplementedError

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """x0 from x at a level, whatever the model predicts and in whichever scale it sees x.

        Args:
            model: the network, told :meth:`time`.
        """
        raise NotImplementedError
