"""Of which random numbers the draws of a case are made: runs that note the states of their generators."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.streams import Overlap, overlaps
from sampler_harness.observe.trace import OTHER_SEED, Following, Run

__all__ = ["Followed"]


@dataclass(frozen=True)
class Followed:
    """The draws of a case, followed.

    Attributes:
        zero: a run that was followed.
        execute: runs the case once more, under another stimulus.
    """

    zero: Run
    execute: Callable[..., Run]

    @functools.cached_property
    def run(self) -> Run:
        """The run that tells of which random numbers draws are made; seeds that are drawn are torch's own in it."""
        if self.zero.problem is not None or all(draw.gaussian for draw in self.zero.draws):
            return self.zero
        return self.again(Following(keep_others=True))

    def again(self, following: Following) -> Run:
        """Another run of the case whose draws are all taken for new ones.

        Args:
            following: seeds before it.
        """
        return self.execute(Impulses(), same={}, following=following)

    @functools.cached_property
    def untold(self) -> str:
        """Why it cannot be told which draws are made of the same random numbers; empty where it can."""
        for run in (self.run, *self._with_other_seeds):
            if run.problem is not None:
                return f"a run of it with real seeds goes wrong ({run.problem.message})"
            if [d.shape for d in run.draws] != [d.shape for d in self.zero.draws]:
                return "which noise it draws depends on other draws"
            if any(draw.gaussian and draw.numel and draw.stretch is None for draw in run.draws):
                return "of a generator that it draws from no state is known"
        return ""

    def overlaps(self, among: Collection[int] | None = None) -> tuple[Overlap, ...]:
        """Draws that are made of random numbers which an earlier one was made of.

        None where :attr:`untold` says why that cannot be told.

        Args:
            among: draws that count; None for all.
        """
        runs = (self.run, *self._with_other_seeds)
        shapes = [draw.shape for draw in self.zero.draws]
        if any(one.problem is not None or [draw.shape for draw in one.draws] != shapes for one in runs):
            return ()
        found = [overlaps(run.draws, among) for run in runs]
        return tuple(one for one in found[0] if all(one in others for others in found[1:]))

    @functools.cached_property
    def _with_other_seeds(self) -> tuple[Run, ...]:
        """Where seeds are drawn: once more with others, since two may be equal by chance."""
        if self.run is self.zero:
            return ()
        return (self.again(Following(keep_others=True, global_seed=OTHER_SEED, given_seed=OTHER_SEED)),)

    @functools.cached_property
    def redrawn(self) -> Mapping[int, int]:
        """Draws that are an earlier one again, number for number, to that one."""
        return {one.draw: one.earlier for one in self.overlaps() if one.whole}
