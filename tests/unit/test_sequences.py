"""Batches of sequences, (batch, time, channels), are a kind of data of their own: in samples, not in pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sampler_harness import data_under_test
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.verdict import Verdict

DECLARED: dict[str, Any] = {"horizon": 16, "channels": 7, "range": "[-1,1]"}


def actions(shape: tuple[int, ...] = (8, 16, 7), scale: float = 0.3) -> Any:
    """Smooth walks, cut to [-1, 1] where they are scaled into it."""
    generator = np.random.Generator(np.random.PCG64(5))
    for _ in range(20):
        values = scale * np.cumsum(generator.standard_normal(shape), axis=1) / 2
        yield (np.clip(values, -1, 1) if scale < 1 else values).astype(np.float32)


def judged(batches: Any, **declared: Any) -> Verdict:
    return check_sampler(data_under_test(**{**DECLARED, **declared})(batches), budget="quick")


def test_sequences_conform() -> None:
    verdict = judged(actions)
    assert verdict.conforms, [(finding.id, finding.message) for finding in verdict.bad]
    assert verdict.reference == "[-1,1], 7 channels, sequences of 16 steps, float32"
    told = " ".join(finding.message for finding in verdict.findings)
    assert "64 sequences in 8 batches" in told
    assert "images" not in told


@pytest.mark.parametrize(
    ("batches", "declared", "id", "words"),
    [
        # As innate-inc/innate-os#474: z-scores, under a sampler that clamps at 1.
        (lambda: actions(scale=1.5), {}, "data/normalisation", "far outside of [-1, 1]"),
        (lambda: actions((8, 12, 7)), {}, "data/frames", "have 12 time steps (shape (8, 12, 7)), should have 16"),
        (lambda: actions((8, 7, 16)), {}, "data/frames", "time and channels are swapped"),
        (lambda: actions((8, 16, 6)), {}, "data/channels", "sequences have 6 channels"),
        (lambda: actions((8, 16, 7, 1)), {}, "data/frames", "should be (batch, time, channels)"),
        (lambda: (np.full((8, 16, 7), np.nan, np.float32) for _ in range(3)), {}, "data/finite", "time step 0"),
        (actions, {"horizon": None, "levels": None}, "data/channels", "declared with horizon=16, channels=7"),
        (actions, {"dtype": "float64"}, "data/dtype", "should be float64"),
    ],
)
def test_what_is_wrong_with_them_is_told_in_their_own_words(
    batches: Any, declared: dict[str, Any], id: str, words: str
) -> None:
    verdict = judged(batches, **declared)
    assert id in [finding.id for finding in verdict.bad]
    assert words in next(finding for finding in verdict.bad if finding.id == id).message


def test_values_that_jump_between_the_ends_are_no_integers_that_wrapped_around() -> None:
    def grippers() -> Any:
        steps = np.sin(np.arange(16.0) / 3)
        for phase in range(20):
            items = np.stack([np.sign(np.roll(steps, phase + item)) for item in range(8)])
            yield items[:, :, None].repeat(7, 2).astype(np.float32)

    assert judged(grippers).conforms


@pytest.mark.parametrize("declared", [{"horizon": 0}, {"size": (8, 8)}, {"latent_scale": 0.18}])
def test_what_sequences_do_not_have_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="horizon"):
        judged(actions, **declared)
