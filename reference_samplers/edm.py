"""Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv:2206.00364."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from .contract import Reference
from .grids.noise_levels import KarrasLevels, LevelsByHand
from .openings import Array, Model, Noise
from .processes.variance_exploding import ModelKind, NoiseLevels, VarianceExploding
from .validation import choice, real, refuse

__all__ = ["EDM", "Churn", "ModelKind", "Solver", "StochasticSampler"]

Solver = Literal["heun", "euler"]

#: Relative distance within which float32 arithmetic may put a level on either side of a window's edge.
EDGE = 1e-5


@dataclass(frozen=True)
class Churn(Reference):
    """How much the noise level rises, and at which levels.

    Args:
        s_churn: >= 0, how much noise is renewed over the whole run.
        s_tmin: lowest level at which noise is renewed, data units, >= 0.
        s_tmax: highest such level, data units, >= ``s_tmin``.
        s_noise: std of the renewed noise, > 0.
    """

    s_churn: float = real(0.0, low=0)
    s_tmin: float = real(0.0, low=0)
    s_tmax: float = real(float("inf"), low=0, finite=False)
    s_noise: float = real(1.0, above=0)

    def check(self) -> None:
        """The window has two ends."""
        if self.s_tmax < self.s_tmin:
            raise refuse("s_tmax", self.s_tmax, f">= s_tmin={self.s_tmin!r}")

    def gamma(self, sigma: Any) -> Any:
        """The relative rise of the noise level at a step (beside line 3)."""
        if self.s_tmin <= sigma <= self.s_tmax:
            return np.minimum(self.s_churn / (len(self.levels) - 1), np.sqrt(2.0) - 1)
        return 0.0

    @property
    def stochasticity(self) -> float | None:
        """0 where no level is raised; with churn the limit has no closed form."""
        return None if any(self.gamma(sigma) > 0 for sigma in self.levels[:-1]) else 0.0

    @property
    def turning_points(self) -> Mapping[str, float]:
        """Up to here gamma grows with ``s_churn``, above it no more: a sampler is to be seen on either side."""
        return {"s_churn": (np.sqrt(2.0) - 1) * (len(self.levels) - 1)}

    @property
    def window_ends(self) -> Mapping[str, bool]:
        """The ends of the window that there are."""
        ends = {"s_tmin": self.s_tmin, "s_tmax": self.s_tmax}
        in_effect = {name: edge for name, edge in ends.items() if self.s_churn and 0 < edge < float("inf")}
        return {name: edge in self.exact_window_ends.get(name, ()) for name, edge in in_effect.items()}

    def either_side(self, times: Sequence[float]) -> Iterator[Reference]:
        """With an edge of the window just beside the level that it lies on."""
        if not self.s_churn:
            return
        for name, edge in (("s_tmin", self.s_tmin), ("s_tmax", self.s_tmax)):
            if edge in self.exact_window_ends.get(name, ()):
                continue  # nothing is rounded: the edge belongs to the window
            if any(abs(sigma - edge) <= EDGE * sigma for sigma in self.levels[:-1]):
                for factor in (1 - 2 * EDGE, 1 + 2 * EDGE):
                    changes: dict[str, Any] = {name: edge * factor}
                    try:
                        yield dataclasses.replace(self, **changes)
                    except ValueError:
                        continue


class StochasticSampler(Churn, NoiseLevels):
    """Algorithm 2: Heun's method (or Euler's), each step preceded by a rise of the noise level."""

    solver: Solver

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 2, line for line.

        Draws:
            One of the sample's shape at the start, and one at each step, times 0 where no level is raised.
        """
        denoised = self.denoiser(model)
        x: Array = self.initial_std * noise()  # line 2
        for sigma_cur, sigma_next in pairwise(self.sigma_grid):  # line 3
            gamma = self.gamma(sigma_cur)
            epsilon = self.s_noise * noise()  # line 4
            sigma_hat = sigma_cur + gamma * sigma_cur  # line 5
            x_hat = x + np.sqrt(sigma_hat**2 - sigma_cur**2) * epsilon  # line 6
            d_cur = (x_hat - denoised(x_hat, sigma_hat)) / sigma_hat  # line 7
            x = x_hat + (sigma_next - sigma_hat) * d_cur  # line 8
            if self.solver == "heun" and sigma_next > 0:  # line 9
                d_prime = (x - denoised(x, sigma_next)) / sigma_next  # line 10
                x = x_hat + (sigma_next - sigma_hat) * (0.5 * d_cur + 0.5 * d_prime)  # line 11
        return x  # line 12

    @property
    def order(self) -> int:
        """Global order of the solver."""
        return 2 if self.solver == "heun" else 1

    @property
    def num_calls(self) -> int:
        """Model calls of one run: the step to 0 is not corrected."""
        steps = len(self.sigma_grid) - 1
        return 2 * steps - 1 if self.solver == "heun" else steps


@dataclass(frozen=True)
class _Solver(Reference):
    """Which solver.

    Args:
        solver: ``"heun"`` corrects each step except the one to 0; ``"euler"`` corrects none.
    """

    solver: Solver = choice("heun")


@dataclass(frozen=True)
class EDM(VarianceExploding, LevelsByHand, StochasticSampler, Churn, _Solver, KarrasLevels):
    """Heun's method (or Euler's) on the noise level, each step preceded by a rise of it where churn is on.

    Source: Karras et al. 2022, arXiv:2206.00364, Algorithm 2; without churn it is Algorithm 1 with
    sigma(t) = t and s(t) = 1. Levels: equation 5; preconditioning: table 1.

    Raises:
        ValueError: names field, value and legal range.
    """

    def check(self) -> None:
        """Levels that churn rises to lie between those of the grid: a model of a chain must have a table for them."""
        has_table_time = self.model_kind in ("epsilon", "v", "x0")
        if has_table_time and self.train_sigmas is None and self.stochasticity is None:
            legal = "given where s_churn > 0: times has none for the levels that churn rises to"
            raise refuse("train_sigmas", None, legal)

    @property
    def exact_window_ends(self) -> Mapping[str, Sequence[float]]:
        """Levels that are given by hand, of at most eight binary digits."""
        levels = [sigma for sigma in self.sigmas or () if sigma > 0 and float(256 * np.frexp(sigma)[0]).is_integer()]
        return {"s_tmin": levels, "s_tmax": levels} if levels else {}

    def on_grid_of(self, times: Sequence[float]) -> Reference | None:
        """On the levels that a denoiser was told, without churn; the first noise stays as it is."""
        if not self.wants_denoiser or self.s_churn:
            return None
        levels = sorted({float(time) for time in times if time > 0}, reverse=True)
        try:
            return dataclasses.replace(self, sigmas=(*levels, 0.0), initial_scale=self.forward_scales(0)[1])
        except (ValueError, OverflowError):
            return None
