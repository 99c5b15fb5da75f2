"""All runs of one case: drawn once, measured once, read by every check.

The runs: *zero* (constants, and what there is to measure), *impulse*, *impulse of the other sign at another
scattering*, and on demand *dense* (given values everywhere), which alone sees clamps and what is not affine.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from sampler_harness.observe.layout import Layout, NoLayout
from sampler_harness.observe.probes import Dense, Impulses, scattered
from sampler_harness.observe.trace import Case, Problem, Run, execute
from sampler_harness.subject import Subject

from .law import Law
from .replay import drawn_and_called, is_affine
from .response import AMPLITUDE, Array, Response
from .tolerance import PRECISIONS

__all__ = ["Bundle", "DenseRun", "Leak", "Reading", "dense_values"]

#: What is not looked at yet is made this much smaller: not 0, by which a norm may be divided.
QUIET = 2.0**-30
#: Sizes of the outputs of an item and its neighbours, where they are to differ.
UNEVEN = (1.0, 0.25, 4.0)
#: Runs of this many calls times draws are searched for draws that reach nothing.
SEARCHED = 4_000

#: Amplitudes that are tried where a constant swallows small impulses, the largest first.
LARGE_AMPLITUDES = (1.0, 2.0**-6, 2.0**-12)


class Primitive(NamedTuple):
    """What an impulse stood for.

    Attributes:
        kind: a drawn field, or an output of the model.
        number: which one.
    """

    kind: Literal["draw", "output"]
    number: int

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


@dataclass(frozen=True)
class Leak:
    """An impulse that was seen where it does not belong.

    Attributes:
        row: the model input in which it was seen first.
        source: sample element that the impulse was meant for.
        seen_at: where it was seen.
        primitive: which impulse.
        size: coefficient with which it arrived.
    """

    row: int
    source: int
    seen_at: int
    primitive: Primitive
    size: float


@dataclass(frozen=True)
class Reading:
    """One reading of all coefficients at one scattering.

    Attributes:
        response: the coefficients.
        elements: the sample element at which each primitive was read: noise fields, then outputs.
        leaks: impulses seen elsewhere.
        arrived: for each noise field whether its impulse was seen at its element.
        problem: a run of this reading that went wrong.
    """

    response: Response
    elements: tuple[int, ...]
    leaks: tuple[Leak, ...]
    arrived: tuple[bool, ...]
    problem: Problem | None = None


@dataclass(frozen=True)
class DenseRun:
    """A run with given values everywhere.

    Attributes:
        rows: ``(K + 1, numel)`` model inputs and sample.
        fields: ``(P, numel)`` the unit normals as fields.
        outputs: ``(K, numel)`` what the model answered.
        run: the run itself.
    """

    rows: Array
    fields: Array
    outputs: Array
    run: Run


def dense_values(kind: int, index: int, size: int) -> Array:
    """Fixed values for draw or output ``index``: normal-shaped for draws, heavy-tailed for outputs.

    Built from a multiplicative sequence, not from a generator: the same on every machine.

    Args:
        kind: 0 for draws (about unit normal), 1 for outputs (from 0.1 to 30 in magnitude, so that clamps bite).
        index: which draw or call.
        size: number of elements.
    """
    start = 977 * index
    length = 1 << max(14, (start + size - 1).bit_length())
    return _sequence(kind, length)[start : start + size]


@functools.lru_cache(maxsize=8)
def _sequence(kind: int, length: int) -> Array:
    """All dense values of a kind in a row: those of each index begin a little further on."""
    k = np.arange(1, length + 1, dtype=np.float64) + 31_337.0 * kind
    u = np.mod(k * 0.6180339887498949, 1.0)
    w = np.mod(k * 0.7548776662466927 + 0.5 * u, 1.0)
    normal: Array = np.sqrt(-2.0 * np.log(np.clip(u, 1e-6, 1.0))) * np.cos(2.0 * np.pi * w)
    if kind != 0:
        v = np.mod(k * 0.5698402909980532, 1.0)
        normal *= 10.0 ** (1.5 * v - 0.75)
    normal.setflags(write=False)
    return normal


def _asleep(config: Any) -> float:
    """Largest power of two at which an impulse stays well inside a reference's clamp of x0.

    From epsilon, x0 is formed with 1 / sqrt(alpha_bar): 20,000 where a cosine schedule ends.

    Args:
        config: a reference that clamps.
    """
    if not (hasattr(config, "alpha_bar") and hasattr(config, "grid") and hasattr(config, "prediction")):
        return 2.0**-12
    gain = 1.0
    if config.prediction == "epsilon":
        gain = 1.0 / math.sqrt(max(min(float(config.alpha_bar[t]) for t in config.grid), 2.0**-40))
    return 2.0 ** math.floor(math.log2(min(config.clip_range, 1.0) / (4.0 * gain)))


class Bundle:
    """The runs of one case, measured when first asked for.

    Args:
        subject: the declaration.
        case: what to run.
        call_limit: model calls after which one run is stopped.
        spend: told how many model calls each run made.
        fixtures: the host's fixture values.
        entry: what to call instead of the sampler's function.
        unread: impulses would take too many runs: dense runs only, as where there is no law.
    """

    def __init__(
        self,
        subject: Subject,
        case: Case,
        *,
        call_limit: int = 20_000,
        spend: Callable[[int], None] = lambda calls: None,
        fixtures: Mapping[str, Any] | None = None,
        entry: Callable[..., Any] | None = None,
        unread: bool = False,
    ) -> None:
        self.subject = subject
        self.case = case
        self.unread = unread
        self._call_limit = call_limit
        self._spend = spend
        self._fixtures = fixtures
        self._entry = entry

    def execute(self, stimulus: Any, **options: Any) -> Run:
        """Run once more under another stimulus, counted in the budget."""
        options.setdefault("entry", self._entry)
        run = execute(
            self.subject,
            self.case,
            stimulus,
            call_limit=self._call_limit,
            fixtures=self._fixtures,
            **options,
        )
        self._spend(len(run.calls))
        return run

    @property
    def is_affine(self) -> bool:
        """Whether the reference has a law in this configuration; else there are dense runs only."""
        return is_affine(self.case.config)

    @functools.cached_property
    def zero(self) -> Run:
        """All draws and outputs zero; where the reference is not affine given ones, since 0 / 0 is no step size."""
        if self.is_affine:
            return self.execute(Impulses())
        scale = 1.0 if self.case.dtype in ("float32", "float64") else 2.0**-5

        def given(kind: int) -> Callable[[int, tuple[int, ...]], Array]:
            return lambda index, shape: scale * dense_values(kind, index, int(np.prod(shape))).reshape(shape)

        return self.execute(Dense(draws=given(0), outputs=given(1)))

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
    def _zero_rows(self) -> Array:
        return self.zero.rows()

    @functools.cached_property
    def amplitude(self) -> float:
        """2^-24 where nothing constant is added; else as large as the reference's clamps allow."""
        shifted = self.subject.output_shift != 0
        if not shifted and float(np.abs(self._zero_rows).max(initial=0.0)) == 0:
            return AMPLITUDE
        return _asleep(self.case.config) if getattr(self.case.config, "is_clipped", False) else 1.0

    @property
    def shift(self) -> float:
        """The declared shift in the sample's own scale: ``(x + 1) / 2`` adds 1, to which impulses lose digits."""
        return self.subject.output_shift / self.subject.output_scale

    @property
    def last_row(self) -> bool:
        """False where the returned sample is rounded so coarsely that impulses cannot be read from it."""
        sample = self.zero.raw_sample
        half = sample is not None and str(sample.dtype) in ("torch.float16", "torch.bfloat16")
        return self.subject.quantised is None and not half

    @functools.cached_property
    def layout(self) -> Layout | None:
        """How draws make fields; None where the harness cannot tell."""
        return self._found[1]

    @property
    def first(self) -> Reading:
        """Impulses of positive sign."""
        return self._found[0]

    @functools.cached_property
    def second(self) -> Reading:
        """Impulses of negative sign at another scattering."""
        if self.unread or not self.is_affine:
            return self._unmeasured()
        layout = self.layout or Layout((), self.case.numel, "none")
        return self._read(layout, phase=1, sign=-1.0)

    @functools.cached_property
    def law(self) -> Law:
        """The law of the first reading."""
        return Law.of(self.first.response, precision=self._precision, shift=self.shift)

    @functools.cached_property
    def second_law(self) -> Law:
        """The law of the second reading."""
        return Law.of(self.second.response, precision=self._precision, shift=self.shift)

    @property
    def _precision(self) -> float:
        return PRECISIONS[self.case.dtype].unit

    @functools.cached_property
    def _found(self) -> tuple[Reading, Layout | None]:
        if self.unread or not self.is_affine:
            return self._unmeasured(), self._whole()
        best: tuple[Reading, Layout | None] | None = None
        for make in (self._plain, self._trailing, self._coded):
            try:
                layout = make()
            except NoLayout:
                continue
            if layout is None:
                continue
            reading = self._read(layout, phase=0, sign=1.0)
            if reading.problem is not None or self._fits(reading):
                return reading, layout
            best = best or (reading, layout)
        if best is None:
            # Outputs can be measured even where the draws cannot be read as fields.
            return self._read(Layout((), self.case.numel, "none"), phase=0, sign=1.0), None
        return best

    def _unmeasured(self) -> Reading:
        """The reading of a case that has no coefficients, or that has too many."""
        calls = self.num_calls
        nothing = Response(
            self._times(self.zero), np.zeros(calls + 1), np.zeros((calls + 1, 0)), np.zeros((calls + 1, calls))
        )
        why = "the reference is not affine in this configuration: there are no coefficients"
        if self.unread:
            why = "the sample has too few elements to read the coefficients of so many steps"
        problem = Problem("outside", why)
        return Reading(nothing, (), (), (), problem)

    def _whole(self) -> Layout | None:
        """Draws read as fields by their sizes; where they arrive cannot be followed."""
        try:
            return self._plain()
        except NoLayout:
            return None

    @staticmethod
    def _fits(reading: Reading) -> bool:
        """Every drawn impulse was seen at its element, or nothing was seen where nothing belongs."""
        return all(reading.arrived) or not reading.leaks

    def _plain(self) -> Layout | None:
        return Layout.plain(self.zero.draws, self.case.numel)

    def _trailing(self) -> Layout | None:
        several = any(d.gaussian and d.numel > self.case.numel for d in self.zero.draws)
        return Layout.plain(self.zero.draws, self.case.numel, trailing=True) if several else None

    def _coded(self) -> Layout | None:
        """Draw numbers that name their own place, and see which sample element receives which."""
        draws = [(i, d) for i, d in enumerate(self.zero.draws) if d.gaussian and d.numel > 0]
        if not draws:
            return None
        maps: dict[tuple[int, ...], Any] = {}
        for shape in dict.fromkeys(d.shape for _, d in draws):
            for index in [i for i, d in draws if d.shape == shape][:3]:
                found = self._coded_map(index, shape)
                if found is not None:
                    maps[shape] = found
                    break
        return Layout.coded(self.zero.draws, self.case.numel, maps)

    def _coded_map(self, index: int, shape: tuple[int, ...]) -> Any:
        count = int(np.prod(shape))
        code: Array = (1.0 + np.arange(count, dtype=np.float64)) / (2.0 * count)
        run = self.execute(
            Dense(draws=lambda i, s: code * self.amplitude if i == index else None, outputs=lambda i, s: None)
        )
        if run.problem is not None or len(run.calls) != self.num_calls:
            return None
        rows = run.rows() - self._zero_rows
        touched = np.flatnonzero(np.abs(rows).max(axis=1) > 0)
        if touched.size == 0:
            return None
        row = rows[touched[0]] / self.amplitude
        # The weight is unknown, the codes are not: the largest code fixes it, and all must then be whole.
        weight = row[np.argmax(np.abs(row))] / code[-1]
        places = row / weight * (2.0 * count) - 1.0
        whole = np.rint(places)
        if float(np.abs(places - whole).max()) > 0.05:
            return None
        return np.where(whole >= 0, whole, -1).astype(np.int64)

    def _read(self, layout: Layout, *, phase: int, sign: float) -> Reading:
        """Impulses for all primitives, in as many runs as the sample has room for."""
        calls, size = self.num_calls, self.case.numel
        fields = len(layout.fields)
        primitives = [Primitive("draw", i) for i in range(fields)]
        primitives += [Primitive("output", j) for j in range(calls)]
        capacity = max(1, size // 2)
        noise = np.zeros((calls + 1, fields))
        outputs = np.zeros((calls + 1, calls))
        elements = [0] * len(primitives)
        arrived = [False] * fields
        leaks: list[Leak] = []
        times = self._times(self.zero)
        amplitude = sign * self.amplitude
        for start in range(0, len(primitives), capacity):
            group = primitives[start : start + capacity]
            places = self._places(layout, group, phase)
            stimulus = Impulses()
            for (kind, index), element in zip(group, places, strict=True):
                if kind == "output":
                    stimulus.outputs.setdefault(index, []).append((element, amplitude))
                    continue
                drawn = layout.place(index, element)
                if drawn is not None:
                    stimulus.draws.setdefault(drawn[0], []).append((drawn[1], amplitude))
            run = self.execute(stimulus)
            problem = run.problem
            if problem is None and len(run.calls) != calls:
                problem = self._other_count(len(run.calls))
            if problem is not None:
                response = Response(times, np.zeros(calls + 1), noise, outputs, self.amplitude)
                return Reading(response, tuple(elements), (), tuple(arrived), problem)
            rows = (run.rows() - self._zero_rows) / amplitude
            rest = rows.copy()
            for number, ((kind, index), element) in enumerate(zip(group, places, strict=True)):
                elements[start + number] = element
                column = rows[:, element]
                if kind == "output":
                    outputs[:, index] = column
                    rest[:, element] = 0
                else:
                    noise[:, index] = column
                    arrived[index] = bool(np.any(column != 0))
                    rest[:, layout.arrivals(index, element)] = 0
            leaks += self._leaks(rest, group, places)
        offset = self._offset()
        response = Response(times, offset, noise, outputs, self.amplitude)
        return Reading(response, tuple(elements), tuple(leaks), tuple(arrived))

    def _other_count(self, count: int) -> Problem:
        """A run with impulses took another number of calls: because of the values, or of an earlier run?"""
        again = self.execute(Impulses())
        if len(again.calls) != self.num_calls:
            return Problem(
                "outside",
                f"the same run, made twice, calls the model {self.num_calls} and {len(again.calls)} times: something "
                "of an earlier run is left",
            )
        return Problem(
            "outside",
            f"the sampler called its model {count} times where the run with all-zero values had {self.num_calls}: "
            "its number of steps depends on the values (an adaptive sampler is outside what the law covers)",
        )

    def _places(self, layout: Layout, group: Sequence[Primitive], phase: int) -> list[int]:
        """An element for each primitive, none of which meets what another primitive reaches."""
        size = self.case.numel
        candidates = scattered(size, size, phase)
        if (layout.kind != "coded" or layout.shared == 0) and layout.missing == 0:
            return candidates[: len(group)]
        taken: set[int] = set()
        places = []
        for kind, index in group:
            for element in candidates:
                reach = {element} if kind == "output" else set(layout.arrivals(index, element).tolist())
                drawn = kind == "output" or layout.place(index, element) is not None
                if drawn and not (reach & taken):
                    taken |= reach
                    places.append(element)
                    break
            else:
                places.append(candidates[0])
        return places

    def _offset(self) -> Array:
        """The constant of each row: its entry of largest magnitude."""
        rows = self._zero_rows
        largest = np.abs(rows).argmax(axis=1)
        chosen: Array = rows[np.arange(rows.shape[0]), largest]
        return chosen

    def _leaks(self, rest: Array, group: Sequence[Primitive], places: Sequence[int]) -> list[Leak]:
        """What is not zero where it should be: each row's first, traced to the primitive that fits best."""
        constant = np.abs(self._zero_rows)
        allowed = 8 * self._precision * constant / self.amplitude
        seen = np.abs(rest) > allowed
        if not seen.any():
            return []
        row = int(np.flatnonzero(seen.any(axis=1))[0])
        found = []
        for element in np.flatnonzero(seen[row])[:8]:
            # Only what had happened by then can be the source.
            earlier = [n for n, (kind, index) in enumerate(group) if kind == "draw" or index < row]
            source = earlier[-1] if earlier else 0
            found.append(Leak(row, places[source], int(element), group[source], float(rest[row, element])))
        return found

    @staticmethod
    def _times(run: Run) -> Array:
        """The time of each call as a number; a batch of times must agree (checked by law/times)."""
        values = []
        for call in run.calls:
            time = call.time
            if isinstance(time, torch.Tensor):
                one = time if time.numel() == 1 else time.reshape(-1)[:1]
                values.append(float(one.item()) if one.numel() else float("nan"))
            else:
                try:
                    values.append(float(time))
                except (TypeError, ValueError):
                    values.append(float("nan"))
        return np.array(values)

    @functools.cached_property
    def dense(self) -> DenseRun | Problem:
        """Given values everywhere: outputs from small to large, unit-normal-shaped draws."""
        return self.run_dense()

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
            options: passed on to the run.
        """
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
                values = _as_dtype(values, self.case.dtype)
            sent[call] = values.reshape(-1)
            return values

        run = self.execute(Dense(draws=draws, outputs=outputs), **options)
        if run.problem is not None:
            return run.problem
        ordered = [raw.get(i, np.zeros(d.shape)) for i, d in enumerate(run.draws)]
        ordered = [_as_dtype(v, d.dtype) for v, d in zip(ordered, run.draws, strict=True)]
        try:
            values = layout.values(ordered) if layout is not None else np.zeros((0, size))
        except (IndexError, ValueError):
            return Problem("outside", "the sampler draws other noise when its model answers otherwise")
        if fields != values.shape[0]:
            return Problem("outside", "the number of draws depends on the values")
        stacked = np.stack([sent[k] for k in range(len(run.calls))])
        return DenseRun(rows=run.rows(), fields=values, outputs=stacked, run=run)


def _as_dtype(values: Array, dtype: str) -> Array:
    """The numbers as the sampler will see them, back in float64."""
    rounded: Array
    if dtype == "bfloat16":  # which numpy does not have
        rounded = torch.from_numpy(np.ascontiguousarray(values)).to(torch.bfloat16).double().numpy()
        return rounded
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype).astype(np.float64)
    return rounded
