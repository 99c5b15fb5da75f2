"""The loop around ``ScoreSdeVeScheduler``, as its pipeline has it: the mean of the last step is the sample."""

from __future__ import annotations

from typing import Any

__all__ = ["walked"]


def walked(scheduler: Any, timesteps: Any, model: Any, x: Any, generator: Any) -> Any:
    """The sample of a run.

    Args:
        scheduler: with its levels laid out.
        timesteps: of the calls that are left.
        model: told the level of each.
        x: state at the first of them.
        generator: what every draw comes from.
    """
    mean = x
    first = len(scheduler.timesteps) - len(timesteps)
    for index, timestep in enumerate(timesteps, first):
        told = scheduler.sigmas[index].to(x.device).repeat(x.shape[0])
        for _ in range(scheduler.config.correct_steps):
            x = scheduler.step_correct(model(x, told), x, generator=generator).prev_sample
        stepped = scheduler.step_pred(model(x, told), timestep, x, generator=generator)
        x, mean = stepped.prev_sample, stepped.prev_sample_mean
    return mean
