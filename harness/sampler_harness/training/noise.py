"""The noise of a training step: what is added is what is predicted, a normal of its own for every element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.verdict import Finding

from .evidence import TrainingEvidence
from .expected import expected
from .judging import Judged, check, conclude
from .law import ItemLaw, StepLaw

__all__ = ["UNEXPLAINED", "check_noise_matches_target", "noise_scales"]

Array = np.ndarray[Any, np.dtype[np.float64]]

#: A response this much smaller than the input is none.
NOTHING = 1e-5
#: Rounding leaves this much of the largest entry unexplained, in unit roundoffs of float32; a wide one, since sums of
#: several terms round several times. A leak is of the size of the data.
UNEXPLAINED = 2e-4
#: What noise of another draw may weigh in the target beside the input's own.
OTHER_NOISE = 1e-3


def _vectors(item: ItemLaw) -> tuple[Array, Array]:
    """Weights of each draw's normals in the input and in the target, in one order of draws."""
    order = sorted(item.noises)
    return np.array([item.noises[i] for i in order]), np.array([item.target_noises[i] for i in order])


def noise_scales(item: ItemLaw, perturbation: float) -> tuple[float, float, float]:
    """How much of the target's noise is in the input, how much of it is in the target, and what does not match.

    The noise may be a sum of several draws; what counts is that input and target hold the same sum.

    Args:
        item: of a law.
        perturbation: strength of noise that only the input has, by the reference.

    Returns:
        s of the input; the weight of that same noise in the target; the share that is only in one of the two.
    """
    given, wanted = _vectors(item)
    size, target = float(np.linalg.norm(given)), float(np.linalg.norm(wanted))
    if perturbation > 0:
        if target <= NOTHING:
            return size / math.sqrt(1 + perturbation**2), 0.0, 0.0
        s = float(given @ wanted) / target
        extra = math.sqrt(max(size**2 - s**2, 0.0)) / abs(s) if s else math.inf
        return abs(s), math.copysign(target, s), abs(extra - perturbation)
    if size == 0.0:
        return 0.0, target, math.inf if target > NOTHING else 0.0
    along = float(given @ wanted) / size
    apart = math.sqrt(max(target**2 - along**2, 0.0))
    return size, along, apart / target if target > NOTHING else 0.0


@check("training/noise-matches-target")
def check_noise_matches_target(evidence: TrainingEvidence) -> Finding:
    """The noise that is added is the noise that is predicted, a normal of its own for every element."""
    judged = []
    for law in evidence.laws:
        judged += [_judge_stream(law, index) for index in range(len(law.draws))]
        if evidence.subject.takes_generator:
            judged += [_judge_generator(law, index) for index in range(len(law.draws))]
        judged += _judge_items(law)
        judged += [_judge_noise(law, item) for item in law.items if not PRECISIONS[law.case.dtype].is_half]
    return conclude(
        "training/noise-matches-target",
        evidence,
        judged,
        passed=f"the noise in the target is the noise in the input, element by element{_unseen(evidence)}",
    )


def _unseen(evidence: TrainingEvidence) -> str:
    """What else is drawn, which has no effect on what is judged."""
    names = {name for law in evidence.laws for name in law.foreign}
    return f"; {' and '.join(sorted(names))} is drawn from too, without effect on input, time and loss" if names else ""


def _judge_stream(law: StepLaw, index: int) -> Judged:
    """Whether a draw is another one in the next step."""
    draw = law.draws[index]
    message = (
        f"every step draws the same numbers: the generator of {draw.operator} of shape {draw.shape} is seeded inside "
        "of the step; seed it once, before training"
    )
    return Judged(math.inf if index in law.repeated else 0.0, message, law.case)


def _judge_generator(law: StepLaw, index: int) -> Judged:
    """Whether a draw is from the generator that the harness passed."""
    draw = law.draws[index]
    message = f"{draw.operator} of shape {draw.shape} does not draw from the generator that was passed: add generator="
    if draw.generator_seed is not None:
        message = (
            f"{draw.operator} of shape {draw.shape} draws from a generator that stands in the same state whatever the "
            "passed one's seed is: pass that one, or seed from it"
        )
    return Judged(math.inf if index in law.drawn_from.not_fed else 0.0, message, law.case)


def _judge_items(law: StepLaw) -> list[Judged]:
    """Whether items that are drawn one by one are drawn from one state."""
    if law.drawn_from.alike is None:
        return []
    later, earlier = law.drawn_from.alike
    message = (
        f"draws {earlier} and {later} of shape {law.draws[later].shape} are made from one state of a generator: items "
        "of a batch share their noise; give each item's generator a seed of its own"
    )
    return [Judged(math.inf, message, law.case)]


def _judge_noise(law: StepLaw, item: ItemLaw) -> Judged:
    config, case = law.case.config, law.case
    at = f"at time {item.time:.6g}"
    given, wanted = _vectors(item)
    size = max(float(np.linalg.norm(given)), abs(item.a), NOTHING)
    shared = {i: c for i, c in item.shared.items() if abs(c) > NOTHING * size}
    own = float(np.linalg.norm(given))
    if own <= NOTHING * size:
        if shared:
            draw = law.draws[next(iter(shared))]
            message = (
                f"{at} several elements share one normal: noise is drawn with shape {draw.shape} for an input of shape "
                f"{case.shape}"
            )
            return Judged(math.inf, message, case, {"draw": list(draw.shape), "in_input": True})
        others = [d.operator for d in law.draws if not d.gaussian and d.numel >= np.prod(case.shape)]
        how = f"; it is drawn with {others[0]}, should be a normal" if others else ""
        message = f"no normal noise reaches the model's input {at}{how}"
        return Judged(math.inf, message, case, {"in_input": True})
    if item.unexplained > UNEXPLAINED:
        message = (
            f"{at} the model's input holds something that is neither data nor a normal of the element's own "
            f"({item.unexplained:.2g} of its largest entry)"
        )
        return Judged(item.unexplained / UNEXPLAINED, message, case)
    _, _, apart = noise_scales(item, config.perturbation)
    if apart > OTHER_NOISE:
        what = "another draw than the one that was added" if math.isinf(apart) or apart > 0.5 else "not only the one"
        message = (
            f"{at} the target holds noise of {what} that was added to the input: input {given.round(6).tolist()}, "
            f"target {wanted.round(6).tolist()} (by draw)"
        )
        return Judged(apart / OTHER_NOISE, message, case)
    ratios = [apart / OTHER_NOISE, item.unexplained / UNEXPLAINED]
    should = expected(config, item.time, case.dtype)
    if should is not None:
        # Held against what the reference has at that time, not against s: a small s is known less well than they are.
        halves = (("input", shared, should.s), ("target", item.target_shared, should.target_noise))
        for name, found, scale in halves:
            got, value = math.sqrt(sum(c * c for c in found.values())), abs(scale) * should.offset
            tolerance = OTHER_NOISE * max(value, 0.1 * abs(scale), NOTHING)
            if abs(got - value) > tolerance:
                message = (
                    f"{at} noise that a channel shares has the weight {got:.4g} in the {name}, should be {value:.4g} "
                    "(offset noise)"
                )
                return Judged(abs(got - value) / tolerance, message, case, {"got": got, "should_be": value})
            ratios.append(abs(got - value) / tolerance)
    return Judged(max(ratios), "", case)
