"""Schedulers of diffusers that are not decided, each with the reason."""

from __future__ import annotations

from collections.abc import Iterable

from .diffusers_options import names, scheduler_class
from .diffusers_varied import REFERENCED

__all__ = ["UNDECIDED", "undecided", "why_undecided"]

#: Reason to schedulers.
UNDECIDED: dict[str, tuple[str, ...]] = {
    "it samples tokens: no Gaussian noise is taken out": (
        "AmusedScheduler",
        "BlockRefinementScheduler",
        "DiscreteDDIMScheduler",
        "EntropyBoundScheduler",
        "VQDiffusionScheduler",
    ),
    "a multistep or exponential integrator, of which there is no reference yet": (
        "CogVideoXDPMScheduler",
        "CosineDPMSolverMultistepScheduler",
        "DEISMultistepScheduler",
        "DPMSolverMultistepInverseScheduler",
        "DPMSolverMultistepScheduler",
        "DPMSolverSDEScheduler",
        "DPMSolverSinglestepScheduler",
        "EDMDPMSolverMultistepScheduler",
        "IPNDMScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "SASolverScheduler",
        "UniPCMultistepScheduler",
    ),
    "it is a part of a decoder, with two timesteps and no other": ("ConsistencyDecoderScheduler",),
    "its step asks for more than an output, a time and a state: an image, a mask, or several predictions at once": (
        "PiflowScheduler",
        "RFD4ProteinaScheduler",
        "RePaintScheduler",
    ),
    "its state changes size on the way": ("HeliosDMDScheduler", "HeliosScheduler"),
}
#: Of a scheduler that a later release has.
_NEW = "this version does not know it"
#: Of one that the library lists and does not give.
_NOT_THERE = "the installed diffusers lists it and cannot give it"


def why_undecided(name: str) -> str:
    """Why a scheduler is not decided, in words.

    Args:
        name: the class.
    """
    return next((reason for reason, those in UNDECIDED.items() if name in those), _NEW)


def undecided() -> tuple[str, ...]:
    """A line for each reason that leaves schedulers of the installed diffusers undecided.

    Raises:
        ModuleNotFoundError: where diffusers is not installed.
    """
    left = [name for name in names() if name not in REFERENCED]
    absent = [name for name in left if not _is_there(name)]
    by_reason: dict[str, list[str]] = {}
    for name in left:
        by_reason.setdefault(_NOT_THERE if name in absent else why_undecided(name), []).append(name)
    return tuple(f"not decided ({reason}): {_listed(those)}" for reason, those in by_reason.items())


def _listed(those: Iterable[str]) -> str:
    return ", ".join(name.removesuffix("Scheduler") for name in those)


def _is_there(name: str) -> bool:
    try:
        scheduler_class(name)
    except ValueError:
        return False
    return True
