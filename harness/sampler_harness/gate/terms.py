"""On what terms samplers are judged, whoever asked for it: the command line or pytest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sampler_harness.checks.catalogue import check_ids
from sampler_harness.verdict import Coverage, Verdict

from .baseline import Baseline

if TYPE_CHECKING:
    from sampler_harness.runner import Assessment
    from sampler_harness.subject import AnySubject

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms:
    """How one run judges.

    Attributes:
        budget: ``quick``, ``standard`` or ``thorough``.
        device: any torch device.
        problem: why the device cannot be used; None where it can.
        baseline: known deviations; without entries where none are named.
        checks_as_of: version whose set of checks is run; empty for the present one.
        diagnose: whether to look for what a sampler that does not conform does instead.
    """

    budget: str
    device: str
    problem: str | None
    baseline: Baseline
    checks_as_of: str = ""
    diagnose: bool = True

    def assessment(
        self,
        subject: AnySubject,
        *,
        against: Any = None,
        fixtures: Mapping[str, Any] | None = None,
        portray: bool = False,
    ) -> Assessment:
        """What judges a subject.

        Args:
            subject: a declaration.
            against: what it is held against instead of its reference.
            fixtures: values for the sampler's further keyword-only arguments.
            portray: whether its verdict carries what a page draws.
        """
        from sampler_harness.runner import Assessment

        return Assessment(
            subject,
            budget=self.budget,
            device=self.device,
            against=against,
            fixtures=fixtures,
            diagnose=self.diagnose,
            expected=self.baseline.expected(subject.target),
            checks_as_of=self.checks_as_of,
            portray=portray,
        )

    def planned(self, subject: AnySubject, checks: Collection[str] | None = None) -> tuple[str, ...]:
        """Ids of the checks that a subject is to be judged by.

        Args:
            subject: a declaration.
            checks: ids that were chosen; None for all.
        """
        return tuple(id for id in check_ids(subject.kind, self.checks_as_of) if checks is None or id in checks)

    def unjudged(self, subject: AnySubject, checks: Collection[str] | None = None) -> Verdict:
        """A verdict that says nothing yet.

        Args:
            subject: a declaration.
            checks: ids that were chosen; None for all.
        """
        return Verdict(
            sampler=subject.target or subject.name,
            reference=subject.reference_name,
            findings=(),
            coverage=Coverage(),
            seconds=0.0,
            budget=self.budget,
            device=self.device,
            planned=self.planned(subject, checks),
            kind=subject.kind,
            source=subject.source,
            checks_as_of=self.checks_as_of,
        )
