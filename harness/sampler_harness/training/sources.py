"""What the draws of one step come from: whether the given generator feeds them, and whether items share their noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sampler_harness.observe.streams import overlaps
from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import GENERATOR_SEED, OTHER_SEED, Following

from .probing import Chosen, StepRun, run_step
from .times import Runner

__all__ = ["NOTHING_ASKED", "Sources", "sources_of"]


@dataclass(frozen=True)
class Sources:
    """What draws come from.

    Attributes:
        not_fed: indices of draws whose generator is in the same state whatever the given one's seed is.
        alike: a draw of one item's size and an earlier one, of another item, that are made of one state.
    """

    not_fed: tuple[int, ...] = ()
    alike: tuple[int, int] | None = None


NOTHING_ASKED = Sources()


def sources_of(run: Runner, first: StepRun) -> Sources:
    """Run a step again where there is something to ask, its draws noted as torch makes them.

    Args:
        run: of the case.
        first: a run of it.
    """
    items = run.case.shape[0]
    of_one = [i for i, d in enumerate(first.draws) if d.gaussian and d.numel * items == np.prod(run.case.shape)]
    several = items > 1 and len(of_one) > 1
    if not several and not run.subject.takes_generator:
        return NOTHING_ASKED
    drawn = _drawn(run, Following(keep_others=True))
    other = _drawn(run, Following(keep_others=True, given_seed=OTHER_SEED)) if run.subject.takes_generator else []
    not_fed = [i for i, (one, two) in enumerate(zip(drawn, other, strict=False)) if _is_alike(one, two)]
    return Sources(tuple(not_fed), _alike(drawn, of_one, items) if several else None)


def _drawn(run: Runner, following: Following) -> list[Draw]:
    """The draws of a run at real times, which may fail for reasons that other checks tell."""
    run.runs += 1
    return run_step(
        run.subject, run.case, Chosen(np.zeros(run.case.shape), following=following), fixtures=run.fixtures
    ).draws


def _is_alike(one: Draw, two: Draw) -> bool:
    if one.stretch is None or two.stretch is None:
        return one.generator_seed != GENERATOR_SEED
    return one.stretch.before == two.stretch.before


def _alike(drawn: list[Draw], of_one: list[int], items: int) -> tuple[int, int] | None:
    """Two draws that are one, where items are drawn one after the other and the two are of different items.

    What is drawn for the same item again, for a second call of the model say, may be meant.
    """
    place = {index: number % items for number, index in enumerate(of_one)}
    for one in overlaps(drawn, of_one):
        if one.whole and place[one.draw] != place[one.earlier]:
            return one.draw, one.earlier
    return None
