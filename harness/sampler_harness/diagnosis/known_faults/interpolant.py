"""Mistakes around stochastic interpolants, arXiv:2303.08797 and arXiv:2401.08740."""

from __future__ import annotations

from . import KnownFault, edits_of

__all__ = ["FAULTS"]

path = edits_of("reference_samplers/processes/interpolant.py")
method = edits_of("reference_samplers/interpolant.py")
grid = edits_of("reference_samplers/grids/path_times.py")

_GVP = "return np.cos(np.pi / 2 * t), np.sin(np.pi / 2 * t)"
_SLOPES = "return -np.pi / 2 * np.sin(np.pi / 2 * t), np.pi / 2 * np.cos(np.pi / 2 * t)"
_FLOW = "flow: Array = ratio * x + (sigma_rate - ratio * sigma) * epsilon"

FAULTS: tuple[KnownFault, ...] = (
    # Paths.
    path(
        "gvp-slope-without-half-pi",
        _SLOPES,
        "return -np.sin(np.pi / 2 * t), np.cos(np.pi / 2 * t)",
        "Steps are too short by a third, and noise is left in the samples.",
    ),
    path(
        "gvp-sine-and-cosine-exchanged",
        _GVP,
        "return np.sin(np.pi / 2 * t), np.cos(np.pi / 2 * t)",
        "Signal and noise change places, and the model is asked at the wrong end.",
    ),
    path(
        "gvp-of-whole-circle",
        _GVP,
        "return np.cos(np.pi * t), np.sin(np.pi * t)",
        "At the noise there is signal of the wrong sign, and samples are noise.",
    ),
    path(
        "vp-noise-is-what-signal-leaves",
        "return alpha, np.sqrt(1 - alpha**2)",
        "return alpha, 1 - alpha",
        "Near the data there is far less noise than the network was trained on.",
    ),
    path(
        "vp-exponent-of-variance",
        "alpha = np.exp(-0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min)",
        "alpha = np.exp(-0.5 * t**2 * (self.beta_max - self.beta_min) - t * self.beta_min)",
        "The share of the signal's variance is taken for its scale, and each time has too little signal.",
    ),
    path(
        "vp-slope-at-noise-end",
        "rate = -0.5 * t * (self.beta_max - self.beta_min) - 0.5 * self.beta_min",
        "rate = -0.5 * t * self.beta_max",
        "The last steps hardly move, and a little noise is left.",
    ),
    # From one prediction to another.
    path(
        "flow-without-growth-of-signal",
        _FLOW,
        "flow: Array = (sigma_rate - ratio * sigma) * epsilon",
        "What the network says alone moves x: it never grows to the size of data.",
    ),
    path(
        "flow-without-noise-of-signal",
        _FLOW,
        "flow: Array = ratio * x + sigma_rate * epsilon",
        "Noise is taken out too slowly while the signal grows, and stays in the samples.",
    ),
    path(
        "score-of-straight-path",
        "score: Array = -self.to_epsilon(x, flow, t) / self.scales(t)[1]",
        "score: Array = -(x + (1 - t) * flow) / t",
        "The score of a straight path is taken for that of another, and noise is added that is not taken out.",
    ),
    path(
        "score-predicted-without-sign",
        'epsilon = -sigma * output if self.prediction == "score" else output',
        'epsilon = sigma * output if self.prediction == "score" else output',
        "A score points to the data and the noise away from it: samples move away.",
    ),
    # Steps of the reverse SDE.
    method(
        "interpolant-score-of-whole-diffusion",
        "x = x - 0.5 * w * s * dt  # eq. 4, score",
        "x = x - w * s * dt  # eq. 4, score",
        "More noise is taken out than was added, and samples are smooth.",
    ),
    method(
        "interpolant-draw-of-half-diffusion",
        "x = x + np.sqrt(w * -dt) * noise()  # eq. 4, draw",
        "x = x + np.sqrt(0.5 * w * -dt) * noise()  # eq. 4, draw",
        "Less noise is added than the score takes out, and samples are smooth.",
    ),
    method(
        "sbdm-of-half-rate",
        "return self.diffusion_scale * sigma * (sigma_rate - sigma * alpha_rate / alpha)",
        "return self.diffusion_scale * sigma * sigma_rate",
        "What the signal loses is not counted, and hardly any noise is renewed.",
    ),
    grid(
        "path-times-one-short",
        "return np.linspace(self.first_time, self.end_time, self.num_steps + 1)",
        "return np.linspace(self.first_time, self.end_time, self.num_steps)",
        "As many times as steps are one step less than was asked for.",
    ),
)
