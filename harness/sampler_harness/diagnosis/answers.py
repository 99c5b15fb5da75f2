"""Answers: explanations that have one law, together, the simplest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.law.response import Array
from sampler_harness.law.same import alike

from .explanation import KINDS, Explanation
from .observation import Observation

__all__ = ["Answer", "grouped", "laws_of", "rank", "same_laws"]

#: Fields that stand for a line of the algorithm rather than for what a user chooses.
_LEFT_OUT = frozenset({"initial_scale", "sigmas", "times", "betas", "timesteps", "time_scale"})
#: Laws whose entries differ by less, as a share of the entry, are one where a number in them was solved for.
FITTED = 1e-3
#: The same of entries next to the largest.
NEGLIGIBLE = 1e-6
#: Variants of one answer that are kept.
VARIANTS = 40


@dataclass
class Answer:
    """Explanations that have one law in every case that was looked at.

    Attributes:
        variants: the simplest first.
        laws: their common law, case by case.
    """

    variants: list[Explanation]
    laws: list[Array]

    @property
    def first(self) -> Explanation:
        """The simplest."""
        return self.variants[0]


def laws_of(explanation: Explanation, targets: Sequence[Observation]) -> list[Array]:
    """Its law in each case, with what it clamps, as one row of numbers; empty where it has none.

    Args:
        explanation: what is asked.
        targets: the cases.
    """
    return [target.vector(explanation) for target in targets]


def same_laws(one: Sequence[Array], other: Sequence[Array]) -> bool:
    """Whether two explanations have one law in every case.

    Args:
        one: from :func:`laws_of`.
        other: from :func:`laws_of`, of the same cases.
    """
    return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))


def grouped(fitting: Sequence[Explanation], targets: Sequence[Observation]) -> list[Answer]:
    """Explanations with one law, together.

    Args:
        fitting: all that explain every case.
        targets: the cases.
    """
    answers: list[Answer] = []
    for one in sorted(fitting, key=rank):
        laws = laws_of(one, targets)
        same = next((answer for answer in answers if _is_one(answer, one, laws)), None)
        if same is None:
            answers.append(Answer([one], laws))
        elif len(same.variants) < VARIANTS:
            same.variants.append(one)
    return answers


def _is_one(answer: Answer, one: Explanation, laws: Sequence[Array]) -> bool:
    """Whether an explanation has an answer's law; what has a solved number in it is known to the tolerance alone."""
    if not (one.digits or answer.first.digits):
        return same_laws(answer.laws, laws)
    return len(laws) == len(answer.laws) and all(_close(a, b) for a, b in zip(answer.laws, laws, strict=True))


def _close(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    size = np.abs(one)
    allowed = FITTED * size + NEGLIGIBLE * float(size.max(initial=0.0))
    return bool((np.abs(one - other) <= allowed).all())


def rank(one: Explanation) -> tuple[Any, ...]:
    """Simplest first: one change before two, what a user declares before what is known, known before any edit.

    Args:
        one: of the explanations with one law.
    """
    changes = 2 if one.kind == "pair" or (one.kind == "configuration" and len(one.fields) > 1) else 1
    # An option that people leave out says less than the line that is wrong.
    left_out = one.kind == "configuration" and set(one.fields) <= _LEFT_OUT
    order = KINDS.index("edit") + 0.5 if left_out else float(KINDS.index(one.kind))
    return (
        changes,
        one.where is not None,
        bool(one.form),
        order,
        bool(one.digits),
        -len(one.faults),
        one.size,
        one.digits,
    )
