"""The references against the measured responses of published programs, which nobody here wrote."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixtures.golden.configurations import GOLDEN, Golden
from sampler_harness.law.comparison import compare
from sampler_harness.law.law import Law, row_echelon
from sampler_harness.law.tolerance import reference_law, tolerance_of


def published(golden: Golden) -> Law:
    """The law of a golden file."""
    data = json.loads(golden.path.read_text(encoding="utf-8"))
    factor = np.array(data["noise_factor"], dtype=np.float64)
    again, opened, _ = row_echelon(factor)
    times = np.array(data["times"])
    outputs = np.array(data["output_coefficients"])
    return Law(times, np.zeros(times.size + 1), outputs, again, opened)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: g.name)
def test_reference_reproduces_a_published_program(golden: Golden) -> None:
    law = published(golden)
    reference = reference_law(golden.reference)
    if golden.is_float64:
        for name in ("times", "outputs"):
            got, should_be = getattr(law, name), getattr(reference, name)
            assert np.abs(got - should_be).max() <= 1e-9 * np.abs(should_be).max(), name
        for row in reference.opened:
            scale = np.abs(reference.factor).max()
            assert np.abs(law.column(row) - reference.column(row)).max() <= 1e-9 * scale
        return
    tolerance = tolerance_of(golden.reference, "float32")
    worst = max(compare(law, reference, tolerance), key=lambda d: d.ratio)
    print(f"{golden.name}: {worst.ratio:.3f} of tolerance at {worst.term} row {worst.row}")  # noqa: T201
    assert worst.ratio <= 1.0, worst


def test_references_of_released_programs_have_a_golden_response() -> None:
    assert {type(g.reference).__name__ for g in GOLDEN} >= {
        "EDM", "DDPM", "DDIM", "FlowEuler", "LCM", "EulerAncestral", "DPM2", "DPM2Ancestral",
    }  # fmt: skip
