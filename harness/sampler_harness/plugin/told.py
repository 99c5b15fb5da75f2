"""How what is known of one item travels: in a user property of its report, from a worker to whoever sums up."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from sampler_harness.plain import from_plain, plain
from sampler_harness.verdict import Verdict

from . import PROPERTY

__all__ = ["Told"]


@dataclass(frozen=True)
class Told:
    """One check of one sampler.

    Attributes:
        node: pytest's name of the sampler.
        check: id of the check.
        verdict: as far as this check alone gives it: with at most its own finding.
    """

    node: str
    check: str
    verdict: Verdict

    def as_text(self) -> str:
        """What :meth:`from_text` reads; evidence that no other process could load becomes its repr."""
        return json.dumps(plain(self))

    @staticmethod
    def from_text(text: str) -> Told:
        """What :meth:`as_text` wrote, in a worker of this run."""
        told: Told = from_plain(Told, json.loads(text))
        return told

    @staticmethod
    def taken_from(report: pytest.TestReport) -> Told:
        """What a report that carries something says; it is taken out, so that JUnit files stay as they were."""
        text = next(value for name, value in report.user_properties if name == PROPERTY)
        report.user_properties[:] = [one for one in report.user_properties if one[0] != PROPERTY]
        return Told.from_text(str(text))
