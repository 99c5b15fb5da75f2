"""A scheduler's own forward process, in every way in which programs call it.

Training calls ``add_noise`` on a scheduler that was never laid out, with a timestep for each item; image-to-image calls
it after ``set_begin_index``; inpainting calls it in the middle of a run. All of them must have the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .diffusers_handling import order_of

__all__ = ["item_by_item", "noised_in_every_way"]

#: Levels of a table read by index and by interpolation, in float32: a few roundings apart.
_READ_TWICE = 2.0**-20


def noised_in_every_way(
    laid_out: Callable[[], Any], constructed: Callable[[], Any], x0: Any, draw: Any, index: int
) -> Any:
    """Noised data at an entry of the grid.

    Args:
        laid_out: makes a scheduler with its grid laid out.
        constructed: makes one that has none.
        x0: data.
        draw: noise of the same shape.
        index: of the entry.

    Raises:
        ValueError: where one way differs from another, or from what its own tables say.
    """
    scheduler = laid_out()
    method = scheduler.add_noise if hasattr(scheduler, "add_noise") else scheduler.scale_noise
    noised = item_by_item("add_noise", method, scheduler, x0, draw, index)
    times = _times(scheduler, index, x0.shape[0])
    if hasattr(scheduler, "set_begin_index"):
        begun = laid_out()
        begun.set_begin_index(index * order_of(begun))
        _hold(begun.add_noise, x0, draw, times, noised, "after set_begin_index, which image-to-image calls first")
        # Where the run begins is told once: the timesteps that come with the data say no more than how many there are.
        if hasattr(scheduler, "sigmas"):  # a chain reads its table at the timesteps, wherever a run begins
            others = scheduler.timesteps[0 if index else -1].repeat(x0.shape[0])
            when = "after set_begin_index, by the timesteps that it is told then"
            _hold(begun.add_noise, x0, draw, others, noised, when)
        untold = laid_out()
        untold.scale_model_input(x0, times[0])
        if hasattr(untold, "sigmas") and untold.step_index != index * order_of(untold):  # else step alone looks it up
            raise ValueError(
                f"step_index is {untold.step_index} at the timestep of entry {index}, should be "
                f"{index * order_of(untold)}, where set_begin_index is not called"
            )
        walked = laid_out()
        walked.set_begin_index(0)
        x = x0.new_zeros(x0.shape)
        for timestep in walked.timesteps[: index * order_of(walked)]:
            x = walked.step(x, timestep, walked.scale_model_input(x, timestep)).prev_sample * 0
        if walked.step_index != (index * order_of(walked) if index else None):
            raise ValueError(f"step_index is {walked.step_index} after {index * order_of(walked)} calls of step")
        if index:
            _hold(walked.add_noise, x0, draw, times, noised, "in the middle of a run, as inpainting calls it")
    new = constructed()
    if _has_entry(scheduler, new, times):
        _hold(new.add_noise, x0, draw, times, noised, "before set_timesteps, as training calls it", _READ_TWICE)
    return noised


def item_by_item(name: str, method: Callable[..., Any], scheduler: Any, x0: Any, draw: Any, index: int) -> Any:
    """What a method of the forward process gives at one entry for all items; it must give each item its own.

    Args:
        name: of the method, for a person.
        method: takes data, noise and timesteps.
        scheduler: whose method it is.
        x0: data.
        draw: noise of the same shape.
        index: of the entry.

    Raises:
        ValueError: where items that have timesteps of their own are not noised as each is alone.
    """
    import torch

    result = method(x0, draw, _times(scheduler, index, x0.shape[0]))
    items, grid = x0.shape[0], len(scheduler.timesteps) // order_of(scheduler) or 1
    entries = [(index + item) % grid for item in range(items)]
    if len(set(entries)) == 1:
        return result
    values = torch.linspace(-1.0, 1.0, x0.numel(), device=x0.device).reshape(x0.shape).to(x0.dtype)
    noise = values.flip(0) * 0.5 + 0.25
    times = [scheduler.timesteps[entry * order_of(scheduler)] for entry in entries]
    together = method(values, noise, torch.stack(times))
    for item, time in enumerate(times):
        alone = method(values[item : item + 1], noise[item : item + 1], time.reshape(1))
        if not torch.equal(together[item : item + 1], alone):
            raise ValueError(f"{name} with a timestep for each item differs from {name} of item {item} alone")
    return result


def _times(scheduler: Any, index: int, items: int) -> Any:
    return scheduler.timesteps[index * order_of(scheduler)].repeat(items)


def _hold(
    method: Callable[..., Any], x0: Any, draw: Any, times: Any, should_be: Any, when: str, off: float = 0.0
) -> None:
    import torch

    got = method(x0, draw, times)
    if off and got.dtype != torch.float32:
        return  # what a cast makes of two levels that are nearly the same says nothing
    if not (torch.allclose(got, should_be, rtol=off, atol=0.0) if off else torch.equal(got, should_be)):
        raise ValueError(f"add_noise differs {when}")


def _has_entry(scheduler: Any, new: Any, times: Any) -> bool:
    """Whether a scheduler that was never laid out has the level of a timestep in its table."""
    import torch

    if not hasattr(new, "alphas_cumprod"):
        return False
    if not hasattr(new, "sigmas"):
        return True
    spread = any(new.config.get(f"use_{name}_sigmas") for name in ("karras", "exponential", "beta"))
    spread = spread or new.config.get("interpolation_type", "linear") != "linear"
    is_told = bool(torch.isin(times, new.timesteps).all())
    if hasattr(new, "sigmas_interpol"):  # between two entries it has the middle of a step, which is no level
        is_told = is_told and bool((times == times.round()).all())
    return is_told and not spread and new.config.get("timestep_type", "discrete") == "discrete"
