"""What every kind of evidence offers: all that a runner, a check's judging and a verdict ask of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from .budgets import BUDGETS
from .subject import AnySubject
from .verdict import Coverage, Finding

__all__ = ["AnyEvidence"]

SubjectType = TypeVar("SubjectType", bound=AnySubject)


class AnyEvidence(ABC, Generic[SubjectType]):
    """Everything that is measured of one subject on one device, once, and shared by all checks.

    Args:
        subject: the declaration.
        budget: ``quick``, ``standard`` or ``thorough``.
        device: name of a torch device.
        fixtures: the host's values for the function's further keyword-only arguments.
    """

    def __init__(
        self,
        subject: SubjectType,
        *,
        budget: str = "standard",
        device: str = "cpu",
        fixtures: Mapping[str, Any] | None = None,
    ) -> None:
        self.subject = subject
        self.budget = BUDGETS[budget]
        self.device = device
        self.fixtures = dict(fixtures or {})
        self.model_calls = 0
        self._is_measured = False
        self.prepare()

    def prepare(self) -> None:
        """What a kind keeps of its own, as it is before anything is measured."""
        return

    def measure(self) -> None:
        """Measure everything; a second call does nothing."""
        if not self._is_measured:
            self._is_measured = True
            self.measure_all()

    def untold(self, check_id: str) -> Finding | None:
        """What is said in a check's place where what it looks at could not be read; None where it judges.

        Args:
            check_id: of the check.
        """
        return None

    @abstractmethod
    def measure_all(self) -> None:
        """Measure everything, in an order that no check decides."""

    @abstractmethod
    def coverage(self) -> Coverage:
        """What was varied, as far as it has been measured."""
