"""What a candidate is held against, whatever was observed: the law of a sampler, or that of a training step.

The search, its edits, its pairs and its numbers ask nothing else of a case than this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sampler_harness.law.response import Array

if TYPE_CHECKING:
    from .explanation import Explanation

__all__ = ["Observation", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """How far a program went along with what is under test.

    Attributes:
        terms: how many terms agree; of a sampler row after row, up to the first row in which not all do.
        response: what was measured, where it went all the way; of the kind that the case is of.
        ending: how the run ended: ``"whole"`` with a sample, ``"stopped"`` where it differs or at a limit, ``"error"``
            where it raised, ``"broken"`` where it raised what no number makes, ``"not-finite"`` with NaN or infinity in
            it.
    """

    terms: int
    response: Any = None
    ending: Literal["whole", "stopped", "error", "broken", "not-finite"] = "stopped"


class Observation(ABC):
    """One case of what is under test.

    Attributes:
        config: the declared configuration.
        rows: parts of it that a candidate may agree in, one after the other.
    """

    config: Any
    rows: int

    @property
    @abstractmethod
    def length(self) -> int:
        """Model calls of a run: what measuring a candidate costs."""

    @property
    @abstractmethod
    def reference_ratio(self) -> float:
        """How far this is from what is declared, over the tolerance; above 1 it differs."""

    @abstractmethod
    def run(self, instance: Any, config: Any, *, stop: bool = True) -> Outcome:
        """Measure a program.

        Args:
            instance: a configured program, or a reference.
            config: the configuration that it runs.
            stop: whether to give up where it differs.
        """

    @abstractmethod
    def off(self, explanation: Explanation, *, exactly: bool) -> float:
        """How far an explanation is from this law, over the tolerance; infinity where it has none.

        Args:
            explanation: whole; where it holds in some configurations alone, its part for this one counts here.
            exactly: over the tolerance that is derived from its own program, not the one that screens.
        """

    @abstractmethod
    def distances(self, response: Any) -> Array | None:
        """How far every entry of a response is off, over its tolerance; None where it cannot be compared.

        Args:
            response: of a program.
        """

    @abstractmethod
    def vector(self, explanation: Explanation) -> Array:
        """An explanation's law here as one row of numbers; empty where it has none.

        Args:
            explanation: any.
        """
