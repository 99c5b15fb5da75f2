"""Ma et al. 2024, "SiT: Exploring Flow and Diffusion-based Generative Models", arXiv:2401.08740, on its paths."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from .flow import FlowEulerSteps
from .flow_runge_kutta import RungeKuttaSteps
from .flow_sde import LastStep
from .grids.path_times import PathTimes
from .openings import Array, Model, Noise
from .processes.interpolant import Interpolant
from .validation import choice, real, refuse

__all__ = ["InterpolantDiffusion", "InterpolantEuler", "InterpolantRungeKutta", "InterpolantSDE"]

InterpolantDiffusion = Literal["constant", "sigma", "sbdm", "linear", "increasing_decreasing"]


@dataclass(frozen=True)
class _EndsInData(Interpolant, PathTimes):
    """Where an exact network leads to the data."""

    @property
    def has_network(self) -> bool:
        """Of a run between noise and data, whole; else something is left at either end."""
        return bool(self.levels[0] == 1 and self.levels[-1] == 0)


@dataclass(frozen=True)
class InterpolantEuler(FlowEulerSteps, _EndsInData):
    """Euler's method along the path of an interpolant, from noise to data.

    Source: Ma et al. 2024, arXiv:2401.08740, section 2.1, equation 3; paths: Albergo et al. 2023, arXiv:2303.08797.

    Raises:
        ValueError: names field, value and legal range.
    """


@dataclass(frozen=True)
class InterpolantRungeKutta(RungeKuttaSteps, _EndsInData):
    """Methods of second and fourth order along the path of an interpolant, from noise to data.

    Source: Ma et al. 2024, arXiv:2401.08740, section 2.1, equation 3; paths: Albergo et al. 2023, arXiv:2303.08797;
    solvers: see :class:`reference_samplers.FlowRungeKutta`.

    Raises:
        ValueError: names field, value and legal range.
    """

    def check(self) -> None:
        """The velocity of ``"vp"`` has no bound at 0."""
        if self.path == "vp" and self.calls_at_zero:
            raise refuse("end_time", self.end_time, "> 0 where path is 'vp' and the model is called where the run ends")


@dataclass(frozen=True)
class InterpolantSDE(_EndsInData):
    """Euler-Maruyama steps of the reverse SDE that has the marginals of an interpolant.

    Source: Ma et al. 2024, arXiv:2401.08740, section 2.1, equation 4, with the score of section 2.2, a diffusion as in
    section 2.4, and the last steps of its released code. The score of a straight path is easily taken for that of
    another one.

    Args:
        diffusion: w(t). ``"constant"``: 1; ``"sigma"``: sigma(t); ``"sbdm"``: that of the diffusion which has the path,
            sigma (d sigma / dt - sigma d ln(alpha) / dt), without bound where there is no signal; ``"linear"``: t;
            ``"increasing_decreasing"``: sin(pi t)^2. All times ``diffusion_scale``.
        diffusion_scale: >= 0, factor of w: twice the ``diffusion_norm`` of SiT's released code.
        last_step: how the last step is made. ``"mean"``: without its draw; ``"euler"``: without the score too;
            ``"tweedie"``: to the predicted data; ``"drawn"``: like every other.

    Raises:
        ValueError: names field, value and legal range.
    """

    diffusion: InterpolantDiffusion = choice("sigma")
    diffusion_scale: float = real(2.0, low=0)
    last_step: LastStep = choice("mean")

    def check(self) -> None:
        """The diffusion is bounded, and predicted data is where the run ends."""
        if self.diffusion == "sbdm" and self.path != "vp" and self.levels[0] == 1:
            raise refuse("diffusion", "sbdm", "another where the grid begins at 1, at which there is no signal")
        if self.last_step == "tweedie" and self.levels[-1] != 0:
            raise refuse("last_step", "tweedie", "another where the run ends above 0")
        if self.last_step == "tweedie" and len(self.levels) == 2 and self.path != "vp" and self.levels[0] == 1:
            raise refuse("last_step", "tweedie", "another where the one call is at 1, at which there is no signal")

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: dx = v dt - w s dt / 2 + sqrt(w) dW, from noise to data.

        Draws:
            One of the sample's shape at the start, and one in each step but the last; there too with
            ``last_step="drawn"``.
        """
        x = noise()
        last = len(self.time_grid) - 2
        for i, (t, t_next) in enumerate(pairwise(self.time_grid)):
            dt = t_next - t
            v = self.to_flow(x, model(x, self.time(t)), t)
            s = self.to_score(x, v, t)  # section 2.2
            w = self.diffusion_at(t)  # section 2.4
            if i == last and self.last_step == "tweedie":
                alpha, sigma = self.scales(t)
                x0: Array = (x + sigma**2 * s) / alpha
                return x0
            x = x + v * dt  # eq. 4, flow
            if i < last or self.last_step != "euler":
                x = x - 0.5 * w * s * dt  # eq. 4, score
            if i < last or self.last_step == "drawn":
                x = x + np.sqrt(w * -dt) * noise()  # eq. 4, draw
        return x

    def diffusion_at(self, t: Any) -> Any:
        """w(t)."""
        (alpha, sigma), (alpha_rate, sigma_rate) = self.scales(t), self.rates(t)
        if self.diffusion == "sigma":
            return self.diffusion_scale * sigma
        if self.diffusion == "sbdm":
            return self.diffusion_scale * sigma * (sigma_rate - sigma * alpha_rate / alpha)
        if self.diffusion == "linear":
            return self.diffusion_scale * t
        if self.diffusion == "increasing_decreasing":
            return self.diffusion_scale * np.sin(np.pi * t) ** 2
        return self.diffusion_scale

    @property
    def stochasticity(self) -> float | None:
        """From pure noise any w leads to the data's distribution, as the reverse process itself does."""
        return 1.0 if self.levels[0] == 1 and self.path != "vp" else None

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.levels) - 1
