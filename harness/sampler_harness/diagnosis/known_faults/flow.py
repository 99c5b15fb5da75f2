"""Mistakes around Euler's method on a rectified flow, arXiv:2209.03003, and its shifted grid, arXiv:2403.03206."""

from __future__ import annotations

from . import KnownFault, at_commit, edits_of, issue

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/flow.py")
grid = edits_of("reference_samplers/grids/even_times.py")

_LOOP = "for time_cur, time_next in pairwise(self.time_grid):"
_CALL = "model(x, self.time(time_cur))"
_STEP = "x = x + (time_next - time_cur) * flow  # eq. 1"
_EVEN = "even = np.linspace(1.0, 0.0, self.num_steps + 1)"
_SHIFTED = "shifted: Array = self.shift * even / (1 + (self.shift - 1) * even)  # Esser et al. eq. 23"

FAULTS: tuple[KnownFault, ...] = (
    # The step.
    method(
        "flow-step-turned-round",
        _STEP,
        "x = x + (time_cur - time_next) * flow  # eq. 1",
        "Every step goes away from the data, and samples are noise.",
    ),
    method(
        "flow-taken-for-data",
        _STEP,
        "x = x + (time_next - time_cur) * (x - flow) / time_cur  # eq. 1",
        "The model's flow is read as data, and samples look like the difference of noise and image.",
    ),
    method(
        "flow-steps-of-equal-length",
        _STEP,
        "x = x - flow / self.num_steps  # eq. 1",
        "With a shift the steps are not as long as the model is told, and noise stays in the samples.",
    ),
    # Noise on the way, which a flow has none of.
    method(
        "flow-noise-as-long-as-step",
        _STEP,
        f"{_STEP}\n            x = x + (time_cur - time_next) * noise()",
        "Noise is added at every step, also the last, and nothing takes it out again: samples are grainy.",
    ),
    method(
        "flow-noise-as-long-as-step-but-the-last",
        _STEP,
        f"{_STEP}\n            x = x + ((time_cur - time_next) * noise() if time_next > 0 else 0)",
        "Noise is added at every step but the last, and the model is told of less than there is.",
    ),
    method(
        "flow-noise-as-root-of-step",
        _STEP,
        f"{_STEP}\n            x = x + (time_cur - time_next) ** 0.5 * noise()",
        "Noise is added at every step, also the last, and nothing takes it out again: samples are grain.",
    ),
    method(
        "flow-noise-as-root-of-step-but-the-last",
        _STEP,
        f"{_STEP}\n            x = x + ((time_cur - time_next) ** 0.5 * noise() if time_next > 0 else 0)",
        "Noise is added at every step but the last without the drift that belongs to it, and much of it stays in.",
    ),
    # What the model is told.
    method(
        "time-told-in-thousandths",
        _CALL,
        "model(x, self.time(1000 * time_cur))",
        "A model that knows times from 0 to 1 is told of others, and samples are noise.",
    ),
    method(
        "time-told-from-other-end",
        _CALL,
        "model(x, self.time(1 - time_cur))",
        "The model takes noise for data and data for noise, and samples are neither.",
    ),
    method(
        "next-time-told",
        _CALL,
        "model(x, self.time(time_next))",
        "The model takes the sample for cleaner than it is, and noise stays in.",
    ),
    method(
        "times-told-not-shifted",
        _CALL,
        "model(x, self.time(time_cur / (self.shift - (self.shift - 1) * time_cur)))",
        "With a shift the model is told a lower level than that of the sample, and images are blurry.",
        issue("flowmatch-custom-timesteps-not-shifted", "huggingface/diffusers", 14013),
    ),
    # The grid.
    grid(
        "time-grid-upside-down",
        _EVEN,
        "even = np.linspace(0.0, 1.0, self.num_steps + 1)",
        "The run goes from data to noise, and samples are noise.",
    ),
    grid(
        "time-grid-one-level-short",
        _EVEN,
        "even = np.linspace(1.0, 0.0, self.num_steps)",
        "The run has one step less than was asked for, and less detail.",
    ),
    method(
        "time-grid-without-end",
        _LOOP,
        "for time_cur, time_next in pairwise(self.time_grid[:-1]):",
        "The step to 0 is missing, and noise stays in the samples.",
        at_commit("flow-sigmas-missing-terminal", "huggingface/diffusers", "e222246b4e7b60db7fe5fd27dc187bce446b5b56"),
    ),
    grid(
        "shift-turned-over",
        _SHIFTED,
        "shifted: Array = even / (self.shift + (1 - self.shift) * even)  # Esser et al. eq. 23",
        "The clean end gets the steps that the noisy one should have, and composition suffers.",
    ),
    grid(
        "shift-applied-twice",
        _SHIFTED,
        "shifted: Array = self.shift**2 * even / (1 + (self.shift**2 - 1) * even)  # Esser et al. eq. 23",
        "Nearly all steps are spent at the noisy end, and detail is rough.",
    ),
    grid(
        "shift-not-read",
        _SHIFTED,
        "shifted: Array = even  # Esser et al. eq. 23",
        "The noisy end gets fewer steps than the shift asks for, and composition suffers.",
    ),
    grid(
        "shift-without-denominator",
        _SHIFTED,
        "shifted: Array = self.shift * even  # Esser et al. eq. 23",
        "With a shift the times leave the range from 0 to 1, and samples explode.",
    ),
    grid(
        "single-step-stretched-by-zero",
        "        return shifted",
        "        left = 1 - shifted[:-1]\n"
        "        shifted[:-1] = 1 - left / left[-1] * left[-1]\n"
        "        return shifted",
        "With a single step the grid is divided by its length of 0, and samples are NaN.",
        issue("flowmatch-single-step-terminal-stretch-nan", "huggingface/diffusers", 14572, "pull"),
    ),
    method(
        "flow-sample-mapped-to-unit-range",
        "        return x\n",
        "        return (x + 1) / 2\n",
        "Samples come out in [0, 1] where the data lies in [-1, 1]: of half the contrast for whatever takes them next.",
    ),
)
