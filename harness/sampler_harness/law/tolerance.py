"""How far an entry of a law may be off: derived from rounding, with a floor.

The tolerance of an entry is the larger of a floor (2.5e-4 of the entry in float32) and three times what rounding
does to it: the spread of the reference's own source under randomised rounding, and its deviation when evaluated
plainly in the declared precision. Added is 32 ulp of the row's largest entry, for entries that are zero by algebra.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .law import Law
from .response import Array, Reference, Response, respond_reference
from .rounding import rounded, rounded_like, rounding

__all__ = [
    "PRECISIONS",
    "Precision",
    "Tolerance",
    "derived_tolerance",
    "is_half",
    "reference_law",
    "reference_response",
    "time_tolerance",
    "tolerance_between",
    "tolerance_of",
]


@dataclass(frozen=True)
class Precision:
    """What a dtype's arithmetic can do.

    Attributes:
        bits: of mantissa, the hidden one included.
        floor: relative tolerance below which no entry's tolerance goes.
        flagged: relative deviation that must be flagged; wider tolerances are counted in the verdict.
    """

    bits: int
    floor: float
    flagged: float

    @property
    def unit(self) -> float:
        """Unit roundoff."""
        return float(2.0**-self.bits)

    @property
    def is_half(self) -> bool:
        """Whether it has fewer digits than float32: so few that a multiple of its roundoff soon is everything."""
        return self.bits < 24

    def off(self, ulp: float, in_half: float) -> float:
        """A relative deviation that rounding may make.

        Args:
            ulp: times the roundoff, in a wide dtype.
            in_half: the same in half precision.
        """
        return (in_half if self.is_half else ulp) * self.unit

    @property
    def of_a_step(self) -> float:
        """What the roundings of one step come to: all in one direction; in half precision as a walk, or it is all."""
        return self.off(ROUNDINGS, ROUNDINGS**0.5)

    def of_steps(self, calls: int) -> float:
        """What the roundings of many steps come to, as a walk: each goes in a direction of its own.

        Args:
            calls: of the model; the sample is one more row.
        """
        return float((ROUNDINGS * (1 + calls)) ** 0.5 * self.unit)


#: Roundings of a step that has most of them, Heun's with a network inside: c_skip x + c_out F (3), (x - D) / sigma (2)
#: and x + dt d (2), twice, and the mean of two slopes (2).
ROUNDINGS = 16
#: ulp of a row's largest entry by which one may be off that is 0 by algebra: it is left of terms that two steps made.
ZERO_ULP = 2 * ROUNDINGS
#: float64 promises a thousandth of float32's: what is off by 1e-6 is flagged.
PRECISIONS = {
    "float64": Precision(53, 2.5e-7, 1e-6),
    "float32": Precision(24, 2.5e-4, 1e-3),
    "float16": Precision(11, 2.0**-9, 2.0**-7),
    "bfloat16": Precision(8, 2.0**-6, 2.0**-4),
}


def is_half(dtype: str) -> bool:
    """Whether a tensor's dtype, whatever it is, is a half-precision float.

    Args:
        dtype: its name, with or without ``torch.`` in front.
    """
    precision = PRECISIONS.get(dtype.removeprefix("torch."))
    return precision is not None and precision.is_half


#: Random roundings of the reference; the largest deviation among them stands for "the spread".
RANDOM_ROUNDINGS = 6
#: How many more where rounding moves an entry by 0.1 %.
MORE_ROUNDINGS = 18
#: Model calls over which a short run is rounded at random, run after run.
SHORT_RUN = 48
#: Steps before and after over which the rounding of fresh noise is alike.
NEIGHBORS = 3
#: Times what rounding does: the margin between one implementation's rounding and another's.
SAFETY = 3.0
#: In half precision: ulp of the terms that a form of a step may make of an output.
TERM_ULP = 3.0
#: Entries below this share of their row's largest are zero by algebra.
NEGLIGIBLE_ENTRY = 1e-6


@dataclass(frozen=True)
class Tolerance:
    """Absolute tolerances of a law's entries, and how many are wide.

    Attributes:
        times: ``(K,)``.
        outputs: ``(K + 1, K)``.
        factor: ``(K + 1, C)``.
        offset: ``(K + 1,)``.
        wide: number of entries of B and L whose tolerance is above what is promised to be flagged.
        widest: the largest relative tolerance where some are wide, and which entry has it.
        entries: number of entries that are not zero.
    """

    times: Array
    outputs: Array
    factor: Array
    offset: Array
    wide: int
    widest: tuple[float, str]
    entries: int


def time_tolerance(times: Array) -> Array:
    """Larger of 1e-5 of a time and 1e-4 of the spacing around it; times that are integers must be exact.

    Args:
        times: ``(K,)`` the reference's times.
    """
    if times.size and bool(np.all(times == np.rint(times))):
        # Half a unit would accept a rounded neighbour; a float32 that holds an integer holds it exactly.
        return np.full(times.shape, 1e-6)
    distinct = np.unique(times)
    gaps = np.diff(distinct)
    spacing = np.zeros(times.shape)
    if gaps.size:
        place = np.searchsorted(distinct, times)
        left = gaps[np.clip(place - 1, 0, gaps.size - 1)]
        right = gaps[np.clip(place, 0, gaps.size - 1)]
        spacing = np.minimum(left, right)
    # A time stepped by less than its own rounding cannot ask for more than that.
    return np.maximum(np.maximum(1e-5 * np.abs(times), 1e-4 * spacing), 1e-9)


@functools.lru_cache(maxsize=512)
def reference_response(reference: Any, learned_variance: bool = False) -> Response:
    """The response of a reference in float64; remembered, since configurations are hashable."""
    sampler: Reference = reference
    return respond_reference(sampler, learned_variance=learned_variance)


@functools.lru_cache(maxsize=512)
def reference_law(reference: Any, learned_variance: bool = False) -> Law:
    """The law of a reference in float64."""
    return Law.of(reference_response(reference, learned_variance))


def _counts(reference: Any, learned_variance: bool) -> tuple[int, int]:
    response = reference_response(reference, learned_variance)
    return response.noise.shape[1], response.num_calls


def _rounding_deviation(
    copied: Callable[[], Any], counts: tuple[int, int], law: Law, bits: int, learned_variance: bool
) -> tuple[Array, Array, Array, Array]:
    """Largest deviation of T, B, L and m over plain evaluation and random roundings of a sampler's source.

    Args:
        copied: makes the sampler in source that rounds; made anew for each rounding, since it may keep its tables.
        counts: its draws and calls.
        law: of it, in float64.
        bits: of mantissa.
        learned_variance: the model returns a pair.
    """
    times = np.zeros_like(law.times)
    outputs = np.zeros_like(law.outputs)
    factor = np.zeros_like(law.factor)
    offset = np.zeros_like(law.offset)
    # Bit patterns of a long chain repeat their lesson: fewer roundings keep the cost in bounds.
    # A run of a few steps has so few of them that they may all be lucky, and is run again for next to nothing.
    roundings = RANDOM_ROUNDINGS if law.num_calls <= 60 else 3 if law.num_calls <= 200 else 1
    roundings = max(roundings, SHORT_RUN // max(law.num_calls, 1))
    seeds: list[int | None] = [None, *range(roundings)]
    for seed in seeds:
        with rounding(bits, seed), np.errstate(all="ignore"):
            response = respond_reference(copied(), learned_variance=learned_variance, wrap=rounded, counts=counts)
        if response.outputs.shape != law.outputs.shape or not np.isfinite(response.outputs).all():
            continue
        times = np.fmax(times, np.abs(response.times - law.times))
        outputs = np.fmax(outputs, np.abs(response.outputs - law.outputs))
        offset = np.fmax(offset, np.abs(response.offset - law.offset))
        perturbed = Law.of(response, precision=2.0**-bits)
        for index, row in enumerate(law.opened):
            factor[:, index] = np.fmax(factor[:, index], np.abs(perturbed.column(row) - law.factor[:, index]))
        if seed == roundings - 1 and roundings >= RANDOM_ROUNDINGS and bits == 24 and _is_coarse(outputs, factor, law):
            seeds += range(roundings, roundings + MORE_ROUNDINGS)
    return times, outputs, np.fmax(factor, _among_neighbors(factor, law)), offset


def _is_coarse(outputs: Array, factor: Array, law: Law) -> bool:
    """Whether rounding moves an entry so far that it has a few values alone, all of which a few roundings may miss.

    sigma_next^2 - sigma_up^2 behind a level of 4096 is 17 spacings of float32, or 16, or 19.
    """
    off, entries = np.concatenate([outputs, factor], axis=1), np.abs(np.concatenate([law.outputs, law.factor], axis=1))
    counts = entries > NEGLIGIBLE_ENTRY * entries.max(axis=1, initial=0.0, keepdims=True)
    return bool((off > PRECISIONS["float32"].flagged * entries)[counts].any())


def _among_neighbors(factor: Array, law: Law) -> Array:
    """Spread of a column as its neighbors in time have it: a few roundings may all have been lucky at one step.

    The strength of a step's fresh noise is rounded alike at the steps around it, and carried through its column.
    """
    result = np.zeros_like(factor)
    strength = np.array([law.factor[row, c] for c, row in enumerate(law.opened)])
    relative = np.array([factor[row, c] for c, row in enumerate(law.opened)]) / np.where(strength == 0, 1.0, strength)
    for c in range(1, strength.size):
        near = float(relative[max(1, c - NEIGHBORS) : c + NEIGHBORS + 1].max())
        result[:, c] = near * np.abs(law.factor[:, c])
    return result


@functools.lru_cache(maxsize=512)
def tolerance_of(reference: Any, dtype: str, learned_variance: bool = False) -> Tolerance:
    """Tolerances of a reference's law in a declared precision.

    Args:
        reference: a configuration.
        dtype: name of the precision that the sampler declares.
        learned_variance: the model returns a pair.
    """
    law = reference_law(reference, learned_variance)
    counts = _counts(reference, learned_variance)

    def copied() -> Any:
        # In half precision programs keep their tables in float32: the sample's arithmetic alone rounds.
        return reference if PRECISIONS[dtype].is_half else rounded_like(reference)

    return derived_tolerance(law, dtype, copied, counts, learned_variance=learned_variance, reference=reference)


def derived_tolerance(
    law: Law,
    dtype: str,
    copied: Callable[[], Any],
    counts: tuple[int, int],
    *,
    learned_variance: bool = False,
    reference: Any = None,
) -> Tolerance:
    """Tolerances of the law of any program whose source can be run in arithmetic that rounds.

    Args:
        law: of the program, in float64.
        dtype: name of the precision.
        copied: makes the program in source that rounds; called while rounding is on.
        counts: its draws and calls.
        learned_variance: the model returns a pair.
        reference: the configuration, for the forms that published programs give its update.
    """
    precision = PRECISIONS[dtype]
    spread_times = np.zeros_like(law.times)
    spread_outputs = np.zeros_like(law.outputs)
    spread_factor = np.zeros_like(law.factor)
    spread_offset = np.zeros_like(law.offset)
    if dtype != "float64":  # in float64 what rounding does is far below the floor
        # What cannot be run in arithmetic that rounds keeps the floor; wide entries cannot be known.
        with contextlib.suppress(ValueError if reference is None or _is_ours(reference) else Exception):
            spread_times, spread_outputs, spread_factor, spread_offset = _rounding_deviation(
                copied, counts, law, precision.bits, learned_variance
            )
        tables = PRECISIONS["float32"] if precision.is_half else precision
        if reference is not None:
            forms = [reference.spread_of_time(float(time), tables.unit) for time in law.times]
            spread_times = np.maximum(spread_times, forms)
        form = None if reference is None else reference.spread_of_forms(tables.unit)
        if form is not None and form.size == law.num_calls + 1:
            spread_outputs = np.maximum(spread_outputs, form[:, None] * np.abs(law.outputs))
            spread_factor = np.maximum(spread_factor, form[:, None] * np.abs(law.factor))
            spread_offset = np.maximum(spread_offset, form * np.abs(law.offset))
    tolerance = _assemble(law, precision, spread_outputs, spread_factor)
    # No reference has a constant: this is 0 but for a program that has one, such as one that clamps data to a number.
    return replace(
        tolerance,
        times=np.maximum(tolerance.times, SAFETY * spread_times),
        offset=np.maximum(tolerance.offset, SAFETY * spread_offset),
    )


def _is_ours(reference: Any) -> bool:
    return type(reference).__module__.startswith("reference_samplers.")


def tolerance_between(law: Law, dtype: str) -> Tolerance:
    """Tolerances where the reference is itself a measured law: the floor, and ulp of the row.

    In half precision each step rounds by about as much as the floor: what a walk of so many roundings does is added.
    """
    precision = PRECISIONS[dtype]
    walk = precision.unit * np.sqrt(1.0 + law.num_calls) if precision.is_half else 0.0
    return _assemble(law, precision, walk * np.abs(law.outputs), walk * np.abs(law.factor))


def _formed_from(entries: Array, law: Law) -> Array:
    """Size of the terms whose sum an entry is: what it was one and two calls before, times what those calls weigh.

    ``(x - D) / sigma`` times a step is the small difference of large numbers; it rounds like the large ones.
    """
    size = np.zeros_like(entries)
    for back in (1, 2):
        before = np.abs(entries[:-back])
        weight = np.array([abs(law.outputs[k, k - back]) for k in range(back, entries.shape[0])])
        size[back:] = np.maximum(size[back:], np.maximum(1.0, weight)[:, None] * before)
    return size


def _ulp_in_half(law: Law, precision: Precision) -> Array:
    """What entries may be off by in half precision beside what rounding does to the reference's own form.

    Context: 32 ulp of a row's largest entry are nothing in float32, and an eighth of it in bfloat16. Choice: an impulse
    stands at a place of its own and rounds by its own size; a new output's size is that of the terms that other forms
    of a step make of it, x0 and epsilon, which are about 1 times what the step does to x; it is carried on as x is. The
    draws of a row may be mixed: one ulp of its noise. Reversed by: a sound sampler in half precision that rounds more.
    """
    calls, state = law.outputs.shape[1], np.abs(law.column(0))
    gains = np.divide(state[1:], state[:-1], out=np.ones(calls), where=state[:-1] > 0)
    least = ZERO_ULP * PRECISIONS["float32"].unit * np.abs(law.outputs).max(initial=1.0)
    outputs = np.zeros_like(law.outputs)
    for row in range(1, calls + 1):
        outputs[row] = gains[row - 1] * outputs[row - 1]
        outputs[row, row - 1] = TERM_ULP * precision.unit * max(1.0, gains[row - 1])
    noise = precision.unit * np.abs(law.factor).max(axis=1, initial=0.0, keepdims=True)
    return np.concatenate([np.maximum(outputs, least), np.broadcast_to(noise, law.factor.shape)], axis=1)


def _assemble(law: Law, precision: Precision, spread_outputs: Array, spread_factor: Array) -> Tolerance:
    everything = np.concatenate([law.outputs, law.factor], axis=1)
    spread = np.concatenate([spread_outputs, spread_factor], axis=1)
    largest = np.abs(everything).max(axis=1, initial=0.0, keepdims=True)
    # In half precision the order of operations is most of the rounding.
    relative = np.maximum(precision.floor * np.abs(everything), (2 if precision.is_half else 1) * SAFETY * spread)
    rows = _ulp_in_half(law, precision) if precision.is_half else ZERO_ULP * precision.unit * largest
    total = relative + rows + precision.of_a_step * _formed_from(everything, law)
    nonzero = np.abs(everything) > NEGLIGIBLE_ENTRY * largest
    share = np.divide(relative, np.abs(everything), out=np.zeros_like(relative), where=nonzero)
    wide = int((share > precision.flagged).sum())
    widest = 0.0, ""
    if wide:
        row, column = (int(i) for i in np.unravel_index(int(share.argmax()), share.shape))
        calls = law.outputs.shape[1]
        name = f"B[{row}, {column}]" if column < calls else f"L[{row}, {law.opened[column - calls]}]"
        widest = float(share[row, column]), name
    calls = law.outputs.shape[1]
    scale = np.abs(everything).max(initial=1.0)
    return Tolerance(
        times=time_tolerance(law.times),
        outputs=total[:, :calls],
        factor=total[:, calls:],
        offset=precision.off(ZERO_ULP, ROUNDINGS**0.5) * np.maximum(largest[:, 0], min(scale, 1.0)),
        wide=wide,
        widest=widest,
        entries=int(nonzero.sum()),
    )
