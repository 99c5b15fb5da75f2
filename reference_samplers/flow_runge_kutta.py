"""Lipman et al. 2024, "Flow Matching Guide and Code", arXiv:2412.06264: one-step solvers of a flow's equation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from .grids.even_times import EvenTimes
from .openings import Array, Model, Noise
from .processes.flow_process import FlowProcess
from .processes.rectified_flow import RectifiedFlow
from .validation import choice, flag, refuse

__all__ = ["FlowRungeKutta", "FlowSolver", "RungeKuttaSteps"]

FlowSolver = Literal["heun", "midpoint", "rk4", "rk4_38"]

#: Model calls of one step.
_STAGES = {"heun": 2, "midpoint": 2, "rk4": 4, "rk4_38": 4}


@dataclass(frozen=True)
class RungeKuttaSteps(FlowProcess):
    """Methods of second and fourth order along the path from noise to data.

    Source: Hairer, Nørsett & Wanner 1993, "Solving Ordinary Differential Equations I", section II.1.

    Args:
        solver: ``"heun"`` and ``"midpoint"``, of second order; ``"rk4"``, the classical method, and ``"rk4_38"``, the
            3/8 rule, of fourth order.
        corrects_last: Heun's step to 0 is corrected too, with a call at 0; else it is Euler's, as in Karras et al.
            2022, arXiv:2206.00364, Algorithm 1. The others have no such choice.
    """

    solver: FlowSolver = choice("heun")
    corrects_last: bool = flag(True)

    def check(self) -> None:
        """What the model predicts says something at 0, where the last call may be."""
        if self.solver != "heun" and not self.corrects_last:
            raise refuse("corrects_last", False, "True where solver is not 'heun'")
        if self.prediction not in ("flow", "reversed_flow") and self.calls_at_zero:
            legal = "'flow' or 'reversed_flow' where the model is called at 0, at which x is x0"
            raise refuse("prediction", self.prediction, legal)

    @property
    def calls_at_zero(self) -> bool:
        """Whether the last call is made at the data's end."""
        return bool(self.solver != "midpoint" and self.corrects_last and self.time_grid[-1] == 0)

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: dx = flow dt, from t = 1 to t = 0.

        Draws:
            One of the sample's shape at the start.
        """

        def flow(x: Array, t: Any) -> Array:
            return self.to_flow(x, model(x, self.time(t)), t)

        x = noise()
        for t, t_next in pairwise(self.time_grid):
            dt = t_next - t
            k_1 = flow(x, t)
            if self.solver == "midpoint":
                x = x + dt * flow(x + dt * k_1 / 2, t + dt / 2)  # eq. 1.4
            elif self.solver == "rk4":
                k_2 = flow(x + dt * k_1 / 2, t + dt / 2)
                k_3 = flow(x + dt * k_2 / 2, t + dt / 2)
                k_4 = flow(x + dt * k_3, t_next)
                x = x + dt * (k_1 + 2 * k_2 + 2 * k_3 + k_4) / 6  # table 1.2, left
            elif self.solver == "rk4_38":
                k_2 = flow(x + dt * k_1 / 3, t + dt / 3)
                k_3 = flow(x + dt * (k_2 - k_1 / 3), t + 2 * dt / 3)
                k_4 = flow(x + dt * (k_1 - k_2 + k_3), t_next)
                x = x + dt * (k_1 + 3 * k_2 + 3 * k_3 + k_4) / 8  # table 1.2, right
            elif t_next == 0 and not self.corrects_last:
                x = x + dt * k_1
            else:
                k_2 = flow(x + dt * k_1, t_next)
                x = x + dt * (k_1 + k_2) / 2  # Heun
        return x

    @property
    def order(self) -> int:
        """Global order of the solver."""
        return 4 if self.solver in ("rk4", "rk4_38") else 2

    @property
    def stochasticity(self) -> float | None:
        """0: nothing is drawn on the way."""
        return 0.0

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        is_shorter = not self.corrects_last and self.time_grid[-1] == 0
        return _STAGES[self.solver] * (len(self.levels) - 1) - (1 if is_shorter else 0)


@dataclass(frozen=True)
class FlowRungeKutta(RungeKuttaSteps, RectifiedFlow, EvenTimes):
    """Methods of second and fourth order along the path from noise to data.

    Source: Lipman et al. 2024, arXiv:2412.06264, whose code integrates with torchdiffeq's fixed-grid solvers; the
    methods: Hairer, Nørsett & Wanner 1993, "Solving Ordinary Differential Equations I", section II.1. Programs mean
    different things by one name: torchdiffeq's ``rk4`` is the 3/8 rule, and Heun's method is made without its last
    correction where models of noise levels are at home.

    Raises:
        ValueError: names field, value and legal range.
    """
