"""Whether a diagnosis names the truth: by law, since one mistake can be written in several ways."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fixtures.faulty_samplers.true_edits import TrueEdit
from sampler_harness import sampler_under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.diagnose import search_for
from sampler_harness.diagnosis.explanation import Explanation
from sampler_harness.diagnosis.search import Found
from sampler_harness.diagnosis.target import Target
from sampler_harness.law.program import source_text
from sampler_harness.law.same import SCREEN
from sampler_harness.subject import Subject

__all__ = ["Diagnosed", "as_explanation", "as_sampler", "diagnosed", "has_law_of"]


@dataclass(frozen=True)
class Diagnosed:
    """What was found of one sampler whose fault is known.

    Attributes:
        rank: of the truth among the answers, from 1; 0 where it is none of them.
        exact: whether the first answer is labelled exact.
        answer: the first one; None without any.
        found: everything.
        targets: the cases that answers were held against.
        seconds: of the search alone.
    """

    rank: int
    exact: bool
    answer: Explanation | None
    found: Found | None
    targets: Sequence[Target]
    seconds: float

    @property
    def is_wrong_but_exact(self) -> bool:
        """The one thing that must never happen."""
        return self.exact and self.rank != 1


def as_explanation(reference: type, truth: TrueEdit) -> Explanation:
    """The truth as the search would have it."""
    texts: dict[str, str] = {}
    for one in truth.replacements:
        text = texts.get(one.file, source_text(one.file))
        assert text.count(one.before) == 1, one
        texts[one.file] = text.replace(one.before, one.after)
    return Explanation("edit", reference, fields=dict(truth.config), texts=texts)


def as_sampler(explanation: Explanation, **declared: Any) -> Subject:
    """A torch sampler that runs an edited reference.

    Args:
        explanation: what is run.
        declared: fields of the declaration, as for the reference itself.
    """

    def run(model: Any, shape: tuple[int, ...], config: Any, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        def ask(x: np.ndarray[Any, Any], time: float) -> Any:
            whole = isinstance(time, (int, np.integer))
            told = torch.full((shape[0],), time, dtype=torch.int64 if whole else torch.float64, device=device)
            answer = model(torch.from_numpy(np.ascontiguousarray(x)).to(device=device, dtype=dtype), told)
            return answer.double().cpu().numpy()

        def noise() -> Any:
            return torch.randn(shape, device=device, dtype=dtype).double().cpu().numpy()

        with np.errstate(all="ignore"):
            sample = explanation.program.configured(config).sample(ask, noise)
        return torch.from_numpy(np.ascontiguousarray(sample)).to(device=device, dtype=dtype)

    return sampler_under_test(explanation.reference, **declared)(run)


def has_law_of(one: Explanation, other: Explanation, targets: Sequence[Target]) -> bool:
    """Whether two explanations cannot be told apart in any of the cases, within the sampler's own tolerance."""
    with np.errstate(all="ignore"):
        return all(_alike(one, other, target) for target in targets)


def _alike(one: Explanation, other: Explanation, target: Target) -> bool:
    laws = [explanation.law(target) for explanation in (one, other)]
    if laws[0] is None or laws[1] is None:
        return False
    case = Target(target.case, laws[0], laws[0], target.tolerance, learned_variance=target.learned_variance)
    if case.ratio(laws[1]) > 1 / SCREEN:
        return False
    return target.dense is None or one.fits(target) == other.fits(target)


def diagnosed(subject: Subject, truth: Explanation, *, budget: str = "quick", search: str | None = None) -> Diagnosed:
    """Search for what a sampler does, and hold it against the truth.

    Args:
        subject: the faulty sampler.
        truth: what it does.
        budget: of the checks.
        search: of the search; None for the same.
    """
    evidence = Evidence(subject, budget=budget)
    evidence.measure()
    started = time.perf_counter()
    found, targets = search_for(evidence, search or budget)
    seconds = time.perf_counter() - started
    if found is None:
        return Diagnosed(0, False, None, None, targets, seconds)
    ranks = [n for n, a in enumerate(found.answers, 1) if any(has_law_of(v, truth, targets) for v in a.variants)]
    first = found.answers[0].first if found.answers else None
    return Diagnosed(min(ranks, default=0), found.exact, first, found, targets, seconds)
