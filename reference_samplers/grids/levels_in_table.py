"""Noise levels looked up in the table that a model was trained at, as ComfyUI names its schedulers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.processes import betas
from reference_samplers.validation import choice, real, refuse, whole

from . import quantiles
from .grid import Grid

__all__ = ["LevelsInTable", "Places", "TableOf"]

Places = Literal["simple", "normal", "sgm_uniform", "ddim_uniform", "beta"]
TableOf = Literal["chain", "flow"]

#: Both parameters of the beta distribution of ``"beta"``.
BETA_SHAPE = 0.6
#: Distance from a half within which programs differ in where they round.
_HALF = 1e-6


@dataclass(frozen=True)
class LevelsInTable(Grid):
    """Levels at places in a table, and then 0.

    Source: ComfyUI, released code, ``comfy/samplers.py`` (the places) and ``comfy/model_sampling.py`` (the tables and
    what lies between their entries); ``"beta"``: Lee et al. 2024, arXiv:2407.12173; the shift: Esser et al. 2024,
    arXiv:2403.03206, equation 23. As there, ``"ddim_uniform"`` may have more levels than steps, since its stride is
    rounded down; ``"beta"`` fewer, since a place is taken once; and the lowest place of ``"normal"`` and
    ``"sgm_uniform"`` on a flow is shifted twice.

    Args:
        num_steps: N, in [1, T]; how many steps are asked for.
        places: ``"simple"``: every (T / N)-th entry from the last, rounded down; ``"normal"``: N even places with both
            ends; ``"sgm_uniform"``: the first N of N + 1 even places; ``"ddim_uniform"``: every (T // N)-th entry from
            entry 1 upwards; ``"beta"``: quantiles, to the nearest entry.
        table: ``"chain"``: levels of a chain with scaled linear betas; ``"flow"``: times t / T, shifted.
        num_train_timesteps: T.
        beta_start: of the chain, in (0, 1).
        beta_end: of the chain, in (0, 1).
        shift: of the flow, > 0.
    """

    num_steps: int = whole(20, low=1)
    places: Places = choice("simple")
    table: TableOf = choice("chain")
    num_train_timesteps: int = whole(1000, low=2)
    beta_start: float = real(0.00085, above=0, below=1)
    beta_end: float = real(0.012, above=0, below=1)
    shift: float = real(1.0, above=0)

    def check(self) -> None:
        """There are as many entries as steps, and a shift where there is a flow."""
        if self.num_steps > self.num_train_timesteps:
            raise refuse("num_steps", self.num_steps, f"<= num_train_timesteps={self.num_train_timesteps!r}")
        if self.table == "chain" and self.shift != 1:
            raise refuse("shift", self.shift, "1 where table is 'chain', which has none")

    @cached_property
    def entries(self) -> Array:
        """``(T,)`` levels of the table, rising."""
        if self.table == "flow":
            return self.shifted(np.arange(1, self.num_train_timesteps + 1) / self.num_train_timesteps)
        variances = betas.scaled_linear_betas(self.num_train_timesteps, self.beta_start, self.beta_end)
        alpha_bar = betas.alpha_bar(variances)
        levels: Array = np.sqrt((1 - alpha_bar) / alpha_bar)
        return levels

    def shifted(self, times: Array) -> Array:
        """Times of a flow, shifted."""
        moved: Array = self.shift * times / (1 + (self.shift - 1) * times)  # Esser et al. eq. 23
        return moved

    def level_at(self, places: Array) -> Array:
        """Levels between entries: a chain's logarithms are interpolated, a flow's times are shifted."""
        if self.table == "flow":
            return self.shifted(places / self.num_train_timesteps)
        levels: Array = np.exp(np.interp(places, np.arange(self.num_train_timesteps), np.log(self.entries)))
        return levels

    @property
    def ends(self) -> tuple[float, float]:
        """The places of the highest and of the lowest level; a flow's are the shifted times themselves."""
        if self.table == "flow":
            return self.num_train_timesteps * self.entries[-1], self.num_train_timesteps * self.entries[0]
        return self.num_train_timesteps - 1.0, 0.0

    @cached_property
    def levels(self) -> Array:
        """Levels that the model is called at, falling, and then 0."""
        return np.append(self.called(), 0.0)

    def called(self) -> Array:
        """Levels that the model is called at, falling."""
        first, last = self.ends
        if self.places == "normal":
            return self.level_at(np.linspace(first, last, self.num_steps))
        if self.places == "sgm_uniform":
            return self.level_at(np.linspace(first, last, self.num_steps + 1)[:-1])
        return self.entries[self.whole_places()]

    def whole_places(self) -> list[int]:
        """Entries of the other spacings, falling."""
        length, steps = self.num_train_timesteps, self.num_steps
        if self.places == "simple":
            return [length - 1 - int(i * (length / steps)) for i in range(steps)]
        if self.places == "ddim_uniform":
            return list(range(1, length, length // steps))[::-1]
        nearest = np.rint(self.quantile_places())
        return [int(place) for place in dict.fromkeys(nearest.tolist())]

    def quantile_places(self) -> Array:
        """``(N,)`` places of the quantiles, before they are rounded, falling."""
        shares = 1 - np.linspace(0.0, 1.0, self.num_steps + 1)[:-1]
        return quantiles.beta_quantiles(shares, BETA_SHAPE, BETA_SHAPE) * (self.num_train_timesteps - 1)

    @property
    def also(self) -> Array | None:
        """The entry beside, where rounding alone decides which is meant: a stride that is rounded first, a half."""
        length, steps = self.num_train_timesteps, self.num_steps
        if self.places == "simple":
            return np.append(self.entries[[length - 1 - i * length // steps for i in range(steps)]], 0.0)
        if self.places != "beta":
            return None
        exact = self.quantile_places()
        is_half = np.abs(exact - np.floor(exact) - 0.5) < _HALF
        beside = np.where(is_half, np.floor(exact) + np.ceil(exact) - np.rint(exact), np.rint(exact))
        places = [int(place) for place in dict.fromkeys(beside.tolist())]
        return np.append(self.entries[places], 0.0) if len(places) + 1 == len(self.levels) else None
