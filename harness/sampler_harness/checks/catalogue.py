"""All checks by id: what each claims, what it catches and what it is blind to.

Light on purpose: listing checks, collecting pytest items and validating ids import no torch.

Context: a host upgrades, and a sampler that nobody touched goes red.
Choice: each check says in which version it came, and a host may ask for those of an earlier one (``--checks-as-of``). A
check never becomes stricter under its id: what is stricter is a check of its own, with a version of its own, so that
the set alone decides what a verdict can be. Mending a check that was blind by mistake is the one exception; the
changelog lists it under "Verdicts".
Reversed by: so many checks that are stricter forms of others that nobody finds their way.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "CATALOGUE",
    "KINDS",
    "RELATIVE",
    "VERSIONS",
    "CheckInfo",
    "catalogue",
    "check_function",
    "check_ids",
    "checked_version",
    "info_of",
]

#: What only says whether a sampler has the law of what it is held against. A deviation from the paper that is declared
#: there is none from the sampler's own past.
RELATIVE = frozenset({"law/times", "law/initial-noise", "law/outputs", "law/noise", "law/offset"})
#: Versions that brought checks, the first one first.
VERSIONS = ("0.1", "0.2")


@dataclass(frozen=True)
class CheckInfo:
    """One check.

    Attributes:
        id: stable name, ``family/claim``.
        group: ``timesteps``, ``shapes``, ``noise dimensions`` or ``the rest``.
        claim: what holds when it passes.
        catches: mistakes that it fails.
        blind_to: mistakes that it cannot see, and which check does.
        function: where it is, ``module:function``; a module without dots is below ``sampler_harness.checks``.
        since: the version that brought it, one of :data:`VERSIONS`.
    """

    id: str
    group: str
    claim: str
    catches: str
    blind_to: str
    function: str
    since: str = VERSIONS[0]


CATALOGUE: tuple[CheckInfo, ...] = (
    CheckInfo(
        "law/times",
        "timesteps",
        "the model is called at the reference's times, in number and order",
        "a wrong grid, sigma where sigma_hat belongs, one call too many, rounded or shifted timesteps",
        "a right time told with a wrong noise level in x (law/noise, law/outputs)",
        "law:check_times",
    ),
    CheckInfo(
        "law/initial-noise",
        "noise dimensions",
        "the first model input has the reference's scale",
        "a first noise that is not multiplied by sigma_max, or scaled twice",
        "what happens after the first call",
        "law:check_initial_noise",
    ),
    CheckInfo(
        "law/outputs",
        "the rest",
        "each update weighs the state and the model's outputs as the reference does",
        "wrong coefficients, a wrong sigma in a step, epsilon taken for v, a corrector with the first sigma",
        "fresh noise (law/noise) and what only shows when a clamp bites (clip/replay)",
        "law:check_outputs",
    ),
    CheckInfo(
        "law/noise",
        "noise dimensions",
        "fresh noise enters with the right strength at each step, and where the paper has none, none",
        "variance for standard deviation, noise on the last step, missing, doubled or reused draws",
        "noise shared between items or pixels (noise/shape)",
        "law:check_noise",
    ),
    CheckInfo(
        "law/offset",
        "the rest",
        "nothing constant is added",
        "an undeclared (x + 1) / 2, a mean that is not zero, noise that does not come from a generator",
        "constants that the declaration undoes",
        "law:check_offset",
    ),
    CheckInfo(
        "law/forward",
        "noise dimensions",
        "add_noise has the law's own signal and noise scales at every entry of the grid",
        "noise added at another level than the run starts from, a dropped noise argument",
        "samplers that offer no add_noise",
        "forward:check_forward",
    ),
    CheckInfo(
        "law/partial",
        "timesteps",
        "a run from step k is the tail of the whole run",
        "image-to-image starting one step off, history left from an earlier start",
        "samplers that cannot start in the middle",
        "forward:check_partial",
    ),
    CheckInfo(
        "noise/shape",
        "noise dimensions",
        "every element of the sample receives its own independent normal",
        "noise broadcast over the batch, channels or pixels; elements that receive none",
        "its strength (law/noise)",
        "noise:check_shape",
    ),
    CheckInfo(
        "noise/generator",
        "noise dimensions",
        "a given generator feeds every draw, the global stream is untouched, nothing random is hidden",
        "an ignored generator, numpy noise, results that differ with the same draws",
        "a generator on the wrong device, where there is only one device",
        "noise:check_generator",
    ),
    CheckInfo(
        "shape/batch",
        "shapes",
        "an item does not depend on its neighbours, on the batch's size or on its position",
        "statistics over the batch, an item that is never updated, a threshold shared by the batch",
        "coupling inside one item",
        "shape:check_batch",
    ),
    CheckInfo(
        "shape/any",
        "shapes",
        "the law is the same for every declared shape",
        "hard-coded sizes or axes, a channel treated differently, memory layout taken for granted",
        "shapes that are not declared (by default images only)",
        "shape:check_any",
    ),
    CheckInfo(
        "steps/any",
        "timesteps",
        "the law holds for one, two, few, many and indivisible numbers of steps",
        "NaN for one step, a grid that is right only where the steps divide the table",
        "numbers of steps that the declaration does not allow",
        "steps:check_any",
    ),
    CheckInfo(
        "state/rerun",
        "the rest",
        "a second run, a run after another configuration and interleaved runs give the same result",
        "tables cast in place, history that survives, lists that are not refreshed",
        "state that only shows after many runs",
        "state:check_rerun",
    ),
    CheckInfo(
        "state/side-effects",
        "the rest",
        "arguments and global settings are as before",
        "the model's output written over, a changed default dtype, grad mode or training flag",
        "files, environment and other libraries' settings",
        "state:check_side_effects",
    ),
    CheckInfo(
        "precision/dtype",
        "the rest",
        "the sample has the declared dtype and each declared dtype is as accurate as it can be",
        "half-precision timesteps, tables in too low a precision, a sample that comes back in another dtype, a cast to "
        "a narrower one on the way",
        "accuracy beyond the declared dtype",
        "precision:check_dtype",
    ),
    CheckInfo(
        "clip/replay",
        "the rest",
        "with large values the sampler still does what the reference does",
        "tanh for a clamp, a clamp that is missing, misplaced or undeclared, a wrong threshold; where the reference "
        "has no law (a corrector's norms), any step that differs",
        "values beyond those that were tried",
        "clip:check_replay",
    ),
    CheckInfo(
        "limit/gaussian",
        "the rest",
        "with the exact denoiser of a Gaussian the result converges to the exact solution",
        "a formula that is wrong in the reference too, where it does not even converge",
        "a right limit reached too slowly (limit/order)",
        "limit:check_gaussian",
    ),
    CheckInfo(
        "limit/order",
        "timesteps",
        "the order that the method claims is the order that it has",
        "a corrector that corrects nothing, halved differences, a published formula that loses an order",
        "stochastic samplers",
        "limit:check_order",
    ),
)


#: What can be declared, and where the checks of each kind are listed.
KINDS = {
    "sampler": f"{__name__}:CATALOGUE",
    "training": "sampler_harness.training.catalogue:CHECKS",
    "preprocessing": "sampler_harness.data.catalogue:PREPROCESSING_CHECKS",
    "data": "sampler_harness.data.catalogue:DATA_CHECKS",
}


def catalogue(kind: str = "sampler", as_of: str = "") -> tuple[CheckInfo, ...]:
    """The checks of one kind of subject, in the order in which they run.

    Args:
        kind: a key of :data:`KINDS`.
        as_of: only those that this version had, one of :data:`VERSIONS`; empty for all.
    """
    module, _, name = KINDS[kind].partition(":")
    found: tuple[CheckInfo, ...] = getattr(importlib.import_module(module), name)
    if not as_of:
        return found
    return tuple(info for info in found if VERSIONS.index(info.since) <= VERSIONS.index(as_of))


def check_ids(kind: str = "sampler", as_of: str = "") -> tuple[str, ...]:
    """Ids of the checks of one kind of subject, in the order in which they run.

    Args:
        kind: a key of :data:`KINDS`.
        as_of: as for :func:`catalogue`.
    """
    return tuple(info.id for info in catalogue(kind, as_of))


def checked_version(text: str | None) -> str:
    """A version of the set of checks as a person names it, ``0.1`` or ``0.1.3``.

    Args:
        text: as typed; None where nothing was.

    Returns:
        One of :data:`VERSIONS`, or nothing for the present set.

    Raises:
        ValueError: where there is no such set.
    """
    if text is None:
        return ""
    version = ".".join(text.removeprefix("v").split(".")[:2])
    if version not in VERSIONS:
        raise ValueError(f"there is no set of checks as of {text}: there are those of {', '.join(VERSIONS)}")
    return version


def info_of(id: str) -> CheckInfo | None:
    """The check of an id, whatever kind of subject it is for; None where there is none."""
    return next((info for kind in KINDS for info in catalogue(kind) if info.id == id), None)


def check_function(info: CheckInfo) -> Callable[[Any], Any]:
    """Import the function behind a check."""
    module, _, name = info.function.partition(":")
    home = module if "." in module else f"sampler_harness.checks.{module}"
    function: Callable[[Any], Any] = getattr(importlib.import_module(home), name)
    return function
