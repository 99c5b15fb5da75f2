"""What the checks of a training step look at: its cases and their laws, measured once, shared by all."""

from __future__ import annotations

import functools

import numpy as np

from sampler_harness.cases import CoveringSet, covering_set
from sampler_harness.evidence import AnyEvidence
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.trace import Case
from sampler_harness.strategies import drawn_configurations
from sampler_harness.subject.training import TrainingSubject
from sampler_harness.verdict import Coverage, Finding

from .law import StepLaw, measure

__all__ = ["TrainingEvidence"]

#: Where shapes are not declared: batches equal to and different from channels, height and width; odd; one item.
IMAGE_SHAPES: tuple[tuple[int, ...], ...] = ((4, 3, 8, 8), (3, 3, 3, 3), (5, 1, 7, 5), (1, 2, 4, 6), (4, 2, 4, 8))
#: Configurations at most, by budget.
MOST = {"quick": 14, "standard": 80, "thorough": 600}


class TrainingEvidence(AnyEvidence[TrainingSubject]):
    """Everything that is measured of one training step on one device."""

    def prepare(self) -> None:
        """Nothing is found yet."""
        #: Findings by id: a check reads those whose failure explains its own.
        self.findings: dict[str, Finding] = {}
        #: What :mod:`.mending` found in a case; None where it found nothing.
        self.blames: dict[Case, object | None] = {}

    @functools.cached_property
    def covering(self) -> CoveringSet:
        """The fixed configurations."""
        return covering_set(self.subject, self.budget)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Declared shapes of x0, or images."""
        return self.subject.shapes or IMAGE_SHAPES

    @property
    def dtype(self) -> str:
        """The dtype that most checks use: the first in which gradients can be read."""
        wide = [d for d in self.subject.dtypes if not PRECISIONS[d].is_half]
        if not wide:
            raise ValueError(
                f"only {', '.join(self.subject.dtypes)} is declared, in which gradients cannot be read: "
                "declare float32 too"
            )
        return wide[0]

    @property
    def base(self) -> Case:
        """The case that checks of shape and gradient start from."""
        roomy = [s for s in self.shapes if s[0] > 1] or list(self.shapes)
        return Case(self.covering.base, roomy[0], self.dtype, self.device)

    @functools.cached_property
    def laws(self) -> tuple[StepLaw, ...]:
        """Laws of all configurations, of the declared dtypes, and of the first case once more at the end."""
        base = self.base
        configs = list(self.covering.configurations)
        for config, _ in drawn_configurations(self.subject, self.budget):
            if config not in configs:
                configs.append(config)
        most = MOST[self.budget.name]
        found = [self._measured(Case(c, base.shape, base.dtype, base.device)) for c in configs[:most]]
        others = [Case(base.config, base.shape, d, base.device) for d in self.subject.dtypes if d != base.dtype]
        found += [self._measured(case, times=not PRECISIONS[case.dtype].is_half) for case in others]
        found.append(self._measured(base, times=False))
        return tuple(found)

    @functools.cached_property
    def shaped(self) -> tuple[StepLaw, ...]:
        """Laws of the base configuration in every shape."""
        base = self.base
        return tuple(self._measured(Case(base.config, s, base.dtype, base.device), times=False) for s in self.shapes)

    def _measured(self, case: Case, *, times: bool = True) -> StepLaw:
        with np.errstate(all="ignore"):  # what overflows is seen as such, and told
            law = measure(self.subject, case, fixtures=self.fixtures, times=times)
        self.model_calls += law.runs * max(1, len({item.call for item in law.items}))
        return law

    def measure_all(self) -> None:
        """Measure all cases, in their fixed order."""
        _ = self.laws, self.shaped

    def coverage(self) -> Coverage:
        """What was varied, as far as it has been measured."""
        try:
            fields, pairs = self.covering.seen([law.case.config for law in self.laws])
        except ValueError:
            return Coverage(model_calls=self.model_calls)
        return Coverage(
            fields=fields,
            pairs=pairs,
            not_varied=self.covering.not_varied,
            cases=len(self.laws) + len(self.shaped),
            model_calls=self.model_calls,
        )
