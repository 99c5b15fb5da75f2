"""Runs of a sampler of which nothing is known: its law, and what it does at large values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sampler_harness.checks.sources import are_seeds
from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.clamped import Bounds, end_clamp
from sampler_harness.law.law import Law
from sampler_harness.law.replay import innovations
from sampler_harness.law.response import Array, Response
from sampler_harness.law.same import distance
from sampler_harness.law.tolerance import PRECISIONS, tolerance_between
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.subject import Subject

__all__ = ["Observed", "observed"]

#: Where no shape is declared: room for the impulses of some hundred steps in one run.
IMAGES = (2, 3, 16, 16)
#: Times what rounding alone may carry a value of a dense run away from what the coefficients say.
SLACK = 4.0


@dataclass(frozen=True, eq=False)
class Observed:
    """A sampler's runs with one number of steps.

    Attributes:
        steps: the number that it was asked for.
        case: what was run.
        law: of small impulses.
        response: the same before noise was factored.
        dense: a run at large values; None where it cannot be made.
        fresh: row to the unit normal that it brings in, of that run.
        is_affine: whether large values do what small ones do: no clamp but at the end, no norm.
        end: what the finished sample alone is clamped to; None for nothing.
        first_bent: the row at which they first do not; None where they do.
        uneven: why its noise is not what a law tells, or its places are not alike; empty where they are.
        learned_variance: the model returns a pair.
    """

    steps: int
    case: Case
    law: Law
    response: Response
    dense: DenseRun | None
    fresh: dict[int, Array]
    is_affine: bool
    first_bent: int | None
    end: Bounds | None = None
    uneven: str = ""
    learned_variance: bool = False


def observed(subject: Subject, config: object, steps: int) -> Observed | Problem:
    """Run a sampler and read its law.

    Args:
        subject: how it is run; nothing of what it claims is asked.
        config: that it is run with.
        steps: the number of steps in it.

    Returns:
        What was seen, or why nothing could be.
    """
    shapes = subject.shapes or (IMAGES,)
    shape = max(shapes, key=lambda one: int(np.prod(one))) if subject.shapes else IMAGES
    dtype = "float32" if "float32" in subject.dtypes else subject.dtypes[0]
    case = Case(config, shape, dtype)
    bundle = Bundle(subject, case)
    if bundle.problem is not None:
        return bundle.problem
    law = bundle.law
    uneven = ""
    other = [draw.operator for draw in bundle.zero.draws if not draw.gaussian]
    if other and not are_seeds(bundle):
        uneven = f"it draws with {other[0]}, which is no normal noise"
    elif bundle.repeats or (not bundle.draws.untold and bundle.draws.overlaps()):
        uneven = "some of its noise is made of random numbers that earlier noise was made of"
    elif bundle.first.leaks or bundle.second.leaks:
        uneven = "what enters at one place arrives at others too"
    elif distance(bundle.second_law, law, tolerance_between(law, _floating(dtype))) > 1.0:
        uneven = "its weights are not the same at every place, or for values of either sign"
    dense = bundle.dense if isinstance(bundle.dense, DenseRun) else None
    bent, end = (None, None) if dense is None else _bent(bundle.first.response, dense, dtype)
    unit = PRECISIONS[dtype].unit
    fresh = {} if dense is None else innovations(bundle.first.response, dense.fields, unit)
    return Observed(
        steps=steps,
        case=case,
        law=law,
        response=bundle.first.response,
        dense=dense,
        fresh=fresh,
        is_affine=dense is not None and bent is None,
        first_bent=bent,
        end=end,
        uneven=uneven,
        learned_variance=subject.model_channels == 2,
    )


def _floating(dtype: str) -> str:
    return dtype if dtype in PRECISIONS else "float32"


def _bent(response: Response, dense: DenseRun, dtype: str) -> tuple[int | None, Bounds | None]:
    """The first row at which large values do not what the coefficients say; the clamp that is all, at the end."""
    told = response.offset[:, None] + response.noise @ dense.fields + response.outputs @ dense.outputs
    size = np.abs(response.offset)[:, None] + np.abs(response.noise) @ np.abs(dense.fields)
    size = size + np.abs(response.outputs) @ np.abs(dense.outputs)
    precision = PRECISIONS[_floating(dtype)]
    # No row is known better than the terms that rows before it were made of.
    largest = np.maximum.accumulate(size.max(axis=1, keepdims=True))
    allowed = precision.floor * size + SLACK * precision.of_steps(response.num_calls) * largest + 1e-30
    bent = (~(np.abs(dense.rows - told) <= allowed)).any(axis=1)
    if not bent.any():
        return None, None
    first = int(np.flatnonzero(bent)[0])
    bounds = end_clamp(dense.rows[-1], told[-1], allowed[-1]) if first == response.num_calls else None
    return (first, None) if bounds is None else (None, bounds)
