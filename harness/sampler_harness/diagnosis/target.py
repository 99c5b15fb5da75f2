"""What a sampler did in one case, and how far a program is from doing the same.

A program is stopped at the first model call at which it differs, so that most edits cost a call or two.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sampler_harness.law.bundle import DenseRun
from sampler_harness.law.clamped import Bounds, clamped_end
from sampler_harness.law.law import Law
from sampler_harness.law.replay import is_affine, replay, spread_of_rows
from sampler_harness.law.response import AMPLITUDE, Array, Response
from sampler_harness.law.same import SCREEN, TERMS, Screen, distance, worst
from sampler_harness.law.tolerance import (
    PRECISIONS,
    SAFETY,
    Tolerance,
    reference_response,
    tolerance_between,
    tolerance_of,
)
from sampler_harness.observe.learned_variance import learned_variance, variance_value
from sampler_harness.observe.problems import OF_CODE
from sampler_harness.observe.trace import Case

from .observation import Observation, Outcome

if TYPE_CHECKING:
    from .explanation import Explanation

__all__ = ["BEYOND", "Lawless", "Target", "limits_of", "run_program"]

#: A program may call its model and draw twice as often as the reference and the sampler, and this much more.
MORE = 8
LONG = 200
#: Times the floor, or the reference's own tolerance, beyond which a candidate's tolerance is not derived any more:
#: derived ones were seen up to 90 times the floor.
HOPELESS = 400.0
#: Weights that are this much larger than any of the reference's come of a division by what rounding leaves, or have
#: grown at every step.
BEYOND = 1e5
#: Seconds of the processor's after which a run is stopped, however busy the machine is; a sound one takes a thousandth.
CLOCK = 2.0


class _Stopped(Exception):
    """A run that need not go on."""


@dataclass(frozen=True)
class Lawless:
    """A configuration in which the sampler has no law, though its reference has one.

    Attributes:
        config: the declared one.
        calls: model calls of its reference there.
        is_error: it stops with an error; else it is NaN or infinite.
        is_of_code: that error is none that a number makes.
    """

    config: Any
    calls: int
    is_error: bool
    is_of_code: bool = False


class Target(Observation):
    """A sampler's law in one case.

    Args:
        case: what was run.
        law: measured on the sampler.
        reference_law: what it should have been.
        tolerance: of the reference's entries.
        last_row: False where the returned sample could not be read, or is not what the last step makes.
        learned_variance: the model returns a pair.
        end: what the finished sample is clamped to, as declared.
        dense: a run at large values, where the reference clamps.
        fresh: row to the unit normal that it brings in, of that run.
    """

    def __init__(
        self,
        case: Case,
        law: Law,
        reference_law: Law,
        tolerance: Tolerance,
        *,
        last_row: bool = True,
        learned_variance: bool = False,
        end: Bounds | None = None,
        dense: DenseRun | None = None,
        fresh: dict[int, Array] | None = None,
    ) -> None:
        self.dense = dense
        self.end = end
        self.fresh = fresh or {}
        self.case = case
        self.config = case.config
        self.law = law
        self.reference_law = reference_law
        self.tolerance = tolerance
        self.last_row = last_row
        self.learned_variance = learned_variance
        self.dtype = case.dtype if case.dtype == "float64" else "float32"
        self.max_calls, self.max_draws = limits_of(max(law.num_calls, reference_law.num_calls))
        self.screen = Screen(law, tolerance, self.dtype, last_row=last_row)
        self.rows = self.screen.rows

    @property
    def length(self) -> int:
        """Model calls of a run."""
        return self.law.num_calls

    def run(self, instance: Any, config: Any, *, stop: bool = True) -> Outcome:
        """Measure a program; see :class:`Observation`."""
        return run_program(
            instance,
            max_calls=self.max_calls,
            max_draws=self.max_draws,
            learned_variance=learned_variance(config),
            target=self if stop else None,
            last_row=self.last_row,
        )

    def off(self, explanation: Explanation, *, exactly: bool) -> float:
        """How far an explanation is from this law; see :class:`Observation`."""
        explanation = explanation.part_for(self.config)
        response = explanation.response(self, stop=not (exactly or self.is_beyond))
        config = explanation.config(self.config)
        if response is None or config is None:
            return math.inf
        with np.errstate(all="ignore"):
            law = Law.of(response)
            if not self.has_digits:
                # It may rule a program out, and confirms none: a search begins with a case that has some.
                is_like = law.num_calls == self.law.num_calls
                return 0.0 if is_like and _largest(law) > BEYOND * _largest(self.reference_law) else math.inf
            if exactly and self.is_hopeless(law):
                return math.inf
            program = explanation.program.configured(config)
            # Deriving a tolerance costs far more than a run at large values does.
            off = self.replayed(program, response)
            if off > 1.0 and exactly and off <= HOPELESS:
                off = self.replayed(program, response, lambda: explanation.rounding_program.configured(config))
            if off > (SCREEN if exactly else 1.0):
                return off
            ratio = self.ratio(law, explanation.tolerance(law, response, config, self.dtype) if exactly else None)
            if self.dense is None:
                # What is not affine is no law of a sampler that is, though small impulses may not tell.
                affine = ratio > SCREEN or is_affine(program, response, learned_variance=self.learned_variance)
                return ratio if affine else math.inf
            return max(ratio, off)

    def distances(self, response: Response) -> Array | None:
        """How far every entry is off; see :class:`Observation`."""
        return self.screen.distances(response)

    def vector(self, explanation: Explanation) -> Array:
        """An explanation's law as one row of numbers, with what it clamps; empty where it has none."""
        law = explanation.law(self)
        if law is None:
            return np.zeros(0)
        columns = np.zeros((law.num_calls + 1, law.num_calls + 1))
        for index, row in enumerate(law.opened):
            columns[:, row] = law.factor[:, index]
        rows = explanation.rows(self)
        clamped = np.zeros(0) if rows is None else rows.reshape(-1)
        return np.concatenate([law.times, law.offset, law.outputs.reshape(-1), columns.reshape(-1), clamped])

    def replay(self, instance: Any, response: Response) -> Array | None:
        """What a program makes of the sampler's large outputs and fresh noise; None where it cannot be run on them.

        Args:
            instance: a configured program.
            response: of it.

        Returns:
            ``(K + 1, numel)`` rows.
        """
        assert self.dense is not None
        try:
            rows = replay(
                instance,
                self.case.shape,
                self.dense.outputs,
                self.fresh,
                learned_variance=self.learned_variance,
                response=response,
            )
        except Exception:  # an edit may raise anything
            return None
        return clamped_end(rows, self.end) if rows is not None and rows.shape == self.dense.rows.shape else None

    def replayed(self, instance: Any, response: Response, copied: Callable[[], Any] | None = None) -> float:
        """How far a program is from the sampler at large values, over the tolerance; 0 where nothing is clamped.

        Args:
            instance: a configured program.
            response: of it.
            copied: makes the same in arithmetic that rounds, for what rounding does to large values that a clamp cuts
                off; None for the floor alone.
        """
        if self.dense is None or self.is_beyond:
            return 0.0
        rows = self.replay(instance, response)
        if rows is None:
            return math.inf
        keep = slice(None) if self.last_row else slice(-1)
        size = np.abs(rows) + np.sqrt(np.mean(rows**2, axis=1, keepdims=True))
        precision = PRECISIONS[self.dtype]
        # No row is known better than what came before it is rounded: a row that vanishes is a difference of that.
        before = np.maximum.accumulate(np.abs(rows).max(axis=1, keepdims=True))
        allowed = SCREEN * (precision.floor * size + precision.unit * before) + 1e-30
        if copied is not None:
            try:
                spread = spread_of_rows(
                    copied,
                    rows,
                    self.case.shape,
                    self.dense.outputs,
                    self.fresh,
                    response,
                    bits=precision.bits,
                    learned_variance=self.learned_variance,
                )
            except Exception:  # an edit may raise anything, also where values are rounded alone
                return math.inf
            allowed = np.maximum(allowed, SAFETY * spread)
        return worst(self.dense.rows[keep], rows[keep], allowed[keep])

    def ratio(self, law: Law, tolerance: Tolerance | None = None) -> float:
        """Worst deviation of the sampler from a law, over that law's tolerance; infinity where it cannot be one.

        Args:
            law: a candidate's.
            tolerance: of its entries; None for the floor alone, widened as while searching.
        """
        widened = SCREEN if tolerance is None else 1.0
        given = self._of_rows(law, tolerance_between(law, self.dtype) if tolerance is None else tolerance)
        return distance(self.law, law, given, last_row=self.last_row, widened=widened)

    @functools.cached_property
    def is_beyond(self) -> bool:
        """Whether the sampler's weights are beyond all measure, as those of a fault that grows at every step become."""
        return _largest(self.law) > BEYOND * _largest(self.reference_law)

    @functools.cached_property
    def has_digits(self) -> bool:
        """Whether anything but their size is left of weights that are beyond all measure."""
        return not self.is_beyond or _largest(self.law) * PRECISIONS[self.dtype].unit <= _largest(self.reference_law)

    def _of_rows(self, law: Law, tolerance: Tolerance) -> Tolerance:
        """Tolerances of a law, where the sampler's is beyond all measure those of each row's largest entry.

        Context: a run of 50 steps that doubles the state at each has entries of 1e15, and beside them small ones that
        are differences of what float32 no longer holds. Choice: such a case is compared by the size of its rows, and
        not at large values; where no digit can be left, only by whether it is one. Reversed by: a law that is measured
        in more digits.
        """
        if not self.is_beyond:
            return tolerance
        largest = np.maximum(np.abs(law.outputs).max(axis=1, initial=0.0), np.abs(law.factor).max(axis=1, initial=0.0))
        allowed = PRECISIONS[self.dtype].floor * largest[:, None]
        return dataclasses.replace(
            tolerance,
            outputs=np.maximum(tolerance.outputs, allowed),
            factor=np.maximum(tolerance.factor, allowed),
        )

    def is_hopeless(self, law: Law) -> bool:
        """Whether a law is so far from the sampler's that no tolerance of its own could reach it.

        Deriving one costs a hundred times what measuring the law does.

        Args:
            law: a candidate's.
        """
        own = self._of_rows(law, tolerance_between(law, self.dtype))
        if self.tolerance.outputs.shape == own.outputs.shape and self.tolerance.factor.shape == own.factor.shape:
            # Where rounding does much to the reference, it does so to what is nearly the reference.
            own = dataclasses.replace(
                own,
                outputs=np.maximum(own.outputs, self.tolerance.outputs),
                factor=np.maximum(own.factor, self.tolerance.factor),
            )
        return distance(self.law, law, own, last_row=self.last_row, widened=HOPELESS) > 1.0

    @functools.cached_property
    def reference_ratio(self) -> float:
        """How far the sampler is from its reference."""
        tolerance = tolerance_of(self.config, self.dtype, self.learned_variance)
        response = reference_response(self.config, self.learned_variance)
        return max(self.ratio(self.reference_law, tolerance), self.replayed(self.config, response))


def _largest(law: Law) -> float:
    """The largest of a law's weights."""
    return max(float(np.abs(part).max(initial=0.0)) for part in (law.outputs, law.factor))


def limits_of(calls: int) -> tuple[int, int]:
    """Model calls and draws at most, of a program that is like one with so many calls.

    Args:
        calls: of the reference, or of the sampler.
    """
    # Twice as many in a long chain would only cost room: an impulse for each of them is held.
    several = 2 if calls <= LONG else 1
    return several * calls + MORE, several * (calls + 1) + MORE


@functools.cache
def _impulses(size: int) -> Array:
    table: Array = AMPLITUDE * np.eye(size)
    table.setflags(write=False)
    return table


def run_program(
    instance: Any,
    *,
    max_calls: int,
    max_draws: int,
    learned_variance: bool = False,
    target: Target | None = None,
    last_row: bool = True,
) -> Outcome:
    """Measure a program's response in one run, under limits.

    Args:
        instance: a configured program, or a reference.
        max_calls: model calls at most.
        max_draws: draws at most.
        learned_variance: the model returns a pair.
        target: what it should do; the run ends where it differs. None to measure it whatever it does.
        last_row: False where the sample is no evidence: NaN in it says nothing.

    Returns:
        How far it went along. What raises, hits a limit or is NaN has no response.
    """
    size = max_draws + max_calls + 1
    table = _impulses(size)
    seen: list[Array] = []
    times: list[float] = []
    drawn = terms = 0
    started = time.thread_time()

    def noise() -> Array:
        nonlocal drawn
        if drawn >= max_draws:
            raise _Stopped
        drawn += 1
        impulse: Array = table[drawn - 1]
        return impulse

    def model(x: Any, told: Any) -> Any:
        nonlocal terms
        call = len(seen)
        if call >= max_calls or not isinstance(x, np.ndarray) or x.shape != (size,):
            raise _Stopped
        told = float(told)
        if target is not None:
            agreeing = target.screen.agreement(call, x, max_draws, told)
            terms += agreeing
            if agreeing < TERMS:
                raise _Stopped
        if time.thread_time() - started > CLOCK:
            raise _Stopped
        seen.append(x)
        times.append(told)
        answer = table[max_draws + call]
        return (answer, np.full(size, variance_value(call))) if learned_variance else answer

    try:
        sample = instance.sample(model, noise)
    except _Stopped:
        return Outcome(terms)
    except ArithmeticError:  # numpy and torch make NaN of what Python refuses
        return Outcome(terms, ending="not-finite")
    except OF_CODE:  # a line that is gone, whose name another one reads
        return Outcome(terms, ending="broken")
    except Exception:  # an edit may raise anything: it has no law then
        return Outcome(terms, ending="error")
    if not isinstance(sample, np.ndarray) or sample.shape != (size,) or not seen:
        return Outcome(terms)
    if target is not None:
        agreeing = target.screen.agreement(len(seen), sample, max_draws, None)
        terms += agreeing
        if agreeing < TERMS:
            return Outcome(terms)
    rows = np.array([*seen, sample if last_row else np.nan_to_num(sample, posinf=0.0, neginf=0.0)])
    if not np.isfinite(rows).all() or not np.isfinite(times).all():
        return Outcome(terms, ending="not-finite")
    offset = rows[:, -1].copy()
    coefficients = (rows - offset[:, None]) / AMPLITUDE
    calls = len(seen)
    response = Response(
        times=np.array(times),
        offset=offset,
        noise=coefficients[:, :drawn],
        outputs=coefficients[:, max_draws : max_draws + calls],
    )
    return Outcome(terms, response, "whole")
