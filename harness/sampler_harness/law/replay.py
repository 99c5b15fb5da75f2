"""Run the reference on a sampler's own draws and outputs: what decides where the law does not.

A clamp makes a sampler non-affine; its law then holds only where the clamp sleeps. Replay matches noise step by
step: each row's innovation (what the row's fresh noise is, as a unit normal) is handed to the reference at the step
where the reference draws.

A reference that is not affine itself (its ``is_affine`` is False: a step size from norms, say) has no law and no
innovations. Its draws are handed to it as they are, in the order in which the sampler drew them.

Context: what such a sampler does with one draw depends on the others, so that no impulse can be followed; most programs
draw where their paper does, some hold a draw ready a line earlier. Choice: pair draws by their order alone; where the
numbers differ, noise that reaches nothing is left out first. Reversed by: a program that is sound and draws ahead in
another order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.observe.learned_variance import variance_value

from .law import rounding_gain, row_echelon
from .response import Array, Response
from .rounding import rounded, rounded_like, rounding
from .tolerance import reference_response

__all__ = [
    "Replayed",
    "drawn_and_called",
    "innovations",
    "is_affine",
    "matched_noise",
    "replay",
    "replay_in_order",
    "replay_spread",
    "rows_of_draws",
    "spread_in_order",
]


def is_affine(config: Any) -> bool:
    """Whether a reference's configuration has a law: all do that do not say otherwise."""
    return bool(config.is_affine)


@dataclass(frozen=True)
class Replayed:
    """What a reference did with given draws and outputs.

    Attributes:
        rows: ``(K + 1, numel)`` model inputs and sample.
        times: ``(K,)`` what it told its model.
    """

    rows: Array
    times: Array


@functools.lru_cache(maxsize=512)
def drawn_and_called(reference: Any) -> tuple[tuple[int, ...], int]:
    """For each draw of a reference the number of model calls before it, and the number of all calls.

    Args:
        reference: a configuration whose control flow does not depend on values.
    """
    places: list[int] = []
    calls = [0]
    values = np.array([[1.0, -2.0, 0.5]])

    def noise() -> Array:
        places.append(calls[0])
        return values.copy()

    def model(x: Array, time: Any) -> Array:
        calls[0] += 1
        return values[:, ::-1].copy()

    reference.sample(model, noise)
    return tuple(places), calls[0]


def replay_in_order(
    reference: Any,
    shape: tuple[int, ...],
    outputs: Array,
    fields: Array,
    *,
    wrap: Callable[[Array], Array] = lambda values: values,
    run: Any = None,
) -> Replayed:
    """What the reference does with the same outputs and the same draws, each in its order.

    Args:
        reference: the configuration.
        shape: of the sample.
        outputs: ``(K, numel)`` what the model answers, as many as the reference asks for.
        fields: ``(P, numel)`` the unit normals, as many as the reference draws.
        wrap: applied to every array handed in.
        run: what to run instead of ``reference``, its rounding copy.
    """
    drawn = iter(fields)
    seen: list[Array] = []
    times: list[float] = []

    def model(x: Array, time: Any) -> Array:
        seen.append(np.array(x, dtype=np.float64).reshape(-1))
        times.append(float(time))
        return wrap(outputs[len(seen) - 1].reshape(shape))

    sample = (run or reference).sample(model, lambda: wrap(next(drawn).reshape(shape)))
    return Replayed(np.stack([*seen, np.array(sample, dtype=np.float64).reshape(-1)]), np.array(times))


def spread_in_order(
    reference: Any, shape: tuple[int, ...], outputs: Array, fields: Array, exact: Replayed, *, bits: int, tables: bool
) -> Replayed:
    """Largest deviations of rows and times under rounding, to nearest and at random.

    Args:
        reference: the configuration.
        shape: of the sample.
        outputs: what the model answers.
        fields: the unit normals.
        exact: what the reference does in float64.
        bits: of mantissa of the rounding.
        tables: round the schedule too, or only the sample's arithmetic (half precision).
    """
    rows, times = np.zeros_like(exact.rows), np.zeros_like(exact.times)
    for seed in (None, 0, 1):
        with rounding(bits, seed), np.errstate(all="ignore"):
            run = rounded_like(reference) if tables else None
            again = replay_in_order(reference, shape, outputs, fields, wrap=rounded, run=run)
        off = np.abs(again.rows - exact.rows)
        rows = np.fmax(rows, np.where(np.isfinite(off), off, 0.0))
        times = np.fmax(times, np.abs(again.times - exact.times))
    return Replayed(rows, times)


def innovations(response: Response, fields: Array, precision: float) -> dict[int, Array]:
    """The unit normal that each row brings in, from the sampler's own coefficients and drawn fields.

    Args:
        response: measured coefficients.
        fields: ``(P, numel)`` the drawn unit normals.
        precision: unit roundoff of the measurement.

    Returns:
        Row to field, for every row that opens a column of L.
    """
    _, opened, rotation = row_echelon(response.noise, precision=precision, gain=rounding_gain(response.outputs))
    return {row: rotation[i] @ fields for i, row in enumerate(opened)}


def rows_of_draws(response: Response) -> tuple[list[int | None], list[float]]:
    """For each of a program's draws the row that it opens (None where it never arrives) and its sign.

    Args:
        response: of the program.
    """
    rows: list[int | None] = []
    signs: list[float] = []
    for column in response.noise.T:
        nonzero = np.flatnonzero(column)
        rows.append(int(nonzero[0]) if nonzero.size else None)
        signs.append(float(np.sign(column[nonzero[0]])) if nonzero.size else 1.0)
    return rows, signs


def matched_noise(
    program: Response,
    shape: tuple[int, ...],
    fresh: dict[int, Array],
    *,
    wrap: Callable[[Array], Array] = lambda values: values,
    otherwise: Callable[[int], Array] | None = None,
) -> Callable[[], Array]:
    """What a program draws, so that each row of it gets the noise that the same row of another program got.

    Args:
        program: the response of the program that draws.
        shape: of the sample.
        fresh: row to unit normal, from :func:`innovations`.
        wrap: applied to every array handed in.
        otherwise: given a draw's index, the noise of a draw that the other program has no counterpart of; None for
            zeros.
    """
    rows, signs = rows_of_draws(program)
    drawn = [0]

    def noise() -> Array:
        index = drawn[0]
        drawn[0] += 1
        row = rows[index]
        if row is not None and row in fresh:
            return wrap(signs[index] * fresh[row].reshape(shape))
        return wrap(np.zeros(shape) if otherwise is None else otherwise(index).reshape(shape))

    return noise


def replay(
    reference: Any,
    shape: tuple[int, ...],
    outputs: Array,
    fresh: dict[int, Array],
    *,
    learned_variance: bool = False,
    wrap: Callable[[Array], Array] = lambda values: values,
    run: Any = None,
    response: Response | None = None,
) -> Array | None:
    """What the reference does with the same outputs and the same fresh noise.

    Args:
        reference: the configuration, for knowing where it draws.
        shape: of the sample.
        outputs: ``(K, numel)`` what the model answers.
        fresh: row to unit normal, from :func:`innovations`.
        learned_variance: the model returns a pair.
        wrap: applied to every array handed in.
        run: what to run instead of ``reference`` (its rounding copy, or an edited program).
        response: of what is run, where that does not draw as ``reference`` does.

    Returns:
        ``(K + 1, numel)`` rows, or None where the reference calls its model more often than there are outputs.
    """
    program = reference_response(reference, learned_variance) if response is None else response
    noise = matched_noise(program, shape, fresh, wrap=wrap)
    seen: list[Array] = []

    class TooManyCalls(Exception):
        pass

    def model(x: Array, time: Any) -> Any:
        call = len(seen)
        if call >= outputs.shape[0]:
            raise TooManyCalls
        seen.append(np.array(x, dtype=np.float64).reshape(-1))
        answer = wrap(outputs[call].reshape(shape))
        return (answer, wrap(np.full(shape, variance_value(call)))) if learned_variance else answer

    try:
        sample = (run or reference).sample(model, noise)
    except TooManyCalls:
        return None
    return np.stack([*seen, np.array(sample, dtype=np.float64).reshape(-1)])


def replay_spread(
    reference: Any,
    shape: tuple[int, ...],
    outputs: Array,
    fresh: dict[int, Array],
    exact: Array,
    *,
    bits: int,
    tables: bool,
    learned_variance: bool = False,
) -> Array:
    """Largest deviation of the replayed rows under rounding, to nearest and at random.

    Args:
        reference: the configuration.
        shape: of the sample.
        outputs: what the model answers.
        fresh: row to unit normal.
        exact: the rows in float64.
        bits: of mantissa of the rounding.
        tables: round the schedule too (True), or only the sample's arithmetic (half precision: programs keep
            their tables in float32).
        learned_variance: the model returns a pair.
    """
    spread = np.zeros_like(exact)
    for seed in (None, 0, 1):
        with rounding(bits, seed), np.errstate(all="ignore"):
            run = rounded_like(reference) if tables else None
            rows = replay(reference, shape, outputs, fresh, learned_variance=learned_variance, wrap=rounded, run=run)
        if rows is not None and rows.shape == exact.shape:
            difference = np.abs(rows - exact)
            spread = np.fmax(spread, np.where(np.isfinite(difference), difference, 0.0))
    return spread
