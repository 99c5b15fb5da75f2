"""Mistakes in what DDPM and DDIM share: the chain's table, the steps over it, and the clamp of x0."""

from __future__ import annotations

from . import KnownFault, at_commit, edits_of

__all__ = ["FAULTS"]

grid = edits_of("reference_samplers/grids/timesteps.py")
chain = edits_of("reference_samplers/processes/table_chain.py")
table = edits_of("reference_samplers/processes/beta_table.py")

_TRANSITIONS = "return tuple(pairwise(self.levels))"
_TABLE = "table = self._train_alpha_bar"
_BETAS = "table = betas.betas(self.beta_schedule, self.num_train_timesteps, self.beta_start, self.beta_end)"
_RESCALED = "return betas.rescale_zero_terminal_snr(table) if self.rescale_zero_terminal_snr else table"
_X0 = "x0 = prediction.to_x0(self.prediction, x, output, np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar))"
_CLIP = "return np.clip(x0, -self.clip_range, self.clip_range)"
_MAGNITUDES = "magnitudes = np.abs(x0).reshape(x0.shape[0], -1)"
_BOUND = "s = np.clip(np.quantile(magnitudes, quantile, axis=1), 1, largest)"
_LIMITED = "limited: Array = np.clip(x0, -s, s) / s"
_THRESHOLD = "return threshold_x0(x0, self.threshold, self.threshold_max)"

FAULTS: tuple[KnownFault, ...] = (
    # From one timestep to the next.
    grid(
        "one-timestep-back-on-strided-grid",
        _TRANSITIONS,
        "return tuple((t, t - 1) for t in self.levels[:-1])",
        "Each step undoes one timestep where it should undo a whole stride, and nearly all noise stays in.",
    ),
    grid(
        "whole-stride-back-on-uneven-grid",
        _TRANSITIONS,
        "stride = self.num_train_timesteps // len(self.grid)\n"
        "        return tuple((t, max(t - stride, 0)) for t in self.levels[:-1])",
        "Where the grid is not made of equal strides, steps end at other levels than the next ones begin at.",
    ),
    grid(
        "next-level-one-timestep-high",
        _TRANSITIONS,
        "return tuple((t, t_next + 1 if t_next > 0 else 0) for t, t_next in pairwise(self.levels))",
        "Each step ends one timestep above the level that the model is told next, and a little noise stays in.",
    ),
    grid(
        "next-level-one-timestep-low",
        _TRANSITIONS,
        "return tuple((t, max(t_next - 1, 1) if t_next > 0 else 0) for t, t_next in pairwise(self.levels))",
        "Each step ends one timestep below the level that the model is told next, and samples come out smooth.",
    ),
    grid(
        "grid-padded-on-wrong-side",
        _TRANSITIONS,
        "return tuple(zip(self.levels[:-1], (0, *self.levels[:-2]), strict=True))",
        "The first step goes straight to the data and all others back to more noise.",
    ),
    grid(
        "last-transition-dropped",
        _TRANSITIONS,
        "return tuple(pairwise(self.levels[:-1]))",
        "The step to the data is missing, and the last timestep's noise stays in the samples.",
    ),
    grid(
        "grid-ends-before-x0",
        _TRANSITIONS,
        "count, points = self.num_train_timesteps, len(self.grid) + 1\n"
        "        return tuple(pairwise(int(i * count / points) + 1 for i in reversed(range(points))))",
        "The run starts too low and ends at timestep 0, so that some noise stays in the samples.",
        at_commit(
            "ddim-time-grid-never-reaches-x0",
            "lucidrains/denoising-diffusion-pytorch",
            "aec2a2698473e1986f1ceeeba914c36e2c6afa49",
        ),
    ),
    # The table.
    chain(
        "table-in-half-precision",
        _TABLE,
        f"{_TABLE}.astype(np.float16).astype(np.float64)",
        "The noise scale of the first timesteps is far off, and fine detail is lost.",
        at_commit(
            "training-add-noise-in-low-precision", "huggingface/diffusers", "63a0c9e5f7a56d49dc142e643b7237fc9082ff59"
        ),
        at_commit(
            "add-noise-casts-schedule-in-place", "huggingface/diffusers", "26b4319ac51166140a94670b2ae5dbf0a249ff54"
        ),
    ),
    table(
        "given-betas-overwritten",
        "        if self.betas is not None:\n            table = np.array(self.betas)\n        else:\n            "
        + _BETAS,
        f"        {_BETAS}",
        "The betas that were given are silently ignored.",
        at_commit("trained-betas-overwritten", "huggingface/diffusers", "3dacbb94ca25b7db876778aefbc41f9984b919e5"),
    ),
    chain(
        "zero-snr-flag-not-read",
        _RESCALED,
        "return table",
        "A model that was trained down to no signal starts with some, and images cannot be very dark or bright.",
        at_commit(
            "skrample-zsnr-flag-read-from-filtered-dict",
            "Beinsezii/skrample",
            "866511d982ce13de55b603b06bdf0e266ed229ab",
        ),
    ),
    chain(
        "table-made-for-steps-of-run",
        _TABLE,
        "visited = np.array(self.levels[:-1])\n"
        "        short = betas.betas(self.beta_schedule, len(visited), self.beta_start, self.beta_end)\n"
        "        table = np.ones(self.num_train_timesteps)\n"
        "        table[visited - 1] = betas.alpha_bar(short)[::-1]",
        "The levels are those of a chain as short as the run, and the model is told of far more noise than there is.",
    ),
    # From the model's output to x0.
    chain(
        "noise-scale-without-root",
        _X0,
        "x0 = prediction.to_x0(self.prediction, x, output, np.sqrt(alpha_bar), 1 - alpha_bar)",
        "Too little of the predicted noise is taken away, and samples are noisy.",
    ),
    chain(
        "signal-scale-without-root",
        _X0,
        "x0 = prediction.to_x0(self.prediction, x, output, alpha_bar, np.sqrt(1 - alpha_bar))",
        "The predicted data is scaled up too far, and samples explode.",
    ),
    chain(
        "clip-not-read",
        _CLIP,
        "return x0",
        "x0 leaves its range although a clamp was asked for, and samples are saturated.",
        at_commit(
            "flax-ddim-clip-not-implemented", "huggingface/diffusers", "46fac824be8837abbc6348247fddf3ca53251047"
        ),
    ),
    chain(
        "clip-range-not-read",
        _CLIP,
        "return np.clip(x0, -1, 1)",
        "x0 is clamped at 1 whatever range was asked for, and data beyond it is cut off.",
    ),
    chain(
        "clip-at-zero",
        _CLIP,
        "return np.clip(x0, 0, self.clip_range)",
        "The dark half of the data's range is cut off, and samples are washed out.",
    ),
    chain(
        "tanh-for-clamp",
        _CLIP,
        "return self.clip_range * np.tanh(x0 / self.clip_range)",
        "x0 is squashed long before the bound, and contrast is lost.",
    ),
    # The threshold.
    chain(
        "clip-before-threshold",
        _THRESHOLD,
        "return threshold_x0(np.clip(x0, -1, 1), self.threshold, self.threshold_max)",
        "No quantile is ever above 1, so that thresholding is silently off.",
        at_commit("clip-before-dynamic-threshold", "huggingface/diffusers", "2cbdc586deadcea2d91d0db147719e72b9b9ea93"),
    ),
    chain(
        "threshold-cap-used-as-floor",
        _BOUND,
        "s = np.maximum(np.quantile(magnitudes, quantile, axis=1), largest)",
        "With a cap above 1 contrast is washed out: all is divided by the cap.",
        at_commit(
            "dynamic-threshold-cap-used-as-floor", "huggingface/diffusers", "2cbdc586deadcea2d91d0db147719e72b9b9ea93"
        ),
    ),
    chain(
        "threshold-cap-not-read",
        _BOUND,
        "s = np.maximum(np.quantile(magnitudes, quantile, axis=1), 1)",
        "Large values are scaled down without bound, and the rest of the image gets too faint.",
    ),
    chain(
        "threshold-without-floor",
        _BOUND,
        "s = np.minimum(np.quantile(magnitudes, quantile, axis=1), largest)",
        "Images within the range are scaled up to fill it, and contrast is too strong.",
    ),
    chain(
        "threshold-without-division",
        _LIMITED,
        "limited: Array = np.clip(x0, -s, s)",
        "x0 leaves its range although a threshold was asked for, and samples are saturated.",
    ),
    chain(
        "threshold-without-clamp",
        _LIMITED,
        "limited: Array = x0 / s",
        "Values beyond the quantile leave the range, and samples are saturated in places.",
    ),
    chain(
        "quantile-of-signed-values",
        _MAGNITUDES,
        "magnitudes = x0.reshape(x0.shape[0], -1)",
        "Dark values do not count for the threshold, and are cut off.",
    ),
    chain(
        "quantile-over-batch",
        _MAGNITUDES,
        "magnitudes = np.abs(x0).reshape(1, -1)",
        "An image depends on which others are made with it.",
    ),
)
