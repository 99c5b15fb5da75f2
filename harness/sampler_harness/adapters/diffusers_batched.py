"""A step of several timesteps at once, as parallel sampling asks a scheduler for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["stepped_in_a_batch"]


def stepped_in_a_batch(
    scheduler: Any, output: Any, timestep: Any, x: Any, generator: Any, options: Mapping[str, Any]
) -> Any:
    """The state behind a step that ``batch_step_no_noise`` makes for all items; the noise is the caller's.

    Args:
        scheduler: of diffusers, with its grid laid out.
        output: of the model, for each item.
        timestep: of all items.
        x: state.
        generator: what the noise comes from.
        options: further arguments of the step.

    Raises:
        ValueError: where an item that has another timestep than its neighbours is stepped otherwise than alone.
    """
    import torch

    times = timestep.repeat(x.shape[0])
    stepped = scheduler.batch_step_no_noise(output, times, x, **options)
    _hold_item_by_item(scheduler, output, times, x, stepped, options)
    # It returns float32 whatever it is given; the pipeline that it was made for puts that into a buffer of x's dtype.
    stepped = stepped.to(x.dtype)
    if "variance_type" in scheduler.config and timestep > 0:
        # As that pipeline draws it, ahead of its run.
        drawn = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        stepped = stepped + scheduler._get_variance(timestep) ** 0.5 * drawn
    return stepped


def _hold_item_by_item(
    scheduler: Any, output: Any, times: Any, x: Any, stepped: Any, options: Mapping[str, Any]
) -> None:
    """The first item keeps its timestep, and all others have the grid's last."""
    import torch

    last = torch.full_like(times, int(scheduler.timesteps[-1]))
    mixed = scheduler.batch_step_no_noise(output, torch.cat([times[:1], last[1:]]), x, **options)
    alone = torch.cat([stepped[:1], scheduler.batch_step_no_noise(output, last, x, **options)[1:]])
    if not torch.equal(mixed, alone) and bool(alone.isfinite().all()):
        raise ValueError("batch_step_no_noise of items with timesteps of their own differs from that of one alone")
