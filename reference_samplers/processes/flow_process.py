"""What a method of flows asks of its process, whatever path lies between noise and data."""

from __future__ import annotations

from typing import Any

from reference_samplers.openings import Array

from .process import Process

__all__ = ["FlowProcess"]


class FlowProcess(Process):
    """A level is a time, noise is at 1 and data at 0, and x moves with a velocity."""

    prediction: Any

    @property
    def time_grid(self) -> Any:
        """``(N + 1,)`` times, falling: the grid, of which a level is its time."""
        return self.levels

    def to_flow(self, x: Array, output: Array, t: Any) -> Array:
        """The velocity dx/dt that the model's output stands for."""
        raise NotImplementedError
