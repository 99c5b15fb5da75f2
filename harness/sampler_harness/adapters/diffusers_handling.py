"""How a scheduler came to the run that is looked at: new, used before, stopped half way, copied, saved; or never set.

Nothing of it may change what the run does. What is done to a scheduler beforehand draws nothing: each draw inside of a
run would be taken for the run's own.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, Literal

from .diffusers_options import COUNTS_THE_END

__all__ = ["Handling", "Result", "handled", "order_of"]

#: What was done to a scheduler before the run: ``"new"`` nothing; ``"used"`` a whole run on another grid;
#: ``"interrupted"`` a run that began in the middle and ended in an error; ``"copied"`` it was laid out and copied, and
#: the original goes on; ``"saved"`` it was saved in a folder and loaded; ``"unset"`` nothing at all, not even
#: ``set_timesteps``.
Handling = Literal["new", "used", "interrupted", "copied", "saved", "unset"]
#: What of ``step`` is taken: ``"object"`` its ``prev_sample``; ``"x0"`` the same, and where the run ends in data the
#: last step's ``pred_original_sample``; ``"tuple"`` both from what ``return_dict=False`` returns.
Result = Literal["object", "tuple", "x0"]

_SHAPE = (1, 1, 2, 2)
#: Schedulers that draw at every timestep but 0.
_DRAWS = ("DDPMScheduler", "DDPMParallelScheduler")


def order_of(scheduler: Any) -> int:
    """Entries of ``timesteps`` for each step; where a scheduler does not say, one.

    Args:
        scheduler: of diffusers.
    """
    return int(vars(type(scheduler)).get("order", 1))


def handled(how: Handling, scheduler: Any, lay_out: Callable[[Any], None], *, by_hand: bool, device: Any) -> Any:
    """The scheduler as it stands before the run that is looked at, with its grid laid out.

    Args:
        how: see :data:`Handling`.
        scheduler: as constructed.
        lay_out: calls its ``set_timesteps``.
        by_hand: it is given the timesteps or levels themselves.
        device: torch device.
    """
    if how == "unset":
        return scheduler
    if how == "saved":
        scheduler = _reloaded(scheduler)
    elif how == "used":
        _run_on_another_grid(scheduler, by_hand, device)
    elif how == "interrupted":
        lay_out(scheduler)
        # Odd, so that a step of two calls is left in the middle.
        _step(scheduler, device, most=len(scheduler.timesteps) // 2 | 1)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(len(scheduler.timesteps) - 1)
    lay_out(scheduler)
    if how == "copied":
        original, scheduler = scheduler, copy.deepcopy(scheduler)
        _run_on_another_grid(original, by_hand, device)
    return scheduler


def _run_on_another_grid(scheduler: Any, by_hand: bool, device: Any) -> None:
    if type(scheduler).__name__ in _DRAWS and not by_hand:
        scheduler.set_timesteps(timesteps=[0], device=device)  # the one timestep at which it draws nothing
    else:
        # A scheduler of flows has no such attribute before its grid is laid out.
        steps = vars(scheduler).get("num_inference_steps")
        by_size = {"mu": 0.7} if scheduler.config.get("use_dynamic_shifting") else {}
        # A single level that is stretched is NaN (FINDINGS), and one that counts the end is none.
        needs_more = scheduler.config.get("shift_terminal") or type(scheduler).__name__ in COUNTS_THE_END
        one = 3 if needs_more else 1
        scheduler.set_timesteps(2 if steps in (None, one) else one, device=device, **by_size)
    _step(scheduler, device)


def _step(scheduler: Any, device: Any, most: int | None = None) -> None:
    import torch

    x = torch.zeros(_SHAPE, device=device)
    for timestep in scheduler.timesteps[:most]:
        if type(scheduler).__name__ in _DRAWS and timestep > 0:
            break
        seen = scheduler.scale_model_input(x, timestep) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(torch.zeros_like(x), timestep, seen).prev_sample


def _reloaded(scheduler: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler.save_pretrained(folder)
        return type(scheduler).from_pretrained(folder)
