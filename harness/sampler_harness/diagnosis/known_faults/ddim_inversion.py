"""Mistakes around DDIM inversion, arXiv:2010.02502, section 4.3."""

from __future__ import annotations

from . import KnownFault, at_commit, edits_of, issue

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/ddim_inversion.py")

_LEVELS = "alpha_bar, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[t_next]"
_TOLD = 'output = model(x, (t_next if self.told == "next" else t) - 1)'
_STEP = "x = np.sqrt(alpha_bar_next) * x0 + np.sqrt(1 - alpha_bar_next) * epsilon  # eq. 12, 14"

FAULTS: tuple[KnownFault, ...] = (
    method(
        "inversion-levels-one-step-ahead",
        _LEVELS,
        "length = self.num_train_timesteps\n"
        "            alpha_bar = self.alpha_bar[t_next]\n"
        "            alpha_bar_next = self.alpha_bar[min(t_next + length // len(self.grid), length)]",
        "The data is taken for a noisy sample, and what is drawn from the noise again is not what was encoded.",
        at_commit("ddim-inverse-off-by-one", "huggingface/diffusers", "9c03a7da43a6fecfc5d1db978f3fd7d8f3f85ae4"),
    ),
    method(
        "inversion-told-number-of-step",
        _TOLD,
        "output = model(x, self.transitions.index((t, t_next)))",
        "The model takes every state for one that is nearly clean, and little of the noise is found.",
        issue("ldm-encode-told-number-of-step", "Stability-AI/stablediffusion", 226, "pull"),
    ),
    method(
        "inversion-direction-of-level-before",
        _STEP,
        "x = np.sqrt(alpha_bar_next) * x0 + np.sqrt(1 - alpha_bar) * epsilon  # eq. 12, 14",
        "The result has less noise than the level that it is taken for, and samples drawn from it are flat.",
    ),
    method(
        "inversion-next-signal-forgotten",
        _STEP,
        "rise = np.sqrt(1 / alpha_bar_next - 1) - np.sqrt(1 / alpha_bar - 1)\n"
        "            x = np.sqrt(alpha_bar_next / alpha_bar) * x + rise * epsilon  # eq. 12, 14",
        "Far too much noise is put in near the end, and what is drawn from the result is noise.",
    ),
    method(
        "inversion-walks-down",
        _LEVELS,
        "alpha_bar, alpha_bar_next = self.alpha_bar[t_next], self.alpha_bar[t]",
        "Each step takes noise out, as in sampling, and the result is no noise.",
    ),
    method(
        "inversion-data-of-next-level",
        "x0 = self.to_x0(x, output, alpha_bar)",
        "x0 = self.to_x0(x, output, alpha_bar_next)",
        "The state is taken for as noisy as it will be, and the encoded noise is too loud.",
    ),
    method(
        "inversion-first-step-left-out",
        "for t, t_next in self.transitions:  # section 4.3",
        "for t, t_next in self.transitions[1:]:  # section 4.3",
        "The model is asked once less than for sampling, and the first step is as long as two.",
    ),
)
