"""The checks of a training step; each a small function over the measured laws.

What a check claims, catches and is blind to stands in :mod:`sampler_harness.catalogue.training`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.subject import Subject
from sampler_harness.verdict import Finding

from .beside import base_of, beside
from .evidence import TrainingEvidence
from .expected import Expected, expected
from .gradient import judged_gradients
from .judging import Judged, check, conclude
from .law import BENT, ItemLaw, StepLaw
from .noise import UNEXPLAINED, check_noise_matches_target, noise_scales
from .sampling import judged_beside_sampler
from .time_checks import check_time_distribution

__all__ = [
    "check_forward_backward_consistent",
    "check_gradient",
    "check_shape",
    "check_target",
    "check_weight",
]

Array = np.ndarray[Any, np.dtype[np.float64]]

#: By how much the free factor of the loss may differ between configurations: it is a reduction, it has no fields.
FREE_FACTOR = 1e-2


def _usable(evidence: TrainingEvidence, *, half: bool = False) -> Iterator[tuple[StepLaw, ItemLaw, Expected]]:
    """Items of all laws at times that the reference tells, with what it has there."""
    for law in evidence.laws:
        if PRECISIONS[law.case.dtype].is_half and not half:
            continue
        for item in law.items:
            should = expected(law.case.config, item.time, law.case.dtype)
            if should is not None:
                yield law, item, should


# Input


@check("training/forward-backward-consistent")
def check_forward_backward_consistent(evidence: TrainingEvidence) -> Finding:
    """At each time the model's input holds as much data and noise as the sampler's does at that time."""
    judged = []
    wrong_time = check_time_distribution(evidence).outcome == "failed"
    for law, item, should in _usable(evidence, half=True):
        s, _, _ = noise_scales(item, law.case.config.perturbation)
        blame = "training/time-distribution" if wrong_time and _is_told_wrong_alone(law, item, s) else None
        figures = (("data", item.a, should.a, should.tolerances[0]), ("noise", s, should.s, should.tolerances[1]))
        for name, got, value, tolerance in figures:
            message = (
                f"at time {item.time:.6g} the model's input holds {got:.6g} times the {name}, should be {value:.6g}"
                f"{_hint(got, value)}"
            )
            details = {"time": item.time, "term": name, "got": got, "should_be": value}
            judged.append(Judged(abs(got - value) / tolerance, message, law.case, details, blame))
        tolerance = should.tolerances[0] + should.tolerances[1]
        message = (
            f"at time {item.time:.6g} a constant of {item.offset:.3g} is added to the model's input, should be none"
        )
        judged.append(Judged(item.offset / tolerance, message, law.case))
    if evidence.subject.sampler is not None:
        judged += judged_beside_sampler(evidence.subject.sampler, evidence.base)
    notes: list[str] = []
    if evidence.subject.sampler is not None:
        sampler = evidence.subject.sampler
        declared = base_of(sampler) if isinstance(sampler, Subject) else sampler
        notes += beside(evidence.base.config, declared, f"the declared {type(declared).__name__}")
    after = [check_noise_matches_target(evidence)]
    with_sampler = " and as the declared sampler" if evidence.subject.sampler is not None else ""
    return conclude(
        "training/forward-backward-consistent",
        evidence,
        judged,
        passed=f"the input is as the reference's{with_sampler} at each time",
        after=after,
        notes=notes,
    )


def _is_told_wrong_alone(law: StepLaw, item: ItemLaw, s: float) -> bool:
    """Whether an item's input is the reference's at the time that that draws there, and is only told otherwise."""
    config = law.case.config
    drawn = float(config.told_time(config.quantile(item.share)))
    should = None if drawn == item.time else expected(config, drawn, law.case.dtype)
    if should is None:
        return False
    off = (abs(item.a - should.a) / should.tolerances[0], abs(s - should.s) / should.tolerances[1])
    return max(off) <= 1.0


def _hint(got: float, value: float) -> str:
    """The usual mistakes, by their figures."""
    if value > 0 and abs(got - value**2) < 1e-3 * value and abs(value - 1) > 1e-2:
        return " (its square: a root is missing)"
    if value > 0 and abs(got - math.sqrt(value)) < 1e-3 * got and abs(value - 1) > 1e-2:
        return " (its root: a square is missing)"
    return ""


# Target and weight


def _is_square(item: ItemLaw) -> bool:
    """Whether the loss is quadratic in the output: only then are there a target and a weight to be read."""
    return item.bend < BENT


@check("training/target")
def check_target(evidence: TrainingEvidence) -> Finding:
    """The model's output is compared with what the reference says, at each time."""
    judged = []
    for law, item, should in _usable(evidence):
        at = f"at time {item.time:.6g}"
        if not item.curvature:
            continue  # does not count: the weight's business
        if not _is_square(item):
            message = f"{at} the loss is not the squared error of the model's output: it is no square in it"
            judged.append(Judged(math.inf, message, law.case))
            continue
        if item.spread > 0.5:
            continue  # does not count throughout: the weight's business too
        _, noise, _ = noise_scales(item, law.case.config.perturbation)
        figures = (
            ("data", item.target_x0, should.target_x0, should.tolerances[2]),
            ("noise", noise, should.target_noise, should.tolerances[3]),
        )
        for name, got, value, tolerance in figures:
            flipped = " (the sign is turned)" if abs(got + value) < tolerance < abs(value) else ""
            message = f"{at} the target holds {got:.6g} times the {name}, should be {value:.6g}{flipped}"
            details = {"time": item.time, "term": name, "got": got, "should_be": value}
            judged.append(Judged(abs(got - value) / tolerance, message, law.case, details))
        terms = law.case.config.target_terms(law.case.config.level_of_time(item.time))
        allowed = UNEXPLAINED * terms
        message = f"{at} {item.target_unexplained:.2g} of the target is neither data nor noise"
        judged.append(Judged(item.target_unexplained / allowed, message, law.case))
    if not judged:
        message = "saw nothing: at no time do all elements of an item count alike in the loss"
        return Finding("training/target", "error", message, consequence_of="training/weight")
    after = [check_noise_matches_target(evidence), check_forward_backward_consistent(evidence)]
    return conclude(
        "training/target", evidence, judged, passed="the target is the reference's at each time", after=after
    )


@check("training/weight")
def check_weight(evidence: TrainingEvidence) -> Finding:
    """Times count against each other as the reference weighs them; a constant factor is free."""
    judged: list[Judged] = []
    factors: list[tuple[StepLaw, float]] = []
    for law in evidence.laws:
        judged += [_judge_random(law, index) for index in law.weighing]
        if not PRECISIONS[law.case.dtype].is_half:
            factors += [(law, factor) for factor in _judge_weights(law, judged)]
    usual = float(np.median([factor for _, factor in factors])) if factors else 0.0
    for law, factor in factors:
        message = (
            f"in this configuration the whole loss is {factor / usual:.6g} times what it is in others: the free factor "
            "hides a field of the configuration"
        )
        judged.append(Judged(abs(factor / usual - 1) / FREE_FACTOR, message, law.case))
    after = [check_target(evidence)]
    free = f"; the loss is {usual:.4g} times its weights" if factors else ""
    return conclude(
        "training/weight", evidence, judged, passed=f"times are weighed as the reference weighs them{free}", after=after
    )


def _judge_random(law: StepLaw, index: int) -> Judged:
    draw = law.draws[index]
    message = (
        f"the weight is random: {draw.operator} of shape {draw.shape} is neither time nor noise, and by it items count "
        "more in one step than in another"
    )
    return Judged(math.inf, message, law.case, {"draw": list(draw.shape)})


def _judge_weights(law: StepLaw, judged: list[Judged]) -> list[float]:
    """Judge one law's weights; returns the free factor, where there is one."""
    pairs = [(item, expected(law.case.config, item.time, law.case.dtype)) for item in law.items]
    known = [(item, should) for item, should in pairs if should is not None]
    ratios = [item.curvature / should.weight for item, should in known if item.curvature > 0 and should.weight > 0]
    if not ratios:
        judged.append(Judged(math.inf, "no item counts in the loss at any time", law.case))
        return []
    elements = float(np.prod(law.case.shape))
    factor = float(np.median(ratios))
    for item, should in known:
        at = f"at time {item.time:.6g}"
        got = item.curvature / factor
        tolerance = should.tolerances[4]
        if item.curvature <= 0:
            judged.append(Judged(math.inf, f"item {item.item} does not count in the loss {at}", law.case))
            continue
        if not _is_square(item):
            message = f"{at} the loss is no square in the model's output, so that no weight can be read"
            judged.append(Judged(math.inf, message, law.case))
            continue
        if item.spread > 0.01:
            message = f"{at} elements of one item count differently ({item.spread:.2g} of their mean)"
            judged.append(Judged(item.spread / 0.01, message, law.case))
            continue
        off = abs(got / should.weight - 1)
        message = (
            f"{at} an item counts {got:.6g}, should be {should.weight:.6g} (relative to the median of all times): "
            f"{got / should.weight:.4g} times too {'much' if got > should.weight else 'little'}"
        )
        details = {"time": item.time, "got": got, "should_be": should.weight}
        judged.append(Judged(off / tolerance, message, law.case, details))
    return [factor * elements / 2]


# Gradient and shape


@check("training/gradient")
def check_gradient(evidence: TrainingEvidence) -> Finding:
    """The gradient reaches the model's output at each time and every parameter, and is the loss's own."""
    judged: list[Judged] = []
    for law in evidence.laws:
        judged += [
            Judged(math.inf, f"the step changes what is not its own: {remark}", law.case) for remark in law.remarks
        ]
        judged += [
            Judged(math.inf, f"the answer of model call {k} receives no gradient: it is detached, or unused", law.case)
            for k in law.lost
        ]
        for item in law.items:
            if item.curvature == 0.0 and not PRECISIONS[law.case.dtype].is_half:
                message = f"no gradient reaches item {item.item} of model call {item.call} at time {item.time:.6g}"
                judged.append(Judged(math.inf, message, law.case))
    judged += judged_gradients(evidence)
    after = [check_target(evidence), check_weight(evidence)]
    passed = "the gradient reaches every parameter and is the numerical one; halves of a batch add up"
    return conclude("training/gradient", evidence, judged, passed=passed, after=after)


@check("training/shape")
def check_shape(evidence: TrainingEvidence) -> Finding:
    """The step means the same for every batch size and shape: an item's loss depends on that item alone."""
    judged: list[Judged] = []
    for law in evidence.shaped:
        _judge_weights(law, judged)
        for item in law.items:
            should = expected(law.case.config, item.time, law.case.dtype)
            if should is None or not _is_square(item):
                continue
            s, noise, _ = noise_scales(item, law.case.config.perturbation)
            got = (item.a, s, item.target_x0, noise)
            values = (should.a, should.s, should.target_x0, should.target_noise)
            names = ("data in the input", "noise in the input", "data in the target", "noise in the target")
            for name, one, value, tolerance in zip(names, got, values, should.tolerances, strict=False):
                message = (
                    f"with x0 of shape {law.case.shape} item {item.item} has {one:.6g} times the {name}, should be "
                    f"{value:.6g}"
                )
                judged.append(Judged(abs(one - value) / tolerance, message, law.case))
            message = f"with x0 of shape {law.case.shape} item {item.item} holds something of other items or places"
            judged.append(Judged(item.unexplained / UNEXPLAINED, message, law.case))
    same: tuple[Callable[[TrainingEvidence], Finding], ...] = (
        check_noise_matches_target,
        check_forward_backward_consistent,
        check_target,
        check_weight,
    )
    return conclude(
        "training/shape",
        evidence,
        judged,
        passed="every declared shape has the same law",
        after=[check(evidence) for check in same],
    )
