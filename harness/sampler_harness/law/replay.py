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

from .dense import dense_values
from .law import rounding_gain, row_echelon
from .response import Array, Response
from .rounding import rounded, rounded_like, rounding
from .tolerance import reference_response

__all__ = [
    "Replayed",
    "drawn_and_called",
    "in_order",
    "innovations",
    "is_affine",
    "matched_noise",
    "replay",
    "rows_of_draws",
    "spread_of_rows",
    "with_fresh_noise",
]


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


def in_order(
    reference: Any, shape: tuple[int, ...], outputs: Array, fields: Array, *, bits: int, tables: bool
) -> tuple[Replayed, Replayed]:
    """What the reference does with the same outputs and draws, each in its order, and what rounding does to it.

    Args:
        reference: the configuration.
        shape: of the sample.
        outputs: ``(K, numel)`` what the model answers, as many as the reference asks for.
        fields: ``(P, numel)`` the unit normals, as many as the reference draws.
        bits: of mantissa of the rounding.
        tables: round the schedule too (True), or only the sample's arithmetic (half precision: programs keep their
            tables in float32).

    Returns:
        Rows and times in float64, and the largest deviations from them under rounding, to nearest and at random.
    """

    def played(run: Any, wrap: Callable[[Array], Array]) -> Replayed | None:
        drawn = iter(fields)
        return _played(run, shape, outputs, lambda: wrap(next(drawn).reshape(shape)), wrap)

    exact = played(reference, lambda values: values)
    assert exact is not None  # it asks for as many as there are
    return exact, _spread(lambda: _rounding(reference, tables), exact, played, bits=bits)


def _played(
    program: Any,
    shape: tuple[int, ...],
    outputs: Array,
    noise: Callable[[], Array],
    wrap: Callable[[Array], Array],
    *,
    learned_variance: bool = False,
) -> Replayed | None:
    """What a program does with given outputs and draws; None where it calls its model more often than there are."""
    seen: list[Array] = []
    times: list[float] = []

    class TooManyCalls(Exception):
        pass

    def model(x: Array, time: Any) -> Any:
        call = len(seen)
        if call >= outputs.shape[0]:
            raise TooManyCalls
        seen.append(np.array(x, dtype=np.float64).reshape(-1))
        times.append(float(time))
        answer = wrap(outputs[call].reshape(shape))
        return (answer, wrap(np.full(shape, variance_value(call)))) if learned_variance else answer

    try:
        sample = program.sample(model, noise)
    except TooManyCalls:
        return None
    return Replayed(np.stack([*seen, np.array(sample, dtype=np.float64).reshape(-1)]), np.array(times))


def _rounding(reference: Any, tables: bool) -> Any:
    """What is played under rounding: the reference's own source, or only what it is handed."""
    return rounded_like(reference) if tables else reference


def _spread(
    copied: Callable[[], Any],
    exact: Replayed,
    played: Callable[[Any, Callable[[Array], Array]], Replayed | None],
    *,
    bits: int,
) -> Replayed:
    """Largest deviations of rows and times when what ``copied`` makes is played under rounding."""
    rows, times = np.zeros_like(exact.rows), np.zeros_like(exact.times)
    for seed in (None, 0, 1):
        with rounding(bits, seed), np.errstate(all="ignore"):
            found = played(copied(), rounded)
        if found is not None and found.rows.shape == exact.rows.shape:
            off = np.abs(found.rows - exact.rows)
            rows = np.fmax(rows, np.where(np.isfinite(off), off, 0.0))
            times = np.fmax(times, np.abs(found.times - exact.times))
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


def _rows_in_draws(program: Response) -> list[dict[int, float]]:
    """For each of a program's draws how much of each row's fresh noise it has.

    A row that several draws come in at (the start and the first churn) divides its noise among them as it weighs them.
    """
    rows, signs = rows_of_draws(program)
    alone = [row for row in rows if row is not None]
    if len(set(alone)) == len(alone):
        return [{} if row is None else {row: sign} for row, sign in zip(rows, signs, strict=True)]
    _, opened, rotation = row_echelon(program.noise, precision=2.0**-53, gain=rounding_gain(program.outputs))
    return [{row: float(weight) for row, weight in zip(opened, column, strict=True) if weight} for column in rotation.T]


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
    weights = _rows_in_draws(program)
    drawn = [0]

    def noise() -> Array:
        index = drawn[0]
        drawn[0] += 1
        held = [weight * fresh[row] for row, weight in weights[index].items() if row in fresh]
        if held:
            return wrap(sum(held[1:], held[0]).reshape(shape))
        return wrap(np.zeros(shape) if otherwise is None else otherwise(index).reshape(shape))

    return noise


def replay(
    program: Any,
    shape: tuple[int, ...],
    outputs: Array,
    fresh: dict[int, Array],
    *,
    learned_variance: bool = False,
    response: Response | None = None,
) -> Array | None:
    """What a program does with the same outputs and the same fresh noise.

    Args:
        program: a configuration of a reference, or an edited one.
        shape: of the sample.
        outputs: ``(K, numel)`` what the model answers.
        fresh: row to unit normal, from :func:`innovations`.
        learned_variance: the model returns a pair.
        response: of the program, which says where it draws; None for the reference's own.

    Returns:
        ``(K + 1, numel)`` rows, or None where the program calls its model more often than there are outputs.
    """
    known = reference_response(program, learned_variance) if response is None else response
    noise = matched_noise(known, shape, fresh)
    found = _played(program, shape, outputs, noise, lambda values: values, learned_variance=learned_variance)
    return None if found is None else found.rows


def is_affine(program: Any, response: Response, *, learned_variance: bool = False) -> bool:
    """Whether a program does with large values what its response, read off small impulses, says that it does.

    The square of a small impulse is nothing: it has the response of a term that was left out.

    Args:
        program: a configuration of a reference, or an edited one.
        response: of it.
        learned_variance: the model returns a pair.
    """
    size, draws = 8, response.noise.shape[1]
    fields = 3.0 * np.reshape([dense_values(0, i, size) for i in range(draws)], (draws, size))
    outputs = 3.0 * np.stack([dense_values(1, k, size) for k in range(response.num_calls)])
    drawn = iter(fields)

    def noise() -> Array:
        field: Array = next(drawn)
        return field.reshape(1, size)

    try:
        found = _played(program, (1, size), outputs, noise, lambda one: one, learned_variance=learned_variance)
    except Exception:  # an edit may raise anything
        return False
    if found is None or found.rows.shape[0] != response.num_calls + 1:
        return False
    told = response.offset[:, None] + response.noise @ fields + response.outputs @ outputs
    largest = np.abs(response.noise) @ np.abs(fields) + np.abs(response.outputs) @ np.abs(outputs)
    return bool((np.abs(found.rows - told) <= 1e-6 * largest + 1e-12).all())


def with_fresh_noise(
    reference: Any,
    shape: tuple[int, ...],
    outputs: Array,
    fresh: dict[int, Array],
    *,
    bits: int,
    tables: bool,
    learned_variance: bool = False,
) -> tuple[Array, Array] | None:
    """What the reference does with the same outputs and the same fresh noise, and what rounding does to it.

    Args:
        reference: the configuration.
        shape: of the sample.
        outputs: as for :func:`replay`.
        fresh: the same.
        bits: as for :func:`in_order`.
        tables: the same.
        learned_variance: the model returns a pair.

    Returns:
        Rows in float64 and their largest deviations under rounding; None where :func:`replay` gives none.
    """
    response = reference_response(reference, learned_variance)

    def played(run: Any, wrap: Callable[[Array], Array]) -> Replayed | None:
        noise = matched_noise(response, shape, fresh, wrap=wrap)
        return _played(run, shape, outputs, noise, wrap, learned_variance=learned_variance)

    exact = played(reference, lambda values: values)
    if exact is None:
        return None
    return exact.rows, _spread(lambda: _rounding(reference, tables), exact, played, bits=bits).rows


def spread_of_rows(
    copied: Callable[[], Any],
    rows: Array,
    shape: tuple[int, ...],
    outputs: Array,
    fresh: dict[int, Array],
    response: Response,
    *,
    bits: int,
    learned_variance: bool = False,
) -> Array:
    """What rounding does to the rows of a program that is handed outputs and fresh noise.

    Args:
        copied: makes the program in source that rounds; called while rounding is on.
        rows: ``(K + 1, numel)`` what it does without rounding.
        shape: of the sample.
        outputs: as for :func:`replay`.
        fresh: the same.
        response: of the program.
        bits: of mantissa of the rounding.
        learned_variance: the model returns a pair.

    Returns:
        ``(K + 1, numel)`` the largest deviations.
    """

    def played(run: Any, wrap: Callable[[Array], Array]) -> Replayed | None:
        noise = matched_noise(response, shape, fresh, wrap=wrap)
        return _played(run, shape, outputs, noise, wrap, learned_variance=learned_variance)

    exact = Replayed(rows, np.zeros(rows.shape[0] - 1))
    return _spread(copied, exact, played, bits=bits).rows
