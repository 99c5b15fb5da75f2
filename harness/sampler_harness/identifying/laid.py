"""By-hand levels as a grid with a name: which of them a method is on, and the same grid with other numbers of steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference_samplers import EDM, AlphaFold3, ConsistencyModel, DPM2Ancestral, EulerAncestral, ScoreSDE
from reference_samplers.diffusers import (
    EDMEuler,
    EulerAncestralDiscrete,
    EulerDiscrete,
    HeunDiscrete,
    KDPM2AncestralDiscrete,
    KDPM2Discrete,
)
from reference_samplers.diffusers_consistency import SCM, CMStochasticIterative
from reference_samplers.dpm2 import DPM2
from reference_samplers.grids import EvenTimes, KarrasLevels
from reference_samplers.grids.noise_levels import LevelsByHand
from reference_samplers.grids.timesteps import DistilledTimesteps, Timesteps
from reference_samplers.processes.rectified_flow import RectifiedFlow
from reference_samplers.processes.table_chain import TableChain
from reference_samplers.processes.table_model import TableModel
from sampler_harness.law.response import Array

from .grids import noise_level_grids, rho_of, time_grids
from .made import made
from .numbers import shortest
from .observed import Observed
from .tables import tables_of

__all__ = ["Laid", "grids_of", "num_levels"]

_SPACINGS = ("leading", "trailing", "linspace", "respaced")
#: Timesteps of a distillation, the usual number first.
_DISTILLED = (50, 20, 25, 40, 100, *range(4, 201), 250, 500, 1000)
#: On the levels of a chain's table, of each method that schedulers lay out so.
_IN_TABLES: dict[type[Any], type[Any]] = {
    EulerAncestral: EulerAncestralDiscrete, DPM2: KDPM2Discrete, DPM2Ancestral: KDPM2AncestralDiscrete,
}  # fmt: skip
_CONVENTIONS = ("s_churn", "s_tmin", "s_tmax", "s_noise")


@dataclass(frozen=True)
class Laid:
    """A grid with a name.

    Attributes:
        fields: of the reference, in place of its levels by hand; where ``grid`` is given it is that grid's levels.
        grid: a grid by itself; None where the reference has it.
        kind: the reference's class, where another one has this grid; None for the same.
        by_asking: whether it counts the steps that the sampler was asked for, and not those that it makes.
        told: the grid's fields, for a person.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    grid: Any = None
    kind: type[Any] | None = None
    by_asking: bool = False

    def on(self, config: Any, asked: int) -> Any:
        """A configuration with levels by hand, on this grid instead; None where it lets itself not be laid out so.

        Args:
            config: as it was read from runs with one number of steps.
            asked: that number.
        """
        steps = asked if self.by_asking else num_levels(config)
        if self.kind is not None:
            found = made(self.kind, {**self.fields, "num_steps": steps})
        elif self.grid is not None:
            grids = made(type(self.grid), {**self.grid.values(), "num_steps": steps})
            levels = () if not grids else tuple(float(level) for level in grids[0].levels)
            found = made(type(config), {**config.values(), "sigmas": levels}) if levels else []
        else:
            by_hand = {"sigmas": None, "timesteps": None}
            given = {**config.values(), **by_hand, **self.fields, "num_steps": steps}
            found = made(type(config), {name: one for name, one in given.items() if name in config.values()})
        return found[0] if found else None


def num_levels(config: Any) -> int:
    """How many levels a configuration calls its model at, or begins a step at."""
    return len(config.levels) - 1


def grids_of(config: Any, seen: Observed) -> Iterator[Laid]:
    """Grids with a name that have a configuration's levels.

    Args:
        config: with levels by hand.
        seen: the runs that they were read from.
    """
    if isinstance(config, TableChain):
        yield from _timesteps(config)
        return
    if isinstance(config, (TableModel, ScoreSDE, CMStochasticIterative, SCM, EDMEuler)):  # which have none by hand here
        fields = {name: one for name, one in config.values().items() if name != "num_steps"}
        yield Laid(fields, kind=type(config), by_asking=isinstance(config, (TableModel, CMStochasticIterative)))
        return
    if isinstance(config, AlphaFold3) and config.sigmas is None:
        yield Laid({name: one for name, one in config.values().items() if name not in ("num_steps", "sigmas")})
        return
    levels = np.asarray(config.levels, dtype=np.float64)
    if isinstance(config, RectifiedFlow):
        for grid in time_grids(levels, seen.steps):
            yield _of_grid(grid, EvenTimes, config)
        return
    if isinstance(config, LevelsByHand):
        if config.values().get("model_kind", "denoiser") in ("epsilon", "v", "x0"):
            yield from _in_tables(config, seen)
        for grid in noise_level_grids(levels, seen.steps):
            yield _of_grid(grid, KarrasLevels if _has_its_own(config, grid) else None, config)
        if isinstance(config, AlphaFold3):
            yield from _ends_in_zero_for_lowest(levels)


def _has_its_own(config: Any, grid: Any) -> bool:
    """Whether the reference's own grid may be this one: the lowest level is another number of a consistency model."""
    lowest = grid.values().get("sigma_min", 0.0)
    return not isinstance(config, ConsistencyModel) or math.isclose(config.sigma_min, lowest, rel_tol=1e-5)


def _ends_in_zero_for_lowest(levels: Array) -> Iterator[Laid]:
    """One level more, in place of which there is 0: even in the root that makes those above it even."""
    above = levels[:-1]
    rho = rho_of(above)
    if rho is None or len(above) < 3:
        return
    roots = above ** (1 / rho)
    below = float(roots[-1] - (roots[0] - roots[-1]) / (len(above) - 1))
    if below > 0:
        ends = {
            "sigma_max": shortest(float(levels[0]), 1e-5 * levels[0]),
            "sigma_min": shortest(below**rho, 1e-3 * below**rho),
        }
        yield Laid({**ends, "rho": rho, "ends_at": "zero_for_lowest"})


def _of_grid(grid: Any, own: type[Any] | None, config: Any) -> Laid:
    by_asking = "places" in grid.values()
    if own is not None and type(grid) is own:
        more = {"ends_at": "zero_behind_lowest"} if isinstance(config, AlphaFold3) else {}
        return Laid(
            {**{name: one for name, one in grid.values().items() if name not in ("num_steps", "sigmas")}, **more}
        )
    return Laid(grid=grid, by_asking=by_asking)


def _timesteps(config: Any) -> Iterator[Laid]:
    timesteps = tuple(config.timesteps or ())
    if isinstance(config, DistilledTimesteps):
        for original in dict.fromkeys(_DISTILLED):
            laid = Laid({"original_steps": original}, by_asking=True)
            if len(timesteps) <= original <= config.num_train_timesteps:
                other = laid.on(config, len(timesteps))
                if other is not None and other.grid == timesteps:
                    yield laid
        return
    if not isinstance(config, Timesteps):
        return
    for spacing in _SPACINGS:
        offsets = (0, timesteps[-1]) if spacing == "leading" else (0,)
        for offset in dict.fromkeys(offsets):
            laid = Laid({"timestep_spacing": spacing, "steps_offset": offset})
            other = laid.on(config, len(timesteps))
            if other is not None and other.grid == timesteps:
                yield laid


def _in_tables(config: Any, seen: Observed) -> Iterator[Laid]:
    """On the levels of a chain at timesteps, or spread between two of them, as schedulers lay them out."""
    values = config.values()
    kind = _IN_TABLES.get(type(config))
    if type(config) is EDM:
        kind = EulerDiscrete if values["solver"] == "euler" else HeunDiscrete
    if kind is None or (type(config) is EulerAncestral and (values["eta"], values["s_noise"]) != (1.0, 1.0)):
        return
    told = seen.law.times[:: 2 if len(seen.law.times) > num_levels(config) else 1]
    alpha_bar = 1 / (1 + np.asarray(config.levels[:-1], dtype=np.float64) ** 2)
    tables = list(tables_of([float(one) for one in told], alpha_bar)) if told.min() >= 0 else []
    churn = {name: values[name] for name in _CONVENTIONS if name in values}
    for table in tables:
        shared = {**table, **churn, "prediction": values["model_kind"]}
        for spacing, sigma_spacing in itertools.product(_SPACINGS[:3], ("timesteps", "karras", "exponential", "beta")):
            offsets = (0, 1) if spacing == "leading" else (0,)
            for offset in offsets:
                fields = {**shared, "timestep_spacing": spacing, "sigma_spacing": sigma_spacing, "steps_offset": offset}
                laid = Laid(fields, kind=kind, by_asking=True)
                other = laid.on(config, seen.steps)
                if other is not None and len(other.levels) == len(config.levels):
                    off = np.abs(np.asarray(other.levels) - config.levels)
                    if bool((off <= 1e-3 * np.abs(config.levels) + 1e-9).all()):
                        yield laid
