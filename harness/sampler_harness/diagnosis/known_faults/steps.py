"""Mistakes in what one step has of another: a draw that is used again, a first step without noise, an output kept."""

from __future__ import annotations

from . import KnownFault, Replacement

__all__ = ["FAULTS"]

_EDM = "reference_samplers/edm.py"
_DDIM = "reference_samplers/ddim.py"
_DDPM = "reference_samplers/ddpm.py"

FAULTS: tuple[KnownFault, ...] = (
    KnownFault(
        "churn-with-one-draw",
        (
            Replacement(
                _EDM,
                "x: Array = self.initial_std * noise()  # line 2",
                "x: Array = self.initial_std * noise()  # line 2\n        kept = noise()",
            ),
            Replacement(_EDM, "epsilon = self.s_noise * noise()  # line 4", "epsilon = self.s_noise * kept  # line 4"),
        ),
        "Every step renews its noise with the same draw, which adds up instead of averaging out.",
    ),
    KnownFault(
        "implicit-noise-of-one-draw",
        (
            Replacement(_DDIM, "x = noise()  # x_T", "x, kept = noise(), noise()  # x_T"),
            Replacement(
                _DDIM,
                'x = x + sigma * noise()  # eq. 12, "random noise"',
                'x = x + sigma * kept  # eq. 12, "random noise"',
            ),
        ),
        "Every step adds the same draw, which adds up instead of averaging out.",
    ),
    KnownFault(
        "implicit-noise-missing-in-first-step",
        (
            Replacement(
                _DDIM,
                "if sigma > 0:  # a draw times 0 would leave the law as it is",
                "if sigma > 0 and t < self.levels[0]:  # a draw times 0 would leave the law as it is",
            ),
        ),
        "The first step takes noise away and draws none, so that samples are smoother than eta asks for.",
    ),
    KnownFault(
        "ancestral-noise-missing-in-first-step",
        (Replacement(_DDPM, "if t_next > 0:  # line 3", "if t_next > 0 and t < self.levels[0]:  # line 3"),),
        "The first step takes noise away and draws none, so that samples are a little smoother.",
    ),
    KnownFault(
        "epsilon-averaged-with-step-before",
        (
            Replacement(
                _DDIM,
                "epsilon = self.to_epsilon(x, output, x0, alpha_bar)",
                "own = self.to_epsilon(x, output, x0, alpha_bar)\n"
                "            epsilon = own if t == self.levels[0] else (own + before) / 2\n"
                "            before = own\n"
                "            x0 = (x - np.sqrt(1 - alpha_bar) * epsilon) / np.sqrt(alpha_bar)",
            ),
        ),
        "Each step goes half along what the step before predicted, and fine detail is late.",
    ),
)
