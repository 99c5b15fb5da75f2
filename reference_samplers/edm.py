"""Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv:2206.00364."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from . import prediction, schedules, validation
from .openings import Array, Denoise, Model, Noise

__all__ = ["EDM", "ModelKind", "Solver"]

Solver = Literal["heun", "euler"]
ModelKind = Literal["denoiser", "network", "epsilon", "v", "x0"]

_SOLVERS: tuple[Solver, ...] = ("heun", "euler")
_MODEL_KINDS: tuple[ModelKind, ...] = ("denoiser", "network", "epsilon", "v", "x0")
_INFINITY = float("inf")


@dataclass(frozen=True)
class EDM:
    """Heun's method (or Euler's) on the noise level, each step preceded by a rise of it where churn is on.

    Source: Karras et al. 2022, arXiv:2206.00364, Algorithm 2; without churn it is Algorithm 1 with
    sigma(t) = t and s(t) = 1. Levels: equation 5; preconditioning: table 1.

    Args:
        num_steps: N, >= 1; 1 is the grid (sigma_max, 0). Not used where ``sigmas`` is given.
        sigma_min: lowest noise level above 0, data units, > 0.
        sigma_max: first noise level, data units, >= ``sigma_min``.
        rho: > 0, how much the grid favors low levels.
        solver: ``"heun"`` corrects each step except the one to 0; ``"euler"`` corrects none.
        s_churn: >= 0, how much noise is renewed over the whole run.
        s_tmin: lowest level at which noise is renewed, data units, >= 0.
        s_tmax: highest such level, data units, >= ``s_tmin``.
        s_noise: std of the renewed noise, > 0.
        sigmas: the grid itself, decreasing, with its final 0; None for ``num_steps``, ``sigma_min``,
            ``sigma_max``, ``rho``.
        times: what an ``epsilon``, ``v`` or ``x0`` model is told at each level above 0; None for the
            fractional index in ``train_sigmas``.
        train_sigmas: the levels that such a model was trained at, increasing, data units.
        initial_scale: std of the first noise, data units, > 0; None for the first level.
        model_kind: ``"denoiser"`` is D(x; sigma); ``"network"`` is F inside the preconditioning, told
            ln(sigma)/4; ``"epsilon"``, ``"v"`` and ``"x0"`` see x/sqrt(sigma^2 + 1) and predict what their name says.
        sigma_data: std of the data, > 0, for ``"network"``.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_steps: int = 18
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    solver: Solver = "heun"
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = _INFINITY
    s_noise: float = 1.0
    sigmas: tuple[float, ...] | None = None
    times: tuple[float, ...] | None = None
    train_sigmas: tuple[float, ...] | None = None
    initial_scale: float | None = None
    model_kind: ModelKind = "denoiser"
    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        validation.store(self, "num_steps", validation.whole("num_steps", self.num_steps, 1))
        for name in ("sigma_min", "sigma_max", "rho", "s_noise", "sigma_data"):
            validation.store(self, name, validation.real(name, getattr(self, name), 0, above=True))
        if self.sigma_max < self.sigma_min:
            raise validation.refuse("sigma_max", self.sigma_max, f">= sigma_min={self.sigma_min!r}")
        validation.choice("solver", self.solver, _SOLVERS)
        validation.choice("model_kind", self.model_kind, _MODEL_KINDS)
        validation.store(self, "s_churn", validation.real("s_churn", self.s_churn, 0))
        validation.store(self, "s_tmin", validation.real("s_tmin", self.s_tmin, 0))
        validation.store(self, "s_tmax", validation.real("s_tmax", self.s_tmax, 0, finite=False))
        if self.s_tmax < self.s_tmin:
            raise validation.refuse("s_tmax", self.s_tmax, f">= s_tmin={self.s_tmin!r}")
        if self.initial_scale is not None:
            scale = validation.real("initial_scale", self.initial_scale, 0, above=True)
            validation.store(self, "initial_scale", scale)
        self._check_levels()
        self._check_times()

    def _check_levels(self) -> None:
        if self.sigmas is not None:
            sigmas = validation.real_tuple("sigmas", self.sigmas, 0, _INFINITY)
            if len(sigmas) < 2 or sigmas[-1] != 0:
                raise validation.refuse("sigmas", self.sigmas, "at least one level and then a final 0")
            if any(low >= high for high, low in pairwise(sigmas)):
                raise validation.refuse("sigmas", self.sigmas, "strictly decreasing")
            validation.store(self, "sigmas", sigmas)
        elif self.num_steps > 1 and self.sigma_max == self.sigma_min:
            legal = f"> sigma_min={self.sigma_min!r} where num_steps > 1"
            raise validation.refuse("sigma_max", self.sigma_max, legal)
        if self.train_sigmas is not None:
            table = validation.real_tuple("train_sigmas", self.train_sigmas, 0, _INFINITY, above=True)
            if any(low >= high for low, high in pairwise(table)):
                raise validation.refuse("train_sigmas", self.train_sigmas, "strictly increasing")
            validation.store(self, "train_sigmas", table)

    def _check_times(self) -> None:
        has_table_time = self.model_kind in ("epsilon", "v", "x0")
        if self.times is not None:
            times = validation.real_tuple("times", self.times, -_INFINITY, _INFINITY)
            count = len(self.sigma_grid) - 1
            if len(times) != count:
                raise validation.refuse("times", self.times, f"{count} numbers, one for each level above 0")
            if not has_table_time:
                raise validation.refuse("times", self.times, f"None for model_kind={self.model_kind!r}")
            validation.store(self, "times", times)
        if has_table_time and self.train_sigmas is None:
            if self.times is None:
                legal = f"given, or times, for model_kind={self.model_kind!r}"
                raise validation.refuse("train_sigmas", None, legal)
            if any(self.gamma(sigma) > 0 for sigma in self.sigma_grid[:-1]):
                legal = "given where s_churn > 0: times has none for the levels that churn rises to"
                raise validation.refuse("train_sigmas", None, legal)

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 2, line for line.

        Draws:
            One of the sample's shape at the start, and one at each level that churn raises.
        """
        denoised = self.denoiser(model)
        x: Array = self.initial_std * noise()  # line 2
        for sigma_cur, sigma_next in pairwise(self.sigma_grid):  # line 3
            gamma = self.gamma(sigma_cur)
            sigma_hat = sigma_cur + gamma * sigma_cur  # line 5
            x_hat = x
            if gamma > 0:  # a draw times 0 would leave the law as it is
                x_hat = x + np.sqrt(sigma_hat**2 - sigma_cur**2) * self.s_noise * noise()  # lines 4, 6
            d_cur = (x_hat - denoised(x_hat, sigma_hat)) / sigma_hat  # line 7
            x = x_hat + (sigma_next - sigma_hat) * d_cur  # line 8
            if self.solver == "heun" and sigma_next > 0:  # line 9
                d_prime = (x - denoised(x, sigma_next)) / sigma_next  # line 10
                x = x_hat + (sigma_next - sigma_hat) * (0.5 * d_cur + 0.5 * d_prime)  # line 11
        return x  # line 12

    def gamma(self, sigma: Any) -> Any:
        """The relative rise of the noise level at a step (beside line 3)."""
        if self.s_tmin <= sigma <= self.s_tmax:
            return np.minimum(self.s_churn / (len(self.sigma_grid) - 1), np.sqrt(2.0) - 1)
        return 0.0

    @property
    def turning_points(self) -> dict[str, float]:
        """Up to here gamma grows with ``s_churn``, above it no more: a sampler is to be seen on either side."""
        return {"s_churn": (np.sqrt(2.0) - 1) * (len(self.sigma_grid) - 1)}

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """D(x; sigma), from whatever kind of model there is (equation 7, table 1)."""

        def denoised(x: Array, sigma: Any) -> Array:
            if self.model_kind == "denoiser":
                output: Array = model(x, self.time(sigma))
                return output
            if self.model_kind == "network":
                c_skip = prediction.c_skip(sigma, self.sigma_data)
                c_out = prediction.c_out(sigma, self.sigma_data)
                c_in = prediction.c_in(sigma, self.sigma_data)
                preconditioned: Array = c_skip * x + c_out * model(c_in * x, self.time(sigma))
                return preconditioned
            signal_scale = 1 / np.sqrt(sigma**2 + 1)
            x_scaled = signal_scale * x
            output = model(x_scaled, self.time(sigma))
            return prediction.to_x0(self.model_kind, x_scaled, output, signal_scale, signal_scale * sigma)

        return denoised

    def time(self, sigma: Any) -> float:
        """What the model is told at a noise level, in its own convention."""
        if self.model_kind == "denoiser":
            return float(sigma)
        if self.model_kind == "network":
            return float(prediction.c_noise(sigma))
        if float(sigma) in self._time_of_level:
            return self._time_of_level[float(sigma)]
        return float(schedules.fractional_index(sigma, self._log_train_sigmas))

    @cached_property
    def sigma_grid(self) -> Array:
        """``(N + 1,)`` noise levels in data units, decreasing to 0."""
        if self.sigmas is not None:
            return np.array(self.sigmas)
        return schedules.karras_sigmas(self.num_steps, self.sigma_min, self.sigma_max, self.rho)

    @cached_property
    def initial_std(self) -> Any:
        """Std of the first noise, data units."""
        return self.sigma_grid[0] if self.initial_scale is None else self.initial_scale

    @cached_property
    def _time_of_level(self) -> dict[float, float]:
        levels = [float(sigma) for sigma in self.sigma_grid[:-1]]
        return {} if self.times is None else dict(zip(levels, self.times, strict=True))

    @cached_property
    def _log_train_sigmas(self) -> Array:
        if self.train_sigmas is None:
            raise validation.refuse("train_sigmas", None, "given: the model is told an index in it")
        table: Array = np.array(self.train_sigmas)
        return np.log(table)

    def forward_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in ``x`` at an entry of the grid: ``(1, sigma)``, as Algorithm 2 keeps it.

        Args:
            index: in [0, N]; N is the returned sample.
        """
        index = validation.whole("index", index, 0, len(self.sigma_grid) - 1)
        return 1.0, float(self.sigma_grid[index])

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration's kind, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.

        Raises:
            ValueError: where ``times`` repeats a value: the model could not tell the levels apart.
        """
        levels = {time: sigma for sigma, time in self._time_of_level.items()}
        if len(levels) < len(self._time_of_level):
            raise validation.refuse("times", self.times, "without repetition: a model must tell its levels apart")

        def model(x: Array, time: float) -> Array:
            if self.model_kind == "denoiser":
                return denoise(x, time)
            if self.model_kind == "network":
                sigma = np.exp(4 * time)
                x_unscaled: Array = x / prediction.c_in(sigma, self.sigma_data)
                kept = prediction.c_skip(sigma, self.sigma_data) * x_unscaled
                output: Array = (denoise(x_unscaled, float(sigma)) - kept) / prediction.c_out(sigma, self.sigma_data)
                return output
            if time in levels:
                sigma = np.asarray(levels[time])
            else:
                logs = self._log_train_sigmas
                sigma = np.exp(np.interp(time, np.arange(len(logs)), logs))
            signal_scale = 1 / np.sqrt(sigma**2 + 1)
            x0 = denoise(x / signal_scale, float(sigma))
            return prediction.from_x0(self.model_kind, x, x0, signal_scale, signal_scale * sigma)

        return model

    @property
    def order(self) -> int:
        """Global order of the solver."""
        return 2 if self.solver == "heun" else 1

    @property
    def stochasticity(self) -> float | None:
        """0 where no level is raised; with churn the limit has no closed form."""
        return None if any(self.gamma(sigma) > 0 for sigma in self.sigma_grid[:-1]) else 0.0

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        steps = len(self.sigma_grid) - 1
        return 2 * steps - 1 if self.solver == "heun" else steps

    @property
    def is_clipped(self) -> bool:
        """Nothing is clamped."""
        return False

    @property
    def model_channels(self) -> int:
        """The model's output is shaped like its input."""
        return 1
