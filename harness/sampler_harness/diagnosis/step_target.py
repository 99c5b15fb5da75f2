"""What a training step did in one case, and how far a program is from doing the same."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sampler_harness.law.response import Array
from sampler_harness.law.rounding import rounding
from sampler_harness.law.same import SCREEN, TERMS, in_tolerances
from sampler_harness.observe.trace import Case
from sampler_harness.training.checks import FREE_FACTOR
from sampler_harness.training.expected import ROUNDINGS, SAFETY, expected, floor_of, share_tolerance, weight_tolerance
from sampler_harness.training.expected import TERMS as SUMMED

from .observation import Observation, Outcome
from .solving import FAR
from .step_program import Axes, StepResponse, respond

if TYPE_CHECKING:
    from .explanation import Explanation

__all__ = ["PARTS", "StepTarget"]

#: In what a step may agree with a program, in the order in which it makes them.
PARTS = (
    "the times",
    "the data in the input",
    "the noise in the input",
    "the data in the target",
    "the noise in the target",
    "the weight",
)
#: All ways to lay out a draw, so that every comparison has as many entries.
_ALL_AXES: tuple[Axes, ...] = tuple((a, b, c) for a in (False, True) for b in (False, True) for c in (False, True))
#: Unit roundoff of float32.
UNIT = 2.0**-24
#: Times that one draw makes in two programs differ by this share at most where they are one.
TOLD = 1e-5


class StepTarget(Observation):
    """A training step's law in one case.

    Args:
        case: what was run.
        seen: measured on the step; the weights are those of the whole loss.
        alignments: ``(S,)`` shares of the time's draw at which a candidate is read, one after the other, until one
            agrees: those at which the step was read, and those at which the reference tells the same times.
        spread: ``(K,)`` shares at which the distribution of the times was read.
        uniform: whether the time's draw is one.
        legible: ``(S,)`` whether data and noise come into an item's input: elsewhere it is not known where those of its
            target would be, and that is not compared; None for all.
    """

    def __init__(
        self,
        case: Case,
        seen: StepResponse,
        alignments: Sequence[Array],
        spread: Array,
        *,
        uniform: bool,
        legible: Array | None = None,
    ) -> None:
        self.case = case
        self.config = case.config
        self.rows = len(PARTS)
        self.seen = seen
        self.alignments = tuple(alignments)
        self.spread = spread
        self.uniform = uniform
        self.legible = np.ones(seen.times.size, dtype=bool) if legible is None else legible
        #: The case whose loss says what its free factor is.
        self.anchor = self

    @property
    def length(self) -> int:
        """One call of the model."""
        return 1

    # What a program does

    def run(self, instance: Any, config: Any, *, stop: bool = True) -> Outcome:
        """Measure a program; see :class:`Observation`."""
        best: tuple[int, StepResponse] | None = None
        for shares in self.alignments:
            response = self._respond(instance, shares)
            if response is None:
                continue
            agreeing = sum(bool(part.max(initial=0.0) <= 1.0) for part in self._parts(response, None))
            if best is None or agreeing > best[0]:
                best = agreeing, response
            if agreeing == len(PARTS):
                break
        if best is None:
            return Outcome(0, ending="error")
        whole = best[0] == len(PARTS)
        return Outcome(TERMS * best[0], best[1] if whole or not stop else None, "whole" if whole else "stopped")

    def _respond(self, instance: Any, shares: Array, *, rounds: bool = False) -> StepResponse | None:
        response = respond(instance, shares, self.spread, rounds=rounds)
        return response if response is not None and response.is_finite else None

    def off(self, explanation: Explanation, *, exactly: bool) -> float:
        """How far an explanation is from this law, and its loss from the same free factor as elsewhere.

        Args:
            explanation: whole, since its loss in another configuration says what the free factor is.
            exactly: within the derived tolerance.
        """
        response = explanation.outcome(self, stop=False).response
        if response is None:
            return math.inf
        factor = self._off_in_factor(explanation, response)
        if factor > 1.0:
            return factor
        derived = self._derived(explanation.part_for(self.config), response) if exactly else None
        return max(factor, *(float(part.max(initial=0.0)) for part in self._parts(response, derived)))

    def _off_in_factor(self, explanation: Explanation, response: StepResponse) -> float:
        """How far the free factor of the loss is from what it is in the case that decides."""
        if self.anchor is self:
            return 0.0
        elsewhere = explanation.response(self.anchor, stop=False)
        if elsewhere is None:
            return math.inf
        return abs(self.factor(response) / self.anchor.factor(elsewhere) - 1) / FREE_FACTOR

    def distances(self, response: StepResponse) -> Array | None:
        """How far every entry is off; see :class:`Observation`."""
        found: Array = np.minimum(np.concatenate([part.reshape(-1) for part in self._parts(response, None)]), FAR)
        return found

    def vector(self, explanation: Explanation) -> Array:
        """An explanation's law as one row of numbers; empty where it has none."""
        response = explanation.response(self, stop=False)
        elsewhere = explanation.response(self.anchor, stop=False)
        if response is None or elsewhere is None:
            return np.zeros(0)
        noise = [response.noise.get(axes, np.zeros((response.times.size, 3))) for axes in _ALL_AXES]
        parts = (response.spread, response.times, response.data, response.offset, *noise)
        scaled = response.weight / np.median(elsewhere.weight)
        return np.concatenate([np.array([float(response.own)]), scaled, *(part.reshape(-1) for part in parts)])

    @functools.cached_property
    def reference_ratio(self) -> float:
        """How far the step is from its reference."""
        return self.off(self._reference, exactly=True)

    @property
    def is_right_alone(self) -> bool:
        """Whether the step is its reference here, but for the free factor."""
        assert self.anchor is self, "beside another case its factor counts too"
        return self.off(self._reference, exactly=True) <= 1.0

    @property
    def _reference(self) -> Explanation:
        from .explanation import Explanation, searched_as

        return Explanation("edit", searched_as(type(self.config)))

    # Beside what was measured

    def factor(self, response: StepResponse) -> float:
        """The free factor of the loss, had it a program's weights: 1 for the mean of what the reference weighs.

        Args:
            response: of the program.
        """
        counted = (self.seen.weight > 0) & (response.weight > 0)
        return float(np.median(self.seen.weight[counted] / response.weight[counted])) if counted.any() else math.inf

    def _derived(self, explanation: Explanation, response: StepResponse) -> StepResponse:
        """What rounding does to each figure of an explanation's own source."""
        config = explanation.config(self.config)
        shares = next(s for s in self.alignments if self._is_read_at(explanation, s, response))
        others = []
        for seed in () if self._is_double else ROUNDINGS:
            with rounding(24, seed), np.errstate(all="ignore"):
                one = self._respond(explanation.rounding_program.configured(config), shares, rounds=True)
            if one is not None:
                others.append(one)

        def off(figures: Any) -> Array:
            exact = figures(response)
            gaps = [np.abs(figures(one) - exact) for one in others]
            return np.max(gaps, axis=0) if gaps else np.zeros_like(exact)

        zero = np.zeros((response.times.size, 3))
        noise = {axes: off(lambda one, axes=axes: one.noise.get(axes, zero)) for axes in response.noise}
        return StepResponse(
            off(lambda one: one.spread),
            True,
            off(lambda one: one.times),
            off(lambda one: one.data),
            off(lambda one: one.offset),
            noise,
            off(lambda one: one.weight),
        )

    def _is_read_at(self, explanation: Explanation, shares: Array, response: StepResponse) -> bool:
        """Whether a response was read at some shares."""
        if shares is self.alignments[-1]:
            return True
        config = explanation.config(self.config)
        again = self._respond(explanation.program.configured(config), shares)
        return again is not None and np.array_equal(again.times, response.times)

    @property
    def _is_double(self) -> bool:
        return self.case.dtype == "float64"

    def _parts(self, response: StepResponse, derived: StepResponse | None) -> list[Array]:
        """How far each part is off, over its tolerance: widened while searching, else with what rounding does."""
        seen, size = self.seen, self._sizes
        floor = floor_of(self.case.dtype)
        widened = SCREEN if derived is None else 1.0

        def off(got: Array, should_be: Array, spread: Array | float, scale: Array | float) -> Array:
            tolerance = floor * np.abs(should_be) + SUMMED * UNIT * scale + SAFETY * spread
            return in_tolerances(got, should_be, widened * tolerance + 1e-30)

        def spread_of(name: str) -> Any:
            return 0.0 if derived is None else getattr(derived, name)

        by_share = self._share_tolerances * self._range_of(response)
        told = TOLD * np.maximum(np.abs(response.times), 0.25)
        own = np.array([0.0 if seen.own == response.own else np.inf])
        times = np.concatenate([
            own,
            in_tolerances(seen.spread, response.spread, widened * (by_share + SAFETY * spread_of("spread"))),
            in_tolerances(seen.times, response.times, widened * (told + SAFETY * spread_of("times"))),
        ])  # fmt: skip
        inputs = np.maximum(size, 0.0)
        targets = self._target_sizes
        data, offset = spread_of("data"), spread_of("offset")
        columns = [
            (
                off(seen.data[:, k], response.data[:, k], data if derived is None else data[:, k], scale),
                off(seen.offset[:, k], response.offset[:, k], offset if derived is None else offset[:, k], scale),
            )
            for k, scale in ((0, inputs), (1, targets))
        ]
        noise_in, noise_out = [], []
        zero = np.zeros_like(seen.times)
        for axes in _ALL_AXES:
            got, should_be = (one.noise.get(axes) for one in (seen, response))
            if got is None and should_be is None:
                noise_in.append(zero)
                noise_out += [zero, zero]
                continue
            got = np.zeros((zero.size, 3)) if got is None else got
            should_be = np.zeros((zero.size, 3)) if should_be is None else should_be
            rounds = np.zeros((zero.size, 3)) if derived is None else derived.noise.get(axes, np.zeros((zero.size, 3)))
            noise_in.append(off(got[:, 0], should_be[:, 0], rounds[:, 0], inputs))
            noise_out.append(off(got[:, 1], should_be[:, 1], rounds[:, 1], targets))
            # What lies across the input's noise is as far off as the target's noise, and as the input's, of which it
            # takes the share that the target has along it.
            along = np.abs(should_be[:, 1])
            turned = 2 * floor * along + SUMMED * UNIT * inputs * along / np.maximum(np.abs(should_be[:, 0]), 1e-30)
            noise_out.append(off(got[:, 2], should_be[:, 2], rounds[:, 2] + turned / SAFETY, targets))
        relative = 0.0 if derived is None else np.abs(derived.weight / response.weight)
        allowed = widened * weight_tolerance(floor, relative) * np.ones_like(seen.weight)
        ratios = seen.weight / (self.factor(response) * response.weight)
        return [
            times,
            np.concatenate(columns[0]),
            np.concatenate(noise_in),
            np.concatenate([np.where(self.legible, one, 0.0) for one in columns[1]]),
            np.concatenate([np.where(self.legible, one, 0.0) for one in noise_out]),
            in_tolerances(ratios, np.ones_like(ratios), allowed),
        ]

    @functools.cached_property
    def _share_tolerances(self) -> Array:
        """How far a time of the distribution may be off, sorted as the times are."""
        shares = np.clip(self.spread, 1e-6, 1 - 1e-6)
        found = [share_tolerance(self.config, float(p), uniform=self.uniform) for p in shares]
        whole = self.config.time_draw == "integers"
        return np.full(len(found), 1e-6) if whole else np.array(found)[np.argsort(self.spread)]

    def _range_of(self, response: StepResponse) -> float:
        """How far a program's times range, beside the reference's: rounding the draw is a share of that.

        Context: a step that tells 1000 t is off by 1000 times the rounding of t. Choice: one factor for all shares, as
        the times next to 0 have no size of their own. Reversed by: tolerances made of the program's own quantiles.
        """
        shares = np.clip(self.spread, 1e-6, 1 - 1e-6)
        own = [abs(float(self.config.told_time(self.config.quantile(float(p))))) for p in shares]
        return max(1.0, float(np.abs(response.spread).max(initial=0.0)) / max(*own, 1e-30))

    @functools.cached_property
    def _sizes(self) -> Array:
        """Size of the largest term in the input, with what rounding does to the reference there."""
        own = self.seen.noise.get((False, False, False), np.zeros((self.seen.times.size, 3)))
        return np.maximum(np.abs(self.seen.data[:, 0]), own[:, 0])

    @functools.cached_property
    def _target_sizes(self) -> Array:
        """Size of the largest term that the target is the sum of: the reference's, where it tells such a time."""
        found = []
        with np.errstate(all="ignore"):
            for time, data in zip(self.seen.times, np.abs(self.seen.data[:, 1]), strict=True):
                known = expected(self.config, float(time), self.case.dtype)
                terms = 1.0 if known is None else self.config.target_terms(self.config.level_of_time(float(time)))
                found.append(max(1.0, float(data), terms))
        return np.array(found)
