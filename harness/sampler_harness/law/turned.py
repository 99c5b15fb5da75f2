"""Noise in half precision that comes in by draws which earlier rows hold already: a Brownian path's, say.

Where each step draws for itself, an impulse shows its noise to as many digits as the dtype has, however large the state
beside it. A path is drawn from its ends inward: each step's increment is a difference of draws that the step before has
too. Read off the impulses it is a small difference of large numbers, and in half precision nothing is left of it.

Context: 0.002 of fresh noise under a state of 14, whose rounding is 0.05. Choice: read along other axes. Draws are
given together such that all that is known of the rows cancels (a null vector of the measured coefficients): the state
is then next to nothing, and what a row holds is new to it, with nearly all its digits. Noise does not care for a
rotation of its draws. What rounding leaves of what should cancel says how well each row was read. Reversed by: a dtype
in which tables of noise are kept in float32.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sampler_harness.observe.layout import Layout
from sampler_harness.observe.probes import Impulses, scattered
from sampler_harness.observe.trace import Run

from .law import ROUNDING_ULP_IN_HALF, Turned, rounding_gain, row_echelon
from .response import Array, Response

__all__ = ["turned"]

#: Runs that one turn may take, of a sample of few elements.
MOST_RUNS = 16


def turned(
    response: Response, layout: Layout, execute: Callable[[Impulses], Run], zero: Run, *, unit: float, phase: int
) -> Turned | None:
    """The noise of a program along axes of which none is a small difference.

    What is found to be new to a row cancels in the next turn, so that still less stands beside what is left.

    Args:
        response: as measured in half precision.
        layout: how draws make fields.
        execute: runs the case once more.
        zero: the run at zero.
        unit: unit roundoff.
        phase: of the scattering of impulses.

    Returns:
        None where no row can hold noise of earlier draws.
    """
    arriving = np.flatnonzero(np.abs(response.noise).max(axis=0, initial=0.0) > 0)
    sure, gain = ROUNDING_ULP_IN_HALF * unit, np.maximum(1.0, rounding_gain(response.outputs))
    noise, axes = response.noise[:, arriving], np.eye(response.noise.shape[1])[arriving]
    factor, opened, basis = row_echelon(noise, precision=unit, gain=gain)
    if basis.shape[0] == arriving.size:
        return None
    for _ in range(response.num_calls + 2):
        turns = np.linalg.svd(basis)[2]
        turns[: basis.shape[0]] = basis
        axes = turns @ axes
        along = _along(axes, response, layout, execute, zero, phase=phase)
        if along is None:
            return _unread(response, factor, opened, gain, unit)
        left = sure * (np.abs(response.noise) @ np.abs(axes).T + gain[:, None] * _before(along, itself=False))
        seen = np.where(np.abs(along) <= left, 0.0, along)
        # Each axis is to be next to nothing in all rows before its own, and those that no row opens in all rows.
        early = np.arange(along.shape[0])[:, None] < np.array([*opened, *[along.shape[0]] * (len(axes) - len(opened))])
        if not (seen * early).any():
            break
        factor, opened, basis = row_echelon(seen, precision=unit, gain=gain, off=left)
    else:
        return _unread(response, factor, opened, gain, unit)
    count = len(opened)
    own = np.where(early[:, :count], 0.0, along[:, :count])
    own *= np.sign([own[row, column] or 1.0 for column, row in enumerate(opened)])
    return Turned(own, opened, _hidden(own, opened, np.linalg.norm(np.where(early, left, 0.0), axis=1)))


def _unread(response: Response, factor: Array, opened: tuple[int, ...], gain: Array, unit: float) -> Turned:
    """As read from the draws, where nothing more can be: what a row has of earlier draws may be anything below that."""
    left = ROUNDING_ULP_IN_HALF * unit * gain[:, None] * _before(response.noise, itself=True)
    return Turned(factor, opened, _hidden(factor, opened, np.linalg.norm(left, axis=1)))


def _hidden(factor: Array, opened: tuple[int, ...], left: Array) -> Array:
    """How far fresh noise may be off by noise that is not seen: it adds as independent noise does."""
    fresh = np.zeros(factor.shape[0])
    for column, row in enumerate(opened):
        fresh[row] = factor[row, column]
    found: Array = np.hypot(fresh, left) - fresh
    return found


def _before(coefficients: Array, *, itself: bool) -> Array:
    """The largest size of each entry over the last two rows, and the row itself."""
    sizes, found = np.abs(coefficients), np.zeros_like(coefficients)
    for row in range(sizes.shape[0]):
        found[row] = sizes[max(0, row - 2) : row + itself].max(axis=0, initial=0.0)
    return found


def _along(
    cancelling: Array, response: Response, layout: Layout, execute: Callable[[Impulses], Run], zero: Run, *, phase: int
) -> Array | None:
    """``(K + 1, D)`` what each row holds where draws are given together in these proportions; None where it fails."""
    room = max(1, layout.size // 2)
    if layout.shared or layout.missing or len(cancelling) > room * MOST_RUNS:
        return None
    found = np.zeros((response.num_calls + 1, len(cancelling)))
    for start in range(0, len(cancelling), room):
        group = cancelling[start : start + room]
        stimulus = Impulses()
        places = scattered(len(group), layout.size, phase)
        for direction, element in zip(group, places, strict=True):
            for field, share in enumerate(direction.tolist()):
                drawn = layout.place(field, element)
                if share and drawn is not None:
                    value = layout.sign(field, element) * share * response.amplitude
                    stimulus.draws.setdefault(drawn[0], []).append((drawn[1], value))
        run = execute(stimulus)
        if run.problem is not None or len(run.calls) != response.num_calls:
            return None
        found[:, start : start + len(group)] = (run.rows() - zero.rows())[:, places] / response.amplitude
    return found
