"""A training step and its reference on the same data, draws and answers: what each makes of them, side by side."""

from __future__ import annotations

import dataclasses
from statistics import NormalDist
from typing import Any

import numpy as np

from sampler_harness.law.intermediates import values_of_step
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import Case

from .evidence import TrainingEvidence
from .law import fixed_data
from .probing import Array, Chosen, StepRun, answer_pattern, run_step
from .times import drawn_at

__all__ = ["Given"]

#: Shares at which the items' times are drawn: both ends, and inside.
AT = (0.0005, 0.999, 0.31, 0.77, 0.05, 0.93)
#: How far two figures may be apart, as a share of the largest of an item.
APART = 1e-3


@dataclasses.dataclass(frozen=True)
class Given:
    """What both are given, and what the reference makes of it.

    Attributes:
        chosen: for the step, with two answers of the model.
        x: ``(B, *D)`` the model's input.
        told: ``(B,)``.
        target: ``(B, *D)``.
        weight: ``(B,)``.
        values: all that the reference works out on its way.
    """

    chosen: tuple[Chosen, Chosen]
    x: Array
    told: Array
    target: Array
    weight: Array
    values: tuple[Array, ...]

    @staticmethod
    def of(evidence: TrainingEvidence, case: Case) -> Given | None:
        """None where the two cannot be laid beside each other.

        Args:
            evidence: of the step.
            case: what is run.
        """
        if PRECISIONS[case.dtype].is_half:
            return None
        first = run_step(evidence.subject, case, Chosen(np.zeros(case.shape)), fixtures=evidence.fixtures)
        if first.problem is not None or len(first.calls) != 1 or first.calls[0].x.shape != case.shape:
            return None
        elements = int(np.prod(case.shape))
        count = case.shape[0]
        times = {i: d for i, d in enumerate(first.draws) if d.numel <= count < elements}
        if any(not d.gaussian and d.low is None and not d.cumulative for d in times.values()):
            return None
        normals = {i: fixed_data(d.shape, 60 + i) for i, d in enumerate(first.draws) if d.gaussian and i not in times}
        normals |= {i: drawn_at(d, AT) for i, d in times.items() if d.gaussian}
        others = {i: drawn_at(d, AT) for i, d in times.items() if not d.gaussian}
        chosen = Chosen(fixed_data(case.shape, 50), normals, others)
        drawn = _Drawn(first.draws, normals, count)
        answer = answer_pattern(case.shape)
        found = values_of_step(case.config, chosen.x0, answer, drawn)
        if found is None:
            return None
        told, x, values = found
        with np.errstate(all="ignore"):
            levels = [case.config.level_of_time(float(one)) for one in told]
            scales = np.array([case.config.target_scales(level) for level in levels])
            weight = np.array([case.config.weight(level) for level in levels])
            a, s = np.array([case.config.input_scales(level) for level in levels]).T
        noise = drawn.noise(case, np.array([case.config.offset_scale(level) for level in levels]))
        if noise is None:
            return None
        per_item = (-1, *[1] * (len(case.shape) - 1))
        target = scales[:, 0].reshape(per_item) * chosen.x0 + scales[:, 1].reshape(per_item) * noise
        if not case.config.perturbation:
            made = a.reshape(per_item) * chosen.x0 + s.reshape(per_item) * noise
            if not np.abs(made - x).max() <= APART * np.abs(x).max():
                return None  # what stands beside a step is not what it does
        second = dataclasses.replace(chosen, answer=1.0)
        numbers = [v for v in case.config.values().values() if isinstance(v, float) and np.isfinite(v)]
        spans = [np.array(a - b) for a in numbers for b in numbers if a != b]
        return Given((chosen, second), x, told, target, weight, (*values, weight, target, *spans))

    def wrong(self, rest: StepRun, one: StepRun) -> set[str]:
        """What of a step is not the reference's: ``"x"``, ``"told"``, ``"target"``, ``"weight"``.

        Args:
            rest: with the answer 0.
            one: with the answer of the pattern.
        """
        found: set[str] = set()
        call = rest.calls[0]
        if call.x.shape != self.x.shape or _apart(call.x, self.x) > APART:
            found.add("x")
        if not (np.abs(call.times - self.told) <= APART * np.maximum(np.abs(self.told), 0.1)).all():
            found.add("told")
        if call.gradient is None or one.calls[0].gradient is None or call.x.shape != self.x.shape:
            return found | {"weight", "dead"}
        curvature = (one.calls[0].gradient - call.gradient) / answer_pattern(call.x.shape)
        flat = curvature.reshape(curvature.shape[0], -1)
        found |= {"dead"} if not flat.all() else set()
        with np.errstate(all="ignore"):
            ratio = flat / self.weight[:, None]
            usual = np.median(ratio)
            if not (np.abs(ratio / usual - 1) <= 2 * APART).all():
                found.add("weight")
            target = -call.gradient / curvature
        if not np.isfinite(target).all() or _apart(target, self.target) > APART:
            found.add("target")
        return found


def _apart(own: Array, other: Array) -> float:
    """The largest difference, as a share of an item's largest number."""
    off = np.abs(own - other).reshape(len(own), -1).max(axis=1)
    size = np.abs(other).reshape(len(own), -1).max(axis=1)
    return float(np.max(off / np.maximum(size, 1e-12)))


class _Drawn:
    """Plays ``Draws``: the reference gets what the step got.

    Args:
        draws: of the step.
        normals: what each returned.
        count: of items.
    """

    def __init__(self, draws: list[Draw], normals: dict[int, Any], count: int) -> None:
        self._count = count
        self._draws = draws
        self._normals = normals
        self._used: set[int] = set()
        self.made: list[Array] = []

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Unit normals: of the step's next draw of that shape, else of numbers that it has not."""
        if len(shape) == 1:
            return np.array([NormalDist().inv_cdf(p) for p in self._shares()])
        alike = (i for i, d in enumerate(self._draws) if d.gaussian and d.shape == tuple(shape) and i not in self._used)
        found = next(alike, None)
        if found is None:
            values = fixed_data(tuple(shape), 80 + len(self.made))
        else:
            self._used.add(found)
            values = self._normals[found]
        self.made.append(values)
        return values

    def integers(self, low: int, high: int, count: int) -> Any:
        """Whole numbers in ``[low, high)``."""
        return np.minimum(np.floor(low + self._shares() * (high - low)), high - 1).astype(np.int64)

    def uniform(self, count: int) -> Array:
        """Numbers in ``[0, 1)``."""
        return self._shares()

    def _shares(self) -> Array:
        return np.resize(np.array(AT), self._count)

    def noise(self, case: Case, offset: Array) -> Array | None:
        """The noise that target and input share; None where nothing was drawn as large as the data."""
        whole = next((one for one in self.made if one.shape == case.shape), None)
        shared = next((one for one in self.made if one.shape != case.shape), None)
        if whole is None or shared is None:
            return whole
        return whole + offset.reshape(-1, *[1] * (whole.ndim - 1)) * shared
