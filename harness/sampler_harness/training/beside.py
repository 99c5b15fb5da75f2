"""What is to be known of a training step beside a sampler though neither is wrong: spread of times, start of runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.subject.base import ModelSubject

__all__ = ["base_of", "beside"]

#: Weight of the data in the noisiest input of training from which on a start from pure noise is told. Chains that are
#: known to miss 0 by little (0.068 of scaled_linear betas, Lin et al. 2023, arXiv:2305.08891) stay below.
SIGNAL = 0.1
#: Relative difference up to which two tables are one.
SAME = 1e-3


def base_of(subject: ModelSubject) -> Any:
    """The configuration that a declaration's checks start from.

    Args:
        subject: a sampler or a training step.
    """
    return covering_set(subject, BUDGETS["quick"]).base


def beside(training: Any, sampler: Any, name: str) -> Iterator[str]:
    """Notes, a sentence each; none where the two are of other families.

    Args:
        training: a configuration of a reference of training.
        sampler: a configuration of a reference sampler.
        name: of the sampler, for the sentence.
    """
    yield from _shifts(training, sampler, name)
    yield from _start(training, sampler, name)


def _shifts(training: Any, sampler: Any, name: str) -> Iterator[str]:
    trained, sampled = training.values().get("shift"), sampler.values().get("shift")
    if trained is not None and sampled is not None and trained != sampled:
        yield (
            f"training draws its times with a shift of {trained:g}, {name} spreads its steps with one of {sampled:g}: "
            "steps are then not taken where the model was trained most; is that meant?"
        )


def _start(training: Any, sampler: Any, name: str) -> Iterator[str]:
    """A chain whose last timestep still holds data, under a sampler that starts from noise alone."""
    if training.time_draw != "integers" or not sampler.told_as_indices or not sampler.has_forward:
        return
    signal, _ = sampler.forward_scales(0)
    last = training.level_bounds[1]
    trained, _ = training.forward_scales(last)
    if signal < SIGNAL or abs(trained - signal) > SAME * trained:
        return
    yield (
        f"alpha_bar is {signal**2:.2g} at the last timestep: there the model is trained on {signal:.2g} times the data "
        f"beside the noise, but {name} starts from noise that holds none; was the table made for more timesteps?"
    )
