"""Mistakes around the reverse SDE of a rectified flow, arXiv:2401.08740."""

from __future__ import annotations

from . import KnownFault, edits_of, issue

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/flow_sde.py")

_SCORE = "s = -(x + (1 - t) * v) / t  # section 2.2"
_DRIFT = "x = x - 0.5 * w * s * dt  # section 2.1, score"
_DRAW = "x = x + np.sqrt(w * -dt) * noise()  # section 2.1, draw"

FAULTS: tuple[KnownFault, ...] = (
    method(
        "drift-of-score-forgotten",
        f'            if t_next > 0 or self.last_step != "euler":\n                {_DRIFT}\n',
        "",
        "Noise is added and never taken out again: samples are grainy, and more so with more steps.",
        issue("zea-flow-sde-without-drift", "tue-bmd/zea", 551),
    ),
    method(
        "drift-of-whole-diffusion",
        _DRIFT,
        "x = x - w * s * dt  # section 2.1, score",
        "More noise is taken out than was added, and samples are smooth.",
    ),
    method(
        "drift-of-score-turned-round",
        _DRIFT,
        "x = x + 0.5 * w * s * dt  # section 2.1, score",
        "What should be taken out is added once more, and samples are noise.",
    ),
    method(
        "sde-variance-drawn-for-std",
        _DRAW,
        "x = x + w * -dt * noise()  # section 2.1, draw",
        "Too little noise is renewed for what the score takes out, and samples are smooth.",
    ),
    method(
        "sde-noise-without-diffusion",
        _DRAW,
        "x = x + np.sqrt(-dt) * noise()  # section 2.1, draw",
        "The noise does not belong to the drift, and the strength of the diffusion is not read.",
    ),
    method(
        "sde-noise-as-long-as-step",
        _DRAW,
        "x = x - np.sqrt(w) * dt * noise()  # section 2.1, draw",
        "The noise shrinks as steps become shorter, and with many steps samples are smooth.",
    ),
    method(
        "sde-noise-on-last-step",
        'if t_next > 0 or self.last_step == "drawn":',
        "if True:",
        "Noise is added behind the last call, and stays in the samples.",
    ),
    method(
        "score-not-divided-by-time",
        _SCORE,
        "s = -(x + (1 - t) * v)  # section 2.2",
        "Near the data the score is too small for the noise that is added, and grain stays in the samples.",
    ),
    method(
        "score-from-predicted-data",
        _SCORE,
        "s = -(x - t * v) / t  # section 2.2",
        "The score points from the data and not from the noise, and samples lose contrast.",
    ),
)
