"""What the laws of all runs leave open of a method's fields: other values have the same law."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from .fitting import off, roughly_off
from .noise_levels import MOST, between, gap_of_gamma_min
from .observed import Observed

__all__ = ["left_open"]

#: Halvings until the end of a range is told.
_HALVINGS = 12


def left_open(configs: Sequence[Any], seen: Sequence[Observed]) -> tuple[str, ...]:
    """Sentences on fields that may have other values.

    Args:
        configs: the method in every run, on the levels of each.
        seen: the runs.
    """
    values = configs[0].values()
    if all(one.law.num_calls == 1 for one in seen):
        return ("with one model call many methods are one: run it with more steps",)
    if values.get("s_churn"):
        return tuple(_of_churn(configs))
    if "gamma_min" in values:
        gap = gap_of_gamma_min(configs)
        return () if gap is None else (f"gamma_min may lie anywhere from {gap[0]:.6g} to {gap[1]:.6g}",)
    if "timestep_scaling" in values:
        return tuple(_of_boundary(configs, seen))
    return ()


def _of_churn(configs: Sequence[Any]) -> list[str]:
    """Churn is bounded, and a window's ends lie between levels."""
    found = []
    raised = [gamma for one in configs for s in one.levels[:-1] if (gamma := float(one.gamma(s))) > 0]
    if raised and min(raised) >= MOST - 1e-9:
        least = MOST * max(len(one.levels) - 1 for one in configs)
        found.append(f"s_churn may be any number from {least:.4g}: gamma is as large as it may be in all of these runs")
    levels = [float(s) for one in configs for s in one.levels[:-1]]
    up = [float(s) for one in configs for s in one.levels[:-1] if one.gamma(s) > 0]
    for name, below in (("s_tmin", True), ("s_tmax", False)):
        ends = between(levels, up, below=below)
        if ends is not None:
            found.append(f"{name} may lie anywhere from {ends[0]:.6g} to {ends[1]:.6g}: no level of these runs does")
    return found


def _of_boundary(configs: Sequence[Any], seen: Sequence[Observed]) -> list[str]:
    """Far from timestep 0 the boundary shows in no weight; where it shows, it does by one ratio."""
    values = configs[0].values()

    def has_law(scaling: float) -> bool:
        changed: dict[str, Any] = {"timestep_scaling": scaling}
        others = [dataclasses.replace(config, **changed) for config in configs]
        pairs = list(zip(seen, others, strict=True))
        return all(roughly_off(*pair) <= 1.0 for pair in pairs) or all(off(*pair) <= 1.0 for pair in pairs)

    scaling = float(values["timestep_scaling"])
    if not has_law(1e3 * scaling):
        return ["timestep_scaling and sigma_data are known by their ratio alone"]
    low, high = 1e-4 * scaling, scaling
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if has_law(middle) else (middle, high)
    return [f"timestep_scaling may be any number from {high:.2g}: the boundary at timestep 0 shows in no run"]
