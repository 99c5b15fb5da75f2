"""Which cause there is evidence for, from what each step found and what both samplers keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from scipy.stats import t as student

from .experiment import Experiment
from .verdict import DETAIL, Cause, Stage, Step

__all__ = ["answer"]

#: A sampler that keeps less than this share of an octave's power fades it; 1 dB, which a person sees side by side.
FADED = 10 ** (-1 / 10)
#: Two samplers differ for a person where an octave's power differs by this much (1 dB).
DIFFERS = 10 ** (1 / 10)
#: An octave is judged where other frames would say the same with this probability.
SURE = 0.999
#: Up to this share of the data's spread two runs on the same draws are alike; half precision stays below it.
ALIKE = 0.02


def _spoiled(
    kept: Sequence[float] | None, possible: Sequence[float], slack: Sequence[float] = (0.0,) * DETAIL
) -> tuple[bool, bool]:
    """Whether detail is lost, and whether noise is left: by more than a slack, beside what data and steps allow."""
    if kept is None:
        return True, False
    rows = list(zip(kept[:DETAIL], [*possible, *[1.0] * len(kept)], slack, strict=False))
    loses = any(not share + wide >= FADED * min(1.0, most) for share, most, wide in rows)
    return loses, any(share - wide > DIFFERS * max(1.0, most) for share, most, wide in rows)


def _slack(experiment: Experiment) -> list[float]:
    """How far another choice of as many frames may be from the share that was measured, per octave of detail."""
    side = experiment.reference if experiment.reference.sample is not None else experiment.own
    count = 0 if side.sample is None else len(side.sample)
    if count < 2:
        return [math.inf] * DETAIL
    return [float(student.ppf(SURE, count - 1)) * error for error in experiment.error[:DETAIL]]


def _differ(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if one is None or other is None:
        return True
    ratios = [a / b if b > 0 else math.inf for a, b in zip(one[:DETAIL], other[:DETAIL], strict=True)]
    return any(not 1 / DIFFERS <= r <= DIFFERS for r in ratios)


def _kept(kept: Sequence[float] | None, names: Sequence[str]) -> str:
    if kept is None:
        return "no samples"
    return ", ".join(f"{share:.0%} of {name}" for name, share in zip(names[:DETAIL], kept, strict=False))


def answer(steps: Sequence[Step], stage: Stage, names: Sequence[str], possible: Sequence[float]) -> tuple[Cause, str]:
    """The first cause for which there is evidence, in words.

    Args:
        steps: data, training, sampler and capacity.
        stage: the one that the question is about.
        names: of the octaves, the finest first.
        possible: share of each octave that the steps allow; empty where it is not known.
    """
    data, training, sampler, capacity = steps
    experiment = stage.experiment
    assert experiment is not None
    own, reference = experiment.kept_own, experiment.kept_reference
    both = f"Your sampler keeps {_kept(own, names)}; the reference, with the same model, {_kept(reference, names)}."
    for step in (data, training):
        if step.state == "at fault":
            return cast(Cause, step.name), f"The {step.name} is at fault: {step.headline}. {both}"
    costs = _differ(own, reference) or (experiment.apart or 0.0) > ALIKE
    if sampler.state == "at fault" and (costs or not _spoiled(reference, possible)[0]):
        return "sampler", f"The sampler is at fault: {sampler.headline}. {both}"
    if experiment.own.problem is not None:
        return "sampler", f"The sampler does not get through: {experiment.own.problem}."
    if experiment.reference.problem is not None:
        return (
            "unknown",
            f"Cannot tell: {experiment.reference.problem}. A model that answers at every level would tell.",
        )
    slack = _slack(experiment)
    spoiled = [any(_spoiled(kept, possible, slack)) for kept in (own, reference)]
    if sampler.state != "at fault" and _differ(own, reference) and (experiment.same_draws or spoiled[0] != spoiled[1]):
        return (
            "unknown",
            f"Cannot tell: the sampler conforms as declared, but with your model it keeps other detail than the "
            f"reference. {both} Does the run that fades use the declared configuration, dtype and model?",
        )
    if not any(spoiled):
        if any(share < FADED for share in possible[:DETAIL]):
            few = f"with these steps even a perfect model would keep {_kept(possible, names)}: take more of them"
            return "none", f"Nothing found: no check fails; but {few}. {both}"
        if any(any(_spoiled(kept, possible)) for kept in (own, reference)):
            if not all(math.isfinite(wide) for wide in slack):
                return "unknown", f"Cannot tell: one frame does not say how far another would be from it. {both}"
            wide = ", ".join(f"{error:.0%}" for error in experiment.error[:DETAIL])
            within = f"no octave is off by more than another choice of frames would move it (standard errors {wide})"
            return "none", f"Nothing found: no check fails, and {within}. {both}"
        return "none", f"Nothing found: no check fails, and detail is kept. {both}"
    lose = "lose detail" if _spoiled(reference, possible, slack)[0] else "leave noise in place of detail"
    unseen = [step.name for step in (data, training) if step.state in ("not looked at", "cannot tell")]
    if capacity.state == "suspect":
        return "capacity", f"Both samplers {lose}, and the model is to blame: {capacity.message}. {both}"
    if unseen:
        which = " and ".join(unseen)
        return (
            "unknown",
            f"Both samplers {lose}, so it is the model, its training or the data, not the sampler; which of them "
            f"cannot be told, since {which} was not looked at: declare it. {both}",
        )
    return (
        "capacity",
        f"Both samplers {lose} although data, training path and sampler are sound: the model is too small or has "
        f"trained too little ({capacity.message}). {both}",
    )
