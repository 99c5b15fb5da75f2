"""One reading of a sampler's coefficients: every draw and output an impulse at an element of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from sampler_harness.observe.layout import Layout
from sampler_harness.observe.probes import Impulses, scattered
from sampler_harness.observe.trace import Case, Problem, Run

from .response import Array, Response

__all__ = ["Leak", "Primitive", "Reader", "Reading", "times_of"]


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
class Reader:
    """Reads coefficients of one case.

    Attributes:
        case: what is run.
        zero: the run in which all draws and outputs are zero.
        amplitude: of the impulses.
        precision: unit roundoff of what the sampler computes in.
        execute: runs it once more, under another stimulus; ``same=`` names draws that are an earlier one again.
        same: draws that are an earlier one again, to that one.
    """

    case: Case
    zero: Run
    amplitude: float
    precision: float
    execute: Callable[..., Run]
    same: Mapping[int, int]

    @property
    def _calls(self) -> int:
        return len(self.zero.calls)

    @functools.cached_property
    def times(self) -> Array:
        """The time of each call of the run at zero."""
        return times_of(self.zero)

    @functools.cached_property
    def _second(self) -> dict[int, tuple[Layout, Reading]]:
        return {}

    def read_again(self, layout: Layout) -> Reading:
        """Impulses of the other sign at other elements, read once for each layout."""
        if id(layout) not in self._second:
            self._second[id(layout)] = layout, self.read(layout, phase=1, sign=-1.0)
        return self._second[id(layout)][1]

    def read(self, layout: Layout, *, phase: int, sign: float) -> Reading:
        """Impulses for all primitives, in as many runs as the sample has room for."""
        calls, size = self._calls, self.case.numel
        fields = len(layout.fields)
        primitives = [Primitive("draw", i) for i in range(fields)]
        primitives += [Primitive("output", j) for j in range(calls)]
        capacity = max(1, size // 2)
        noise = np.zeros((calls + 1, fields))
        outputs = np.zeros((calls + 1, calls))
        elements = [0] * len(primitives)
        arrived = [False] * fields
        leaks: list[Leak] = []
        times = self.times
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
                    value = layout.sign(index, element) * amplitude
                    stimulus.draws.setdefault(drawn[0], []).append((drawn[1], value))
            run = self.execute(stimulus, same=layout.repeated)
            problem = run.problem
            if problem is None and len(run.calls) != calls:
                problem = self._other_count(len(run.calls))
            if problem is not None:
                response = Response(times, np.zeros(calls + 1), noise, outputs, self.amplitude)
                return Reading(response, tuple(elements), (), tuple(arrived), problem)
            rest = run.rows() / amplitude if self.zero.is_zero else (run.rows() - self.zero.rows()) / amplitude
            belongs = np.zeros(rest.shape, dtype=bool)
            for number, ((kind, index), column) in enumerate(zip(group, rest[:, places].T, strict=True)):
                element = elements[start + number] = places[number]
                if kind == "output":
                    # What stands there before the model has answered is no answer of its.
                    outputs[index + 1 :, index] = column[index + 1 :]
                    belongs[index + 1 :, element] = True
                else:
                    noise[:, index] = column
                    arrived[index] = bool(np.any(column != 0))
                    belongs[:, layout.arrivals(index, element)] = True
            rest[belongs] = 0
            leaks += self._leaks(rest, group, places)
        offset = self._offset()
        response = Response(times, offset, noise, outputs, self.amplitude)
        return Reading(response, tuple(elements), tuple(leaks), tuple(arrived))

    def _other_count(self, count: int) -> Problem:
        """A run with impulses took another number of calls: because of the values, or of an earlier run?"""
        again = self.execute(Impulses(), same={})
        if len(again.calls) != self._calls:
            return Problem(
                "outside",
                f"the same run, made twice, calls the model {self._calls} and {len(again.calls)} times: something "
                "of an earlier run is left",
            )
        return Problem(
            "outside",
            f"the sampler called its model {count} times where the run with all-zero values had {self._calls}: "
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
        rows = self.zero.rows()
        if self.zero.is_zero:
            return np.zeros(rows.shape[0])
        largest = np.abs(rows).argmax(axis=1)
        chosen: Array = rows[np.arange(rows.shape[0]), largest]
        return chosen

    def _leaks(self, rest: Array, group: Sequence[Primitive], places: Sequence[int]) -> list[Leak]:
        """What is not zero where it should be: each row's first, traced to the primitive that fits best."""
        if not rest.any():
            return []
        constant = np.abs(self.zero.rows())
        allowed = 8 * self.precision * constant / self.amplitude
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


def times_of(run: Run) -> Array:
    """The time of each call as a number; a batch of times must agree (checked by law/times)."""
    values = []
    for call in run.calls:
        time = call.time
        if isinstance(time, torch.Tensor):
            one = time if time.numel() == 1 else time.reshape(-1)[:1]
            # A root of a negative number makes a complex time, which is no number of the model's.
            is_real = one.numel() and not one.is_complex()
            values.append(float(one.item()) if is_real else float("nan"))
        else:
            try:
                values.append(float(time))
            except (TypeError, ValueError):
                values.append(float("nan"))
    return np.array(values)
