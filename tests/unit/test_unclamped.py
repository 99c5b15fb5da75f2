"""A clamp that no line of a sampler has is told by the line whose value it should bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sampler_harness.checks.replacing import Variable
from sampler_harness.checks.unclamped import unclamped
from sampler_harness.law.intermediates import Intermediates, Site
from sampler_harness.observe.statements import Line
from sampler_harness.observe.walk import Walk

BEFORE = np.linspace(-3.0, 3.0, 24).reshape(2, 3, 2, 2)
AFTER = np.clip(BEFORE, -1.0, 1.0)
VALUES = Intermediates(arrays={Site("DDIM.to_x0", 1): {1: BEFORE}, Site("DDIM.clipped", 2): {1: AFTER}})
LINE, OTHER = Line("/somewhere/mine.py", 3, "sample"), Line("/somewhere/mine.py", 4, "sample")


def _own(**values: Any) -> dict[Variable, dict[int, Any]]:
    lines = {"x0": LINE, "clamped": OTHER}
    return {Variable(lines[name], name, ""): {1: torch.from_numpy(value)} for name, value in values.items()}


def test_the_line_that_holds_what_should_be_clamped_is_named() -> None:
    found = unclamped([_own(x0=BEFORE)], [VALUES])
    assert found is not None
    assert (found.line, found.name) == (LINE, "x0")


def test_nothing_is_named_where_a_line_clamps_or_no_clamp_bites_or_nothing_is_alike() -> None:
    assert unclamped([_own(x0=BEFORE, clamped=AFTER)], [VALUES]) is None
    quiet = Intermediates(arrays={Site("DDIM.to_x0", 1): {1: AFTER / 2}, Site("DDIM.clipped", 2): {1: AFTER / 2}})
    assert unclamped([_own(x0=AFTER / 2)], [quiet]) is None
    assert unclamped([_own(x0=2.0 * BEFORE)], [VALUES]) is None


def test_cases_that_differ_name_nothing() -> None:
    assert unclamped([_own(x0=BEFORE), _own(x0=2.0 * BEFORE)], [VALUES, VALUES]) is None


def test_what_is_returned_from_before_the_last_call_is_found(tmp_path: Any) -> None:
    text = (
        "def sample(model, x):\n    kept = [x]\n    for _ in range(2):\n        kept.append(x)\n"
        "        x = x + model(x)\n    return kept[-1]\n"
    )
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    lines = {number: Line(str(path), number, "sample") for number in range(2, 7)}
    segments = [[lines[2], lines[3], lines[4], lines[5]], [lines[3], lines[4], lines[5]], [lines[3], lines[6]]]
    walked = Walk(segments, calls=[(lines[5],), (lines[5],)])
    assert walked.made_before_last_call(lines[6]) == lines[4]
    assert walked.made_before_last_call(lines[5]) is None  # no line that gives anything back
