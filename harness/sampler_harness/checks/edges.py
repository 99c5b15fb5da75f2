"""Where rounding decides a branch: the configurations on either side of it.

A half to be rounded, or a window's edge on a grid point, falls to one side in one program and to the other in the next,
and both are right. Such a case passes if the law on either side agrees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["either_side", "on_own_grid"]

#: Relative distance within which float32 arithmetic may put a level on either side of a window's edge.
EDGE = 1e-5


def either_side(config: Any, times: Sequence[float]) -> Iterator[Any]:
    """Configurations that differ from ``config`` only in how a rounding decides.

    Args:
        config: a reference's configuration.
        times: what the sampler told its model, to know which side it took.

    Yields:
        Other configurations; none where nothing is on an edge.
    """
    if hasattr(config, "num_train_timesteps"):
        yield from _other_halves(config, times)
    if hasattr(config, "s_tmin") and hasattr(config, "sigma_grid") and config.s_churn > 0:
        yield from _window_edges(config)


def _unrounded(config: Any) -> list[float]:
    """The grid of timesteps before rounding, plus what is taken off afterwards."""
    table, steps = config.num_train_timesteps, config.num_steps
    if steps is None or config.timesteps is not None:
        return []
    if config.timestep_spacing == "trailing":
        return [table - i * table / steps - 1 for i in range(steps)]
    if config.timestep_spacing == "linspace" and steps > 1:
        return [i * (table - 1) / (steps - 1) for i in reversed(range(steps))]
    return []


def _other_halves(config: Any, times: Sequence[float]) -> Iterator[Any]:
    exact = _unrounded(config)
    if len(exact) != len(times) or not exact:
        return
    halves = [abs(value - int(value) - 0.5) < 1e-6 for value in exact]
    if not any(halves):
        return
    chosen = []
    for value, is_half, grid, time in zip(exact, halves, config.grid, times, strict=True):
        legal = {int(value), int(value) + 1} if is_half else {grid}
        if time not in legal:
            return
        chosen.append(int(time))
    default = {f.name: f.default for f in dataclasses.fields(config)}["timestep_spacing"]
    try:
        yield dataclasses.replace(config, num_steps=None, timestep_spacing=default, timesteps=tuple(chosen))
    except ValueError:
        return


def _window_edges(config: Any) -> Iterator[Any]:
    levels = [float(sigma) for sigma in config.sigma_grid if sigma > 0]
    for name in ("s_tmin", "s_tmax"):
        edge = getattr(config, name)
        if any(abs(sigma - edge) <= EDGE * sigma for sigma in levels):
            for factor in (1 - 2 * EDGE, 1 + 2 * EDGE):
                try:
                    yield dataclasses.replace(config, **{name: edge * factor})
                except ValueError:
                    continue


def on_own_grid(config: Any, times: Sequence[float]) -> Any:
    """The same configuration on the grid that the sampler told its model; None where that is no legal grid.

    If the sampler has the law of this one, its grid is its only mistake and everything else follows from it.

    Args:
        config: a reference's configuration.
        times: what the sampler told its model.
    """
    try:
        if hasattr(config, "num_train_timesteps"):
            if any(time != int(time) for time in times):
                return None
            default = {f.name: f.default for f in dataclasses.fields(config)}["timestep_spacing"]
            grid = tuple(int(time) for time in times)
            return dataclasses.replace(config, num_steps=None, timestep_spacing=default, timesteps=grid)
        if getattr(config, "model_kind", None) == "denoiser" and not config.s_churn:
            levels = sorted({float(time) for time in times if time > 0}, reverse=True)
            return dataclasses.replace(config, sigmas=(*levels, 0.0), initial_scale=config.forward_scales(0)[1])
    except (ValueError, OverflowError, TypeError):
        return None
    return None
