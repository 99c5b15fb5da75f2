"""What an answer is held against: a training step's law in each case, and why there is none where there is none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.judging import told as told_as
from sampler_harness.law.program import Program
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.trace import Case
from sampler_harness.training.evidence import TrainingEvidence
from sampler_harness.training.expected import expected
from sampler_harness.training.law import BENT, SHARES, ItemLaw, StepLaw, measure
from sampler_harness.training.noise import UNEXPLAINED
from sampler_harness.training.times import TIME_SHARES, Told

from .explanation import searched_as
from .step_program import Axes, StepResponse, invariants, respond
from .step_target import StepTarget

__all__ = ["hypothetical_step", "measured_step", "steps_of", "unread_of", "why_lawless"]

#: Cases at most.
CASES = 24
#: How far elements of one item may count differently.
UNEVEN = 0.01
#: Items at least, of which a law is made.
FEWEST = 3
#: Noise that weighs less than this beside the rest is none.
NOTHING = 1e-5
#: Shares of a draw of whole numbers for its first and last.
ENDS = (1e-9, 1 - 1e-9)


def steps_of(evidence: TrainingEvidence) -> list[StepTarget]:
    """The step's cases that have a law that a program could have, each configuration once.

    Args:
        evidence: as the checks left it.
    """
    time = evidence.findings.get("training/time-distribution")
    sound = time is not None and time.outcome == "passed"
    found: dict[Any, StepTarget] = {}
    for law in evidence.laws:
        if len(found) < CASES and law.case.config not in found:
            target = _target(law, time_is_sound=sound)
            if target is not None:
                found[law.case.config] = target
    return _anchored(list(found.values()))


def _anchored(targets: list[StepTarget]) -> list[StepTarget]:
    """All cases beside one whose loss says what the free factor is: one in which the step is right, if there is any.

    Context: the factor of a case with wrong weights is no factor, and beside it a right case is off by it.
    """
    anchor = next((target for target in targets if target.is_right_alone), targets[0]) if targets else None
    for target in targets:
        target.anchor = anchor or target
    return targets


def why_lawless(law: StepLaw) -> str:
    """Why a case has no law that a program of the reference's could have; empty where it has one.

    Args:
        law: as measured.
    """
    if law.problem is not None:
        return "no gradient arrives" if law.problem.kind == "detached" else "it could not be run as declared"
    if PRECISIONS[law.case.dtype].is_half:
        return "gradients are not read in half precision"
    if law.lost:
        return "the answer of a model call receives no gradient"
    if law.weighing:
        return "how much an item counts is drawn at random"
    if law.repeated or law.drawn_from.alike is not None:
        return "draws repeat"
    elements = int(np.prod(law.case.shape))
    if drawn := next(
        (draw for draw in law.draws if not draw.gaussian and draw.numel >= elements > len(law.items)), None
    ):
        return f"what it draws with {drawn.operator!r} is not normal noise, of which alone a law tells"
    if not law.told or any(told.draw is None for told in law.told):
        return "the time comes of no draw that is seen"
    if sum(_is_readable(item) for item in law.items) < FEWEST:
        return "data or normal noise does not reach the model's input"
    for item in law.items:
        if not item.curvature > 0:
            return "some items do not count"
        if not item.bend < BENT:
            return "the loss is no square in the model's output"
        if item.spread > UNEVEN:
            return "elements of one item count differently"
        beside = item.beside_constants if _is_readable(item) else item.unexplained
        if not beside <= UNEXPLAINED * _target_terms(law, item):
            return "input or target holds more than data and normal noise"
    return ""


def unread_of(evidence: TrainingEvidence) -> list[str]:
    """What of a step was not held against any program, in words: dtypes, configurations, targets.

    Args:
        evidence: as the checks left it.
    """
    read = {target.config for target in steps_of(evidence)}
    found: dict[str, None] = {}
    for law in evidence.laws:
        if law.case.dtype != evidence.dtype:
            found[f"its law in {law.case.dtype}"] = None
        elif law.case.config not in read:
            why = why_lawless(law) or "its calls draw their times differently, or there are too many"
            found[f"{told_as(law.case.config)} ({why})"] = None
        else:
            hidden = [item.time for item in law.items if not _is_readable(item)]
            found |= {
                f"the target at time {time:.6g}, where data or noise do not come into the input": None
                for time in hidden
            }
    return list(found)


def _is_readable(item: ItemLaw) -> bool:
    """Whether data and noise come into an item's input: else it is not known where those of the target would be."""
    return bool(item.a) and (any(item.noises.values()) or any(item.shared.values()))


def _target_terms(law: StepLaw, item: ItemLaw) -> float:
    with np.errstate(all="ignore"):
        known = expected(law.case.config, item.time, law.case.dtype)
    config = law.case.config
    return 1.0 if known is None else max(1.0, float(config.target_terms(config.level_of_time(item.time))))


def _target(law: StepLaw, *, time_is_sound: bool) -> StepTarget | None:
    if why_lawless(law) or not law.items:
        return None
    told = law.told[0]
    same = all(np.array_equal(one.times[:, :1], told.times[:, :1]) for one in law.told)
    if not same and not time_is_sound:
        return None  # calls that draw their times differently
    items = _apart(law.items)
    legible = np.array([_is_readable(item) for item in items])
    uniform = told.draw is not None and not told.draw.gaussian
    shares, spread = _spread_of(law, told, time_is_sound=time_is_sound)
    seen = StepResponse(
        spread=spread,
        own=time_is_sound or told.own,
        times=np.array([item.time for item in items]),
        data=np.array([[item.a, item.target_x0] for item in items]),
        offset=np.array([item.constants for item in items]),
        noise=_noise(items),
        weight=np.array([item.curvature * np.prod(law.case.shape) / 2 for item in items]),
    )
    read_at = np.array([item.share for item in items])
    at_times = _shares_of(law.case.config, seen.times)
    alignments = [read_at] if at_times is None else [read_at, at_times]
    return StepTarget(law.case, seen, alignments, shares, uniform=uniform, legible=legible)


def _apart(items: Sequence[ItemLaw]) -> list[ItemLaw]:
    """Items that differ in anything; the same share in several calls is read once."""
    found: dict[tuple[float, ...], ItemLaw] = {}
    for item in items:
        key = (item.time, round(item.a, 5), round(item.target_x0, 5), round(item.curvature, 9))
        found.setdefault(key, item)
    return list(found.values())


def _noise(items: list[ItemLaw]) -> dict[Axes, Array]:
    """Of all draws that are laid out alike, what no order and no sign of them changes."""
    given = [{**item.noises, **item.shared} for item in items]
    wanted = [{**item.target_noises, **item.target_shared} for item in items]
    found: dict[Axes, Array] = {}
    for axes in dict.fromkeys(axes for item in items for axes in item.axes.values()):
        draws = sorted({i for item in items for i, kind in item.axes.items() if kind == axes})
        columns = [np.array([[one.get(i, 0.0) for i in draws] for one in part]) for part in (given, wanted)]
        if max(float(np.abs(column).max(initial=0.0)) for column in columns) > NOTHING:
            found[axes] = invariants(*columns)
    return found


def _spread_of(law: StepLaw, told: Told, *, time_is_sound: bool) -> tuple[Array, Array]:
    """Shares, and the times that lie there, sorted; the reference's own where the step's were found to be those.

    Context: items that divide the distribution among them, or mirror it, are sound and told otherwise share by share.
    Choice: what a check has passed is taken for the reference's. Reversed by: reading strata as one distribution.
    """
    config = law.case.config
    if time_is_sound:
        shares = TIME_SHARES
        return np.array(shares), np.sort([config.told_time(config.quantile(p)) for p in shares])
    times = [float(row[0]) for row in told.times]
    given = list(told.shares)
    if told.whole is not None:
        times += [float(told.whole[0][0]), float(told.whole[-1][0])]
        given += ENDS
    return np.array(given), np.sort(times)


def _shares_of(config: Any, times: Array) -> Array | None:
    """Shares at which the reference tells some times; None where it never tells one of them."""
    found = []
    for time in times:
        low, high = 1e-7, 1 - 1e-7
        for _ in range(60):
            middle = (low + high) / 2
            if config.told_time(config.quantile(middle)) < time:
                low = middle
            else:
                high = middle
        if not math.isclose(config.told_time(config.quantile(high)), time, rel_tol=1e-5, abs_tol=1e-6):
            return None
        found.append(high if config.time_draw != "integers" else high + 1e-9)
    return np.array(found)


# Elsewhere than was run


def measured_step(evidence: TrainingEvidence, config: Any, anchor: StepTarget) -> StepTarget | None:
    """The step's law in a further configuration; None where it has none.

    Args:
        evidence: as the checks left it.
        config: allowed by the declaration.
        anchor: whose loss says what the free factor is.
    """
    base = evidence.base
    law = measure(evidence.subject, Case(config, base.shape, base.dtype, base.device), fixtures=evidence.fixtures)
    time = evidence.findings.get("training/time-distribution")
    target = _target(law, time_is_sound=time is not None and time.outcome == "passed")
    if target is not None:
        target.anchor = anchor
    return target


def hypothetical_step(evidence: TrainingEvidence, config: Any, anchor: StepTarget) -> StepTarget | None:
    """A case as it would be if the step were sound, to see whether answers differ there.

    Args:
        evidence: as the checks left it.
        config: allowed by the declaration.
        anchor: whose loss says what the free factor is.
    """
    base, shares = evidence.base, np.array(SHARES)
    program = Program(searched_as(type(config)))
    response = respond(program.configured(config), shares, np.array(TIME_SHARES))
    if response is None:
        return None
    case = dataclasses.replace(base, config=config)
    target = StepTarget(case, response, [shares], np.array(TIME_SHARES), uniform=config.time_draw != "normal")
    target.anchor = anchor
    return target
