"""What a sampler is held against: its reference, another sampler, or a saved law."""

from __future__ import annotations

from collections.abc import Callable

from sampler_harness.law.law import Law
from sampler_harness.law.tolerance import Tolerance, reference_law, tolerance_between, tolerance_of
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case
from sampler_harness.subject import Subject

__all__ = ["Standard"]


class Standard:
    """What a sampler is held against: its reference, another sampler, or a saved law.

    Args:
        law: the law that a case should have; None where there is none for it.
        tolerance: of that law's entries, for a case.
        name: for the verdict.
        reference: whether replay and closed forms are possible.
    """

    def __init__(
        self,
        law: Callable[[Case], Law | None],
        tolerance: Callable[[Case], Tolerance],
        name: str,
        *,
        reference: bool,
    ) -> None:
        self.law = law
        self.tolerance = tolerance
        self.name = name
        self.reference = reference

    @staticmethod
    def of_reference(subject: Subject) -> Standard:
        """The subject's own reference, measured in float64; no law where only something stands for it."""

        def law(case: Case) -> Law | None:
            if not (case.config.is_affine and case.config.has_steps):
                return None
            return reference_law(case.config, learned_variance(case.config))

        def tolerance(case: Case) -> Tolerance:
            return tolerance_of(case.config, case.dtype, learned_variance(case.config))

        return Standard(law, tolerance, subject.reference_name, reference=True)

    @staticmethod
    def of_law(law: Callable[[Case], Law | None], name: str) -> Standard:
        """Laws measured elsewhere: another sampler's, or saved ones."""

        def tolerance(case: Case) -> Tolerance:
            found = law(case)
            assert found is not None
            return tolerance_between(found, case.dtype)

        return Standard(law, tolerance, name, reference=False)
