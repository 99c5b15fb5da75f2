"""Variance exploding: ``x = x0 + sigma * epsilon``, whatever kind of network denoises it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from reference_samplers import prediction
from reference_samplers.grids import sigmas
from reference_samplers.openings import Array, Denoise, Model
from reference_samplers.validation import choice, real, reals, refuse

from .process import Process

__all__ = ["ModelKind", "NoiseLevels", "VarianceExploding"]

ModelKind = Literal["denoiser", "network", "epsilon", "v", "x0"]


class NoiseLevels(Process):
    """A level is the noise in x: how it is told, and how an output there becomes x0.

    Source: Karras et al. 2022, arXiv:2206.00364, equation 7 and table 1; models of a chain: their appendix C.3.4.

    What stands here as a property may be a field, or say what a library does.
    """

    @property
    def sigma_grid(self) -> Any:
        """``(N + 1,)`` noise levels in data units, decreasing to 0: the grid, of which a level is its noise."""
        return self.levels

    @property
    def model_kind(self) -> ModelKind:
        """What the model predicts."""
        return "denoiser"

    @property
    def sigma_data(self) -> float:
        """Std of the data, for a network inside the preconditioning."""
        return 0.5

    @property
    def times(self) -> Sequence[float] | None:
        """What a model of a chain is told at each level above 0; None for the fractional index in the table."""
        return None

    @property
    def train_sigmas(self) -> Sequence[float] | Array | None:
        """``(T,)`` levels that a model of a chain was trained at, increasing, data units."""
        return None

    @property
    def initial_scale(self) -> float | None:
        """Std of the first noise, data units; None for the first level."""
        return None

    @cached_property
    def initial_std(self) -> Any:
        """Std of the first noise, data units."""
        return self.sigma_grid[0] if self.initial_scale is None else self.initial_scale

    def scales(self, sigma: Any) -> tuple[Any, Any]:
        """Signal and noise in x at a level."""
        return 1.0, sigma

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """D(x; sigma), from whatever kind of model there is (equation 7)."""

        def denoised(x: Array, sigma: Any) -> Array:
            return self.to_x0(x, model(self.input_scale(sigma) * x, self.time(sigma)), sigma)

        return denoised

    def input_scale(self, sigma: Any) -> Any:
        """What x is multiplied by before the model sees it."""
        if self.model_kind == "denoiser":
            return 1.0
        if self.model_kind == "network":
            return prediction.c_in(sigma, self.sigma_data)  # table 1, c_in
        return 1 / np.sqrt(sigma**2 + 1)

    def output_scale(self, sigma: Any) -> Any:
        """What the output of a network inside the preconditioning is multiplied by."""
        return prediction.c_out(sigma, self.sigma_data)  # table 1, c_out

    def to_x0(self, x: Array, output: Array, sigma: Any) -> Array:
        """The data that the model's output at a level stands for (table 1)."""
        if self.model_kind == "denoiser":
            return output
        if self.model_kind == "network":
            c_skip = prediction.c_skip(sigma, self.sigma_data)
            c_out = self.output_scale(sigma)
            preconditioned: Array = c_skip * x + c_out * output  # eq. 7
            return preconditioned
        signal_scale = 1 / np.sqrt(sigma**2 + 1)
        return prediction.to_x0(self.model_kind, signal_scale * x, output, signal_scale, signal_scale * sigma)

    def time(self, sigma: Any) -> float:
        """What the model is told at a noise level, in its own convention."""
        if self.model_kind == "denoiser":
            return float(sigma)
        if self.model_kind == "network":
            return float(prediction.c_noise(sigma))
        if float(sigma) in self._time_of_level:
            return self._time_of_level[float(sigma)]
        return float(sigmas.fractional_index(sigma, self._log_train_sigmas))

    def spread_of_time(self, time: float, unit: float) -> float:
        """That of an index in a table, where a level is looked up in one.

        Args:
            time: what the model is told.
            unit: unit roundoff.
        """
        is_looked_up = self.model_kind in ("epsilon", "v", "x0") and self.times is None
        return sigmas.index_spread(time, self._log_train_sigmas, unit) if is_looked_up else 0.0

    @cached_property
    def _time_of_level(self) -> dict[float, float]:
        levels = [float(sigma) for sigma in self.sigma_grid[:-1]]
        return {} if self.times is None else dict(zip(levels, self.times, strict=True))

    @cached_property
    def _log_train_sigmas(self) -> Array:
        if self.train_sigmas is None:
            raise refuse("train_sigmas", None, "given: the model is told an index in it")
        table: Array = np.array(self.train_sigmas)
        return np.log(table)

    @property
    def wants_denoiser(self) -> bool:
        """Whether the model is D itself."""
        return self.model_kind == "denoiser"

    @property
    def has_network(self) -> bool:
        """A model cannot tell levels apart that it is told the same time for."""
        return self.times is None or len(set(self.times)) == len(self.times)

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration's kind, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.

        Raises:
            ValueError: where ``times`` repeats a value: the model could not tell the levels apart.
        """
        levels = {time: sigma for sigma, time in self._time_of_level.items()}
        if len(levels) < len(self._time_of_level):
            raise refuse("times", self.times, "without repetition: a model must tell its levels apart")

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


@dataclass(frozen=True)
class VarianceExploding(NoiseLevels):
    """What the model is, and what it is told.

    Args:
        times: what an ``epsilon``, ``v`` or ``x0`` model is told at each level above 0; None for the
            fractional index in ``train_sigmas``.
        train_sigmas: the levels that such a model was trained at, increasing, data units.
        initial_scale: std of the first noise, data units, > 0; None for the first level.
        model_kind: ``"denoiser"`` is D(x; sigma); ``"network"`` is F inside the preconditioning, told
            ln(sigma)/4; ``"epsilon"``, ``"v"`` and ``"x0"`` see x/sqrt(sigma^2 + 1) and predict what their name says.
        sigma_data: std of the data, > 0, for ``"network"``.
    """

    times: tuple[float, ...] | None = reals()
    train_sigmas: tuple[float, ...] | None = reals(above=0)
    initial_scale: float | None = real(None, above=0)
    model_kind: ModelKind = choice("denoiser")
    sigma_data: float = real(0.5, above=0)

    def check(self) -> None:
        """A model of a chain can be told every level."""
        if self.train_sigmas is not None and any(low >= high for low, high in pairwise(self.train_sigmas)):
            raise refuse("train_sigmas", self.train_sigmas, "strictly increasing")
        has_table_time = self.model_kind in ("epsilon", "v", "x0")
        if self.times is not None:
            count = len(self.sigma_grid) - 1
            if len(self.times) != count:
                raise refuse("times", self.times, f"{count} numbers, one for each level above 0")
            if not has_table_time:
                raise refuse("times", self.times, f"None for model_kind={self.model_kind!r}")
        if has_table_time and self.train_sigmas is None and self.times is None:
            raise refuse("train_sigmas", None, f"given, or times, for model_kind={self.model_kind!r}")
