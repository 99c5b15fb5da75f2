"""All runs of one case: drawn once, measured once, read by every check.

The runs: *zero* (constants, and what there is to measure), *impulse*, *impulse of the other sign at another
scattering*, and on demand *dense* (given values everywhere), which alone sees clamps and what is not affine.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sampler_harness.observe.layout import Layout
from sampler_harness.observe.probes import Dense, Impulses
from sampler_harness.observe.trace import Case, Following, Problem, Run, execute
from sampler_harness.subject import Subject

from .clamped import Bounds, side_of_zero, sleeping_amplitude
from .dense import DenseRun, as_dtype, dense_values
from .followed import Followed
from .law import Law
from .layouts import layout_by_size, read_with_layout
from .reading import Leak, Reader, Reading, times_of
from .replay import drawn_and_called
from .response import AMPLITUDE, Array, Response
from .tolerance import PRECISIONS, is_half
from .turned import turned

__all__ = ["Bundle", "DenseRun", "Leak", "Reading", "dense_values"]

#: What is not looked at yet is made this much smaller: not 0, by which a norm may be divided.
QUIET = 2.0**-30
#: Sizes of the outputs of an item and its neighbours, where they are to differ.
UNEVEN = (1.0, 0.25, 4.0)
#: What impulses are in float16, in which the usual ones underflow.
LARGE_IMPULSE = 1.0
#: What float16 loses of a value that is multiplied by a step as small as the papers' last level, 0.002, and divided by
#: it: the spacing of its smallest numbers, 2^9 times.
UNDERFLOW = 2.0**-24 * 2.0**9
#: How much smaller given values are made in float16 until a run is finite.
GENTLER = (2.0**-3, 2.0**-6)
#: What is said of a sampler that is finite where its model returns numbers, and is not where it returns 0 alone.
DIVIDES = (
    "with a model that returns 0 alone a run is NaN or infinite, and with one that returns numbers it is finite: it "
    "divides by what it takes from the output (a norm, a deviation), and has no coefficients to read. Leave that out, "
    "and the rest is told"
)
#: Runs of this many calls times draws are searched for draws that reach nothing.
SEARCHED = 4_000


class Bundle:
    """The runs of one case, measured when first asked for.

    Args:
        subject: the declaration.
        case: what to run.
        call_limit: model calls after which one run is stopped.
        spend: told how many model calls each run made.
        fixtures: the host's fixture values.
        unread: impulses would take too many runs: dense runs only, as where there is no law.
        apart: take draws that are an earlier one again for new ones.
    """

    def __init__(
        self,
        subject: Subject,
        case: Case,
        *,
        call_limit: int = 20_000,
        spend: Callable[[int], None] = lambda calls: None,
        fixtures: Mapping[str, Any] | None = None,
        unread: bool = False,
        apart: bool = False,
    ) -> None:
        self.subject = subject
        self.case = case
        self.unread = unread
        self.is_apart = apart
        self._call_limit = call_limit
        self._spend = spend
        self._fixtures = fixtures

    def execute(self, stimulus: Any, *, same: Mapping[int, int] | None = None, **options: Any) -> Run:
        """Run once more under another stimulus, counted in the budget.

        Args:
            stimulus: what draws and outputs return.
            same: draws that return what an earlier one returns; None for those that are an earlier one again.
            options: as for :func:`~sampler_harness.observe.trace.execute`.
        """
        run = execute(
            self.subject,
            self.case,
            stimulus,
            call_limit=self._call_limit,
            fixtures=self._fixtures,
            same=self._repeated if same is None else same,
            **options,
        )
        self._spend(len(run.calls))
        return run

    @property
    def is_affine(self) -> bool:
        """Whether the reference has a law in this configuration; else there are dense runs only."""
        return bool(self.case.config.is_affine)

    @functools.cached_property
    def zero(self) -> Run:
        """All draws and outputs zero; where the reference is not affine given ones, since 0 / 0 is no step size."""
        if self.is_affine:
            found = self.execute(Impulses(), same={}, following=Following())
            if found.problem is not None and found.problem.kind == "not-finite" and self._is_finite_elsewhere():
                found.problem = Problem("unread", DIVIDES)
            return found
        scale = self.given_at_zero

        def given(kind: int) -> Callable[[int, tuple[int, ...]], Array]:
            return lambda index, shape: scale * dense_values(kind, index, int(np.prod(shape))).reshape(shape)

        return self.execute(Dense(draws=given(0), outputs=given(1)), same={}, following=Following())

    def _is_finite_elsewhere(self) -> bool:
        """Whether a run is finite where draws and outputs are not 0."""

        def given(kind: int) -> Callable[[int, tuple[int, ...]], Array]:
            return lambda index, shape: dense_values(kind, index, int(np.prod(shape))).reshape(shape)

        return self.execute(Dense(draws=given(0), outputs=given(1)), same={}).problem is None

    @property
    def given_at_zero(self) -> float:
        """Scale of the given values of :attr:`zero`, where it has any."""
        return 1.0 if self.case.dtype in ("float32", "float64") else 2.0**-5

    def read_as(self, layout: Layout) -> Bundle:
        """The same case with its draws read in another layout.

        Args:
            layout: of its draws.
        """
        other = self._other(apart=self.is_apart)
        reading = self.reader.read(layout, phase=0, sign=1.0) if self.is_affine else self._unmeasured()
        other.__dict__["_found"] = reading, layout
        return other

    def apart(self) -> Bundle:
        """The same runs, were every draw a new one."""
        return self._other(apart=True)

    def _other(self, *, apart: bool) -> Bundle:
        """The same case, of which no more is known than the run at zero and what draws are made of."""
        other = Bundle(
            self.subject,
            self.case,
            call_limit=self._call_limit,
            spend=self._spend,
            fixtures=self._fixtures,
            unread=self.unread,
            apart=apart,
        )
        other.__dict__.update({name: self.__dict__[name] for name in ("zero", "draws") if name in self.__dict__})
        return other

    @functools.cached_property
    def draws(self) -> Followed:
        """Of which random numbers draws are made."""
        return Followed(self.zero, self.execute)

    @property
    def repeats(self) -> bool:
        """Whether draws are earlier ones again."""
        return bool(self.draws.redrawn)

    @property
    def _repeated(self) -> Mapping[int, int]:
        """Draws that make no field of their own; none before it is known how draws make fields, which runs tell."""
        layout = self.__dict__["_found"][1] if "_found" in self.__dict__ else None
        return {} if layout is None else layout.repeated

    @property
    def problem(self) -> Problem | None:
        """Why the case could not be measured."""
        if self.zero.problem is not None:
            return self.zero.problem
        if self.unread or not self.is_affine:
            return None
        return self.first.problem or self.second.problem

    @property
    def num_calls(self) -> int:
        """K."""
        return len(self.zero.calls)

    @functools.cached_property
    def amplitude(self) -> float:
        """2^-24 where nothing constant is added; else as large as the reference's clamps allow."""
        shifted = self.subject.output_shift != 0
        usual = LARGE_IMPULSE if self.case.dtype == "float16" else AMPLITUDE
        if not shifted and self.zero.is_zero and not (usual > AMPLITUDE and self.case.config.is_clipped):
            return usual
        largest = float(self.case.config.sleeping_amplitude) if self.case.config.is_clipped else 1.0
        # A clamp that nobody declared, or one on another grid than declared, may bite there.
        given = (largest, self.zero, self.execute, self._precision, self.shift)
        return sleeping_amplitude(*given, last_row=self.subject.quantised is None) or largest

    @property
    def shift(self) -> float:
        """The declared shift in the sample's own scale: ``(x + 1) / 2`` adds 1, to which impulses lose digits."""
        return self.subject.output_shift / self.subject.output_scale

    @property
    def last_row(self) -> bool:
        """False where the returned sample is rounded so coarsely that impulses cannot be read from it."""
        sample = self.zero.raw_sample
        half = sample is not None and is_half(str(sample.dtype))
        return self.subject.quantised is None and (not half or PRECISIONS[self.case.dtype].is_half)

    @functools.cached_property
    def end(self) -> Bounds | None:
        """What the finished sample is clamped to: the side of 0 that small values do not leave, else as declared.

        Impulses of the other sign are lost there: the last row is then read from both signs together.
        """
        declared = self.subject.output_clip
        return declared if declared and 0.0 in declared else self._side_of_zero() or declared

    def _side_of_zero(self) -> Bounds | None:
        if self.unread or not self.is_affine or self._found[0].problem is not None:
            return None
        one = _last_row(self._found[0])
        # Weights of both signs came through: nothing is lost, and the second reading need not be asked.
        if (one > 0).any() and (one < 0).any():
            return None
        if self._again.problem is not None:
            return None
        other = _last_row(self._again)
        if one.shape != other.shape or not bool(((one == 0) != (other == 0)).any()):
            return None
        ends = self.of_both_signs(self.amplitude)
        return None if ends is None else side_of_zero(*ends)

    @property
    def ends_at_zero(self) -> bool:
        """Whether a clamp at the end of the run leaves values of one sign alone."""
        return self.end is not None and 0.0 in self.end

    def of_both_signs(self, size: float) -> tuple[Array, Array] | None:
        """The returned samples of two runs with the same values of opposite signs, the constant taken off.

        None where they cannot be made.

        Args:
            size: of the values.
        """
        ends = []
        for sign in (1.0, -1.0):
            run = self.run_dense(draw_scale=sign * size, output_scale=sign * size)
            if isinstance(run, Problem) or run.rows.shape != self.zero.rows().shape:
                return None
            ends.append(run.rows[-1] - self.zero.rows()[-1])
        return ends[0], ends[1]

    @functools.cached_property
    def layout(self) -> Layout | None:
        """How draws make fields; None where the harness cannot tell."""
        return self._found[1]

    @functools.cached_property
    def first(self) -> Reading:
        """Impulses of positive sign."""
        return self._with_both_signs(self._found[0], lambda: self._again)

    @functools.cached_property
    def second(self) -> Reading:
        """Impulses of negative sign at another scattering."""
        return self._with_both_signs(self._again, lambda: self._found[0])

    def _with_both_signs(self, reading: Reading, other: Callable[[], Reading]) -> Reading:
        """A reading whose last row is that of both signs together, where a clamp takes one of them."""
        if not self.ends_at_zero or reading.problem is not None or other().problem is not None:
            return reading
        noise, outputs = reading.response.noise.copy(), reading.response.outputs.copy()
        noise[-1] += other().response.noise[-1]
        outputs[-1] += other().response.outputs[-1]
        return dataclasses.replace(
            reading, response=dataclasses.replace(reading.response, noise=noise, outputs=outputs)
        )

    @functools.cached_property
    def _again(self) -> Reading:
        if self.unread or not self.is_affine:
            return self._unmeasured()
        layout = self.layout or Layout((), self.case.numel, "none")
        return self.reader.read_again(layout)

    @functools.cached_property
    def law(self) -> Law:
        """The law of the first reading."""
        return self._law_of(self.first)

    @functools.cached_property
    def second_law(self) -> Law:
        """The law of the second reading."""
        return self._law_of(self.second)

    def _law_of(self, reading: Reading) -> Law:
        underflow = UNDERFLOW if self.case.dtype == "float16" else 0.0
        along = None
        if PRECISIONS[self.case.dtype].is_half and self.layout is not None and reading.problem is None:
            phase = 0 if reading is self.first else 1
            along = turned(reading.response, self.layout, self.execute, self.zero, unit=self._precision, phase=phase)
        return Law.of(reading.response, precision=self._precision, shift=self.shift, underflow=underflow, along=along)

    @property
    def _precision(self) -> float:
        return PRECISIONS[self.case.dtype].unit

    @functools.cached_property
    def reader(self) -> Reader:
        """Reads its coefficients."""
        redrawn = {} if self.is_apart else self.draws.redrawn
        return Reader(self.case, self.zero, self.amplitude, self._precision, self.execute, redrawn)

    @functools.cached_property
    def _found(self) -> tuple[Reading, Layout | None]:
        if self.unread or not self.is_affine:
            return self._unmeasured(), layout_by_size(self.reader)
        return read_with_layout(self.reader)

    def _unmeasured(self) -> Reading:
        """The reading of a case that has no coefficients, or that has too many."""
        calls = self.num_calls
        nothing = Response(
            times_of(self.zero), np.zeros(calls + 1), np.zeros((calls + 1, 0)), np.zeros((calls + 1, calls))
        )
        why = "the reference is not affine in this configuration: there are no coefficients"
        if self.unread:
            why = "the sample has too few elements to read the coefficients of so many steps"
        problem = Problem("outside", why)
        return Reading(nothing, (), (), (), problem)

    @functools.cached_property
    def dense(self) -> DenseRun | Problem:
        """Given values everywhere: outputs from small to large, unit-normal-shaped draws."""
        return self.run_dense()

    @functools.cached_property
    def _given(self) -> float:
        """What given values are multiplied by: in float16 alone so much less that a run is finite."""
        if self.case.dtype != "float16" or any(not PRECISIONS[dtype].is_half for dtype in self.subject.dtypes):
            return 1.0
        scales = (1.0, *GENTLER)
        return next((one for one in scales if isinstance(self.run_dense(given=one), DenseRun)), 1.0)

    @functools.cached_property
    def counted_fields(self) -> tuple[int, ...]:
        """Fields that reach a row, in order, where there are more than the reference draws; else all.

        Noise that is drawn and not used, or multiplied by 0, is no noise.
        """
        layout = self.layout
        if layout is None:
            return ()
        fields = tuple(range(len(layout.fields)))
        wanted = drawn_and_called(self.case.config)[0]
        if len(fields) <= len(wanted) or isinstance(self.dense, Problem):
            return fields
        # Likely the ones made where the reference makes none: one run tells.
        left = Counter(wanted)
        idle: set[int] = set()
        for field in fields:
            place = self.zero.draws[layout.fields[field].parts[0]].calls_before
            if left[place] == 0:
                idle.add(field)
            left[place] = max(0, left[place] - 1)
        # A program may draw before the call where the reference draws after it: then the last ones are idle, if any.
        last = set(fields[len(wanted) :])
        guesses = [one for one in (idle, last) if len(fields) - len(one) == len(wanted)]
        found = next((one for one in guesses if self._reach_nothing(sorted(one))), None)
        if found is None:
            if self.num_calls * len(fields) > SEARCHED:
                return fields
            found = set(self._idle_among(fields))
        idle = found
        return tuple(field for field in fields if field not in idle)

    @property
    def used_fields(self) -> tuple[int, ...]:
        """Fields that reach a model input or the sample, in order: what is drawn and not used may be anything."""
        if self.is_affine and not self.unread:
            return tuple(field for field, seen in enumerate(self.first.arrived) if seen)
        return self.counted_fields

    def _reach_nothing(self, fields: Sequence[int]) -> bool:
        """Whether other values there change no digit anywhere."""
        plain, other = self.dense, self.run_dense(changed=fields)
        if isinstance(plain, Problem) or isinstance(other, Problem):
            return False
        return plain.rows.shape == other.rows.shape and bool(np.array_equal(plain.rows, other.rows))

    def _idle_among(self, fields: Sequence[int]) -> list[int]:
        if self._reach_nothing(fields):
            return list(fields)
        if len(fields) == 1:
            return []
        half = len(fields) // 2
        return [*self._idle_among(fields[:half]), *self._idle_among(fields[half:])]

    def run_dense(
        self,
        *,
        draw_scale: float = 1.0,
        output_scale: float = 1.0,
        layout: Layout | None = None,
        quiet_before: int = 0,
        uneven: bool = False,
        changed: Sequence[int] = (),
        given: float | None = None,
        **options: Any,
    ) -> DenseRun | Problem:
        """One dense run; scales of zero silence the draws or the outputs.

        Args:
            draw_scale: multiplies the given draws.
            output_scale: multiplies the given outputs.
            layout: how draws make fields, where it cannot be measured in this dtype.
            quiet_before: draws made before this model call are 0, outputs of the calls before its predecessor next to
                it, so that the steps from there on are not lost beside what came before them.
            uneven: outputs of another size for each item, so that a mean over the batch is not what one item has.
            changed: fields that get other values.
            given: multiplies all of them; None for what the dtype holds.
            options: passed on to the run.
        """
        given = self._given if given is None else given
        draw_scale, output_scale = given * draw_scale, given * output_scale
        layout = layout or self.layout
        size = self.case.numel
        fields = 0 if layout is None else len(layout.fields)
        raw: dict[int, Array] = {}
        drawn = self.zero.draws
        sizes = np.array([UNEVEN[item % len(UNEVEN)] for item in range(self.case.shape[0])])
        sizes = sizes.reshape(-1, *[1] * (len(self.case.shape) - 1))
        others = {part for one in changed for part in (layout.fields[one].parts if layout else ())}

        def draws(index: int, shape: tuple[int, ...]) -> Array | None:
            values = draw_scale * dense_values(0, index, int(np.prod(shape))).reshape(shape)
            if index in others:
                values = -0.5 * values
            if quiet_before and (index >= len(drawn) or drawn[index].calls_before < quiet_before):
                values = np.zeros(shape)
            raw[index] = values
            return values

        sent: dict[int, Array] = {}

        def outputs(call: int, shape: tuple[int, ...]) -> Array | None:
            if call in sent:
                return sent[call].reshape(shape)
            values = output_scale * dense_values(1, call, size).reshape(shape)
            if call < quiet_before - 1:
                values = QUIET * values
            if uneven:
                values = values * sizes
            if self.case.dtype != "float64":
                values = as_dtype(values, self.case.dtype)
            sent[call] = values.reshape(-1)
            return values

        repeated = layout.repeated if layout is not None and not self.is_apart else {}
        run = self.execute(Dense(draws=draws, outputs=outputs), same=repeated, **options)
        if run.problem is not None:
            return run.problem
        ordered = [raw.get(i, np.zeros(d.shape)) for i, d in enumerate(run.draws)]
        ordered = [as_dtype(v, d.dtype) for v, d in zip(ordered, run.draws, strict=True)]
        try:
            values = layout.values(ordered) if layout is not None else np.zeros((0, size))
        except (IndexError, ValueError):
            return Problem("outside", "the sampler draws other noise when its model answers otherwise")
        if fields != values.shape[0]:
            return Problem("outside", "the number of draws depends on the values")
        stacked = np.stack([sent[k] for k in range(len(run.calls))])
        return DenseRun(rows=run.rows(), fields=values, outputs=stacked, run=run)


def _last_row(reading: Reading) -> Array:
    """What the returned sample holds of each draw and output."""
    return np.concatenate([reading.response.noise[-1], reading.response.outputs[-1]])
