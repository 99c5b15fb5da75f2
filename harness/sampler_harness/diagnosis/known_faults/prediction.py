"""Mistakes on the way from a network's output to data and noise."""

from __future__ import annotations

from . import KnownFault, at_commit, edits_of

__all__ = ["FAULTS"]

prediction = edits_of("reference_samplers/prediction.py")

_X0 = "x0: Array = (x - noise_scale * epsilon) / signal_scale"
_EPSILON = "epsilon: Array = (x - signal_scale * x0) / noise_scale"
_V = "x0: Array = (signal_scale * x - noise_scale * v) / power"
_FROM_X0 = '    if prediction == "x0":\n        return output'
_FROM_EPSILON = "return x0_from_epsilon(x, output, signal_scale, noise_scale)"
_FROM_V = "return x0_from_v(x, output, signal_scale, noise_scale)"
_C_SKIP = "return sigma_data**2 / (sigma**2 + sigma_data**2)"
_C_OUT = "return sigma * sigma_data / np.sqrt(sigma**2 + sigma_data**2)"
_C_IN = "return 1 / np.sqrt(sigma**2 + sigma_data**2)"
_C_NOISE = "return np.log(sigma) / 4"

FAULTS: tuple[KnownFault, ...] = (
    # Epsilon and x0.
    prediction(
        "x0-not-scaled-up",
        _X0,
        "x0: Array = x - noise_scale * epsilon",
        "The predicted data is far too small at high levels, and samples come out too faint.",
    ),
    prediction(
        "noise-added-to-x0",
        _X0,
        "x0: Array = (x + noise_scale * epsilon) / signal_scale",
        "The predicted noise is added where it should be taken away, and samples are noise.",
    ),
    prediction(
        "noise-in-x0-not-scaled",
        _X0,
        "x0: Array = (x - epsilon) / signal_scale",
        "More noise is taken away than there is, most of all at low levels, and its negative stays in the samples.",
    ),
    prediction(
        "signal-not-scaled-with-noise",
        _X0,
        "x0: Array = x / signal_scale - noise_scale * epsilon",
        "Too little of the noise is taken away at high levels, and samples are noisy.",
    ),
    prediction(
        "epsilon-from-x0-turned-round",
        _EPSILON,
        "epsilon: Array = (signal_scale * x0 - x) / noise_scale",
        "With a model of x0 the steps go away from the data, and samples diverge.",
        at_commit(
            "ddim-eps-from-x0-sign",
            "lucidrains/denoising-diffusion-pytorch",
            "37334ae82467197ba3df194cae3a85332f5736be",
        ),
    ),
    prediction(
        "epsilon-over-variance",
        _EPSILON,
        "epsilon: Array = (x - signal_scale * x0) / noise_scale**2",
        "The noise that a step goes along is too strong at low levels, and stays in the samples.",
    ),
    prediction(
        "epsilon-from-unscaled-x0",
        _EPSILON,
        "epsilon: Array = (x - x0) / noise_scale",
        "At high levels the data's negative is taken for noise, and samples come out too faint.",
    ),
    # v, and outputs taken for what they are not.
    prediction(
        "v-turned-round",
        _V,
        "x0: Array = (signal_scale * x + noise_scale * v) / power",
        "What a model of v predicts is added where it should be taken away, and samples are noise.",
    ),
    prediction(
        "v-scales-swapped",
        _V,
        "x0: Array = (noise_scale * x - signal_scale * v) / power",
        "The predicted data holds the noise instead, and samples are noise.",
    ),
    prediction(
        "v-taken-for-epsilon",
        _FROM_V,
        "return x0_from_epsilon(x, output, signal_scale, noise_scale)",
        "The output of a model of v is read as noise, and samples are noise.",
    ),
    prediction(
        "v-taken-for-x0",
        _FROM_V,
        "return output",
        "The output of a model of v is read as data, and samples are noise.",
    ),
    prediction(
        "epsilon-taken-for-x0",
        _FROM_EPSILON,
        "return output",
        "The noise that the model predicts is read as data, and samples are noise.",
    ),
    prediction(
        "epsilon-taken-for-v",
        _FROM_EPSILON,
        "return x0_from_v(x, output, signal_scale, noise_scale)",
        "The noise that the model predicts is read as v, and samples are noisy and too faint.",
    ),
    prediction(
        "x0-taken-for-epsilon",
        _FROM_X0,
        '    if prediction == "x0":\n        return x0_from_epsilon(x, output, signal_scale, noise_scale)',
        "The data that the model predicts is taken away as noise, and samples explode.",
    ),
    # What stands around an EDM network.
    prediction(
        "noise-kept-for-data",
        _C_SKIP,
        "return sigma**2 / (sigma**2 + sigma_data**2)",
        "The denoiser keeps its input where that is noise, and samples stay noise.",
    ),
    prediction(
        "skip-scale-rooted",
        _C_SKIP,
        "return sigma_data / np.sqrt(sigma**2 + sigma_data**2)",
        "The denoiser keeps too much of its input, and noise stays in the samples.",
    ),
    prediction(
        "output-scale-without-root",
        _C_OUT,
        "return sigma * sigma_data / (sigma**2 + sigma_data**2)",
        "The network's output counts too little at high levels and too much at low ones.",
    ),
    prediction(
        "output-scale-without-sigma-data",
        _C_OUT,
        "return sigma / np.sqrt(sigma**2 + sigma_data**2)",
        "The network's output counts too much where the data's spread is below 1, and contrast is too strong.",
    ),
    prediction(
        "input-scale-without-root",
        _C_IN,
        "return 1 / (sigma**2 + sigma_data**2)",
        "The network sees input that is far too faint at high levels and far too strong at low ones.",
    ),
    prediction(
        "input-scale-for-unit-data",
        _C_IN,
        "return 1 / np.sqrt(sigma**2 + 1)",
        "The network sees input that is too faint at low levels, and fine detail is lost.",
    ),
    prediction(
        "logarithm-not-quartered",
        _C_NOISE,
        "return np.log(sigma)",
        "The network takes all levels for others, four times as far from 1 in their logarithm.",
    ),
    prediction(
        "quarter-without-logarithm",
        _C_NOISE,
        "return sigma / 4",
        "The network is told of levels that it never saw, and samples are noise or blur.",
    ),
)
