"""Mistakes in the tables and grids that samplers walk along."""

from __future__ import annotations

from . import KnownFault, at_commit, edits_of, issue

__all__ = ["FAULTS"]

levels = edits_of("reference_samplers/grids/sigmas.py")
variances = edits_of("reference_samplers/processes/betas.py")
spacing = edits_of("reference_samplers/grids/spacings.py")

_RAMP = "ramp = np.linspace(0.0, 1.0, num_steps)  # i / (N - 1)"
_LEVELS = "sigmas = (root_max + ramp * (root_min - root_max)) ** rho"
_FINAL = "return np.append(sigmas, 0.0)"
_LINEAR = "return np.linspace(beta_start, beta_end, num_train_timesteps)"
_ROOTS = "root = np.linspace(np.sqrt(beta_start), np.sqrt(beta_end), num_train_timesteps)"
_COSINE = "level = np.cos((time + 0.008) / 1.008 * (np.pi / 2)) ** 2  # f(t); f(0) cancels in the ratio"
_LIMIT = "table: Array = np.minimum(1 - level[1:] / level[:-1], 0.999)"
_PRODUCT = "return np.cumprod(1 - betas, dtype=np.float64)"
_LEADING = "return tuple(i * stride + steps_offset for i in reversed(range(num_steps)))"
_TRAILING = (
    "return tuple(round(num_train_timesteps - i * num_train_timesteps / num_steps) - 1 for i in range(num_steps))"
)
_INDEX = "return np.interp(np.log(sigma), log_train_sigmas, np.arange(len(log_train_sigmas)))"

FAULTS: tuple[KnownFault, ...] = (
    # Levels.
    levels(
        "rho-turned-over",
        "    root_max = np.power(sigma_max, 1 / rho)\n    root_min = np.power(sigma_min, 1 / rho)\n    " + _LEVELS,
        "    root_max = np.power(sigma_max, rho)\n    root_min = np.power(sigma_min, rho)\n"
        "    sigmas = (root_max + ramp * (root_min - root_max)) ** (1 / rho)",
        "Nearly all steps are spent at the highest levels, and fine detail is not drawn.",
    ),
    levels(
        "roots-of-levels-not-raised",
        _LEVELS,
        "sigmas = root_max + ramp * (root_min - root_max)",
        "The run starts at a level far too low and never gets near the lowest one.",
    ),
    levels(
        "highest-and-lowest-level-swapped",
        _LEVELS,
        "sigmas = (root_min + ramp * (root_max - root_min)) ** rho",
        "The levels rise from the lowest one, and noise is put in where it should be taken out.",
        at_commit(
            "exp-beta-grid-wrong-count-and-orientation",
            "huggingface/diffusers",
            "637e2302ac755623b9d73a3dd16b29d3fcbe8255",
        ),
    ),
    levels(
        "ramp-divided-by-steps",
        _RAMP,
        "ramp = np.linspace(0.0, 1.0, num_steps, endpoint=False)  # i / (N - 1)",
        "The lowest level is never reached, and the last step jumps over fine detail.",
    ),
    levels(
        "lowest-level-dropped",
        _FINAL,
        "return np.append(sigmas[: max(num_steps - 1, 1)], 0.0)",
        "The run is one step short: the last one jumps from the second lowest level to 0, over fine detail.",
        at_commit(
            "elucidated-schedule-misses-sigma-min",
            "lucidrains/denoising-diffusion-pytorch",
            "b87ea2778111f40ba74fa2b7508c0d70a7628d2f",
        ),
    ),
    levels(
        "lowest-level-repeated",
        _FINAL,
        "return np.append(sigmas, sigmas[-1])",
        "The last step has no length, and the lowest level's noise stays in the samples.",
        issue("dpm-final-sigma-repeats-sigma-min", "huggingface/diffusers", 5689),
    ),
    levels(
        "final-zero-missing",
        _FINAL,
        "return sigmas",
        "The run ends at the lowest level, whose noise stays in the samples.",
    ),
    # Betas.
    variances(
        "linear-betas-without-end",
        _LINEAR,
        "return np.linspace(beta_start, beta_end, num_train_timesteps, endpoint=False)",
        "The last betas are a little too small, which shows with few timesteps.",
    ),
    variances(
        "linear-betas-without-start",
        _LINEAR,
        "return np.linspace(beta_start, beta_end, num_train_timesteps + 1)[1:]",
        "The first betas are too large, which shows in fine detail.",
    ),
    variances(
        "linear-betas-scaled-with-length",
        _LINEAR,
        "scale = 1000 / num_train_timesteps\n"
        "    return np.linspace(scale * beta_start, scale * beta_end, num_train_timesteps)",
        "With another number of timesteps than 1000 the betas are not those that the model was trained with.",
    ),
    variances(
        "linear-betas-spaced-by-roots",
        _LINEAR,
        "return np.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps) ** 2",
        "All levels between the ends are other than those that the model was trained at.",
    ),
    variances(
        "scaled-linear-ends-squared",
        _ROOTS,
        "root = np.linspace(beta_start**2, beta_end**2, num_train_timesteps)",
        "There is almost no noise in the chain, so that the model is given nothing to remove.",
        at_commit(
            "dalle2-quadratic-beta-squared-endpoints",
            "lucidrains/DALLE2-pytorch",
            "1a81670718652541f5040db73b1dbbf7565f1129",
        ),
    ),
    variances(
        "scaled-linear-ends-not-rooted",
        _ROOTS,
        "root = np.linspace(beta_start, beta_end, num_train_timesteps)",
        "There is far too little noise in the chain, and the first noise is never taken away.",
    ),
    variances(
        "scaled-linear-not-squared",
        "table: Array = root**2",
        "table: Array = root",
        "There is far too much noise in the chain, and the model is told levels that it hardly knows.",
    ),
    variances(
        "cosine-without-offset",
        _COSINE,
        "level = np.cos(time * (np.pi / 2)) ** 2  # f(t); f(0) cancels in the ratio",
        "The first timesteps hold too little noise, which shows in fine detail.",
    ),
    variances(
        "cosine-not-squared",
        _COSINE,
        "level = np.cos((time + 0.008) / 1.008 * (np.pi / 2))  # f(t); f(0) cancels in the ratio",
        "There is too little noise at all timesteps, and some of the first noise stays in the samples.",
    ),
    variances(
        "cosine-not-limited",
        _LIMIT,
        "table: Array = 1 - level[1:] / level[:-1]",
        "At the last timestep no signal is left, and a model of epsilon is divided by 0.",
    ),
    variances(
        "cosine-ratio-turned-over",
        _LIMIT,
        "table: Array = np.minimum(level[:-1] / level[1:] - 1, 0.999)",
        "The late timesteps hold too much noise, and their signal is lost too early.",
    ),
    variances(
        "sigmoid-over-half-its-range",
        "ramp = np.linspace(-6.0, 6.0, num_train_timesteps)",
        "ramp = np.linspace(-3.0, 3.0, num_train_timesteps)",
        "The betas do not reach their ends, and early timesteps hold too much noise.",
    ),
    # alpha_bar.
    variances(
        "alpha-bar-one-timestep-late",
        _PRODUCT,
        "return np.append(1.0, np.cumprod(1 - betas, dtype=np.float64)[:-1])",
        "Every timestep holds the level of the one before, so that the model is told too high a one.",
    ),
    variances(
        "alpha-bar-without-first-beta",
        _PRODUCT,
        "return np.cumprod(1 - betas, dtype=np.float64) / (1 - betas[0])",
        "All levels are too low by the first timestep's noise, and fine detail is lost.",
    ),
    variances(
        "alpha-bar-of-roots",
        _PRODUCT,
        "return np.cumprod(np.sqrt(1 - betas), dtype=np.float64)",
        "The root is taken twice: all levels are too low, and some of the first noise stays in the samples.",
    ),
    variances(
        "alpha-bar-squared",
        _PRODUCT,
        "return np.cumprod(1 - betas, dtype=np.float64) ** 2",
        "All levels are too high for the timesteps that the model is told.",
    ),
    variances(
        "alpha-bar-as-exponential",
        _PRODUCT,
        "return np.exp(-np.cumsum(betas, dtype=np.float64))",
        "The levels are those of a chain of infinitely many timesteps, which shows where the betas are large.",
    ),
    variances(
        "alpha-bar-above-one",
        _PRODUCT,
        "return np.cumprod(1 + betas, dtype=np.float64)",
        "The signal grows along the chain, and the noise scale is NaN.",
        at_commit("azula-vp-schedule-sign", "probabilists/azula", "212d23e69ce09c6e68b6f36ea378dbab7e8df8a9"),
    ),
    variances(
        "zero-snr-first-entry-lost",
        "scaled = shifted * (root[0] / (root[0] - root[-1]))  # so that the first one is back",
        "scaled = shifted / (root[0] - root[-1])  # so that the first one is back",
        "The first timestep is taken for clean, and its noise stays in the samples.",
    ),
    variances(
        "zero-snr-without-roots",
        "root: Array = np.sqrt(alpha_bar)",
        "root: Array = alpha_bar",
        "All levels but the last are other than those that the model was trained at.",
    ),
    variances(
        "zero-snr-not-squared-back",
        "rescaled: Array = scaled**2",
        "rescaled: Array = scaled",
        "All levels are too low for the timesteps that the model is told.",
    ),
    # Grids of timesteps.
    spacing(
        "leading-one-step-too-many",
        _LEADING,
        "return tuple(reversed(range(steps_offset, num_train_timesteps, stride)))",
        "There is another number of steps than was asked for where it does not divide the chain's length.",
        at_commit("ddpm-one-step-too-many", "huggingface/diffusers", "675ef1ffbd207676d9e6d9c411289ad7d873d7fc"),
    ),
    spacing(
        "leading-counted-from-one",
        _LEADING,
        "return tuple(i * stride + steps_offset + 1 for i in reversed(range(num_steps)))",
        "The grid ends one timestep early, and the last step jumps over fine detail.",
    ),
    spacing(
        "steps-offset-not-read",
        _LEADING,
        "return tuple(i * stride for i in reversed(range(num_steps)))",
        "All timesteps are lower than was asked for, which shows with models that were trained with an offset.",
    ),
    spacing(
        "stride-over-last-timestep",
        "stride = num_train_timesteps // num_steps",
        "stride = (num_train_timesteps - 1) // num_steps",
        "Where the steps divide the chain's length the grid starts too low, and contrast is lost.",
    ),
    spacing(
        "linspace-truncated",
        "return (last, *(round(i * stride) for i in reversed(range(num_steps - 1))))",
        "return (last, *(int(i * stride) for i in reversed(range(num_steps - 1))))",
        "Some timesteps are one too low, so that the sampler differs slightly from others of its kind.",
    ),
    spacing(
        "linspace-without-end",
        "    last = num_train_timesteps - 1\n    stride = last / (num_steps - 1)\n"
        "    # A multiple of the stride, as numpy's linspace has it: near a half that decides where it is rounded to.\n"
        "    return (last, *(round(i * stride) for i in reversed(range(num_steps - 1))))",
        "    stride = num_train_timesteps / num_steps\n"
        "    return tuple(round(i * stride) for i in reversed(range(num_steps)))",
        "The grid starts a stride too low, and contrast is lost.",
    ),
    spacing(
        "trailing-clamped-to-table",
        _TRAILING,
        "positions = (round(num_train_timesteps - i * num_train_timesteps / num_steps) for i in range(num_steps))\n"
        "    return tuple(min(position, num_train_timesteps - 1) for position in positions)",
        "All timesteps but the first are one too high, and the last step jumps over fine detail.",
    ),
    spacing(
        "trailing-cut-off",
        _TRAILING,
        "stride = num_train_timesteps // num_steps\n"
        "    return tuple(num_train_timesteps - i * stride - 1 for i in range(num_steps))",
        "Where the steps do not divide the chain's length the low levels are left out, and noise stays in.",
        at_commit("lcm-grid-truncated-not-spread", "huggingface/diffusers", "dc21498b43ff97a29b5891068465f72110cb8be9"),
    ),
    spacing(
        "respaced-truncated",
        "taken.append(round(position))",
        "taken.append(int(position))",
        "Some timesteps are one too low, so that the sampler differs slightly from others of its kind.",
    ),
    spacing(
        "respaced-without-end",
        "stride = (num_train_timesteps - 1) / (num_steps - 1) if num_steps > 1 else 1.0",
        "stride = num_train_timesteps / num_steps if num_steps > 1 else 1.0",
        "The grid starts a stride too low, and contrast is lost.",
    ),
    # What a model of a chain is told at a level.
    levels(
        "fractional-index-truncated",
        _INDEX,
        "return np.floor(np.interp(np.log(sigma), log_train_sigmas, np.arange(len(log_train_sigmas))))",
        "The model denoises for a level that is not quite the sample's, and images are slightly off everywhere.",
        at_commit(
            "lms-fractional-sigma-integer-timestep",
            "huggingface/diffusers",
            "765506ce2805442e9765bed6f92292c572a5c62a",
        ),
    ),
    levels(
        "fractional-index-rounded",
        _INDEX,
        "return np.round(np.interp(np.log(sigma), log_train_sigmas, np.arange(len(log_train_sigmas))))",
        "The model denoises for a level that is not quite the sample's, which shows with few timesteps.",
    ),
    levels(
        "fractional-index-without-logarithm",
        _INDEX,
        "return np.interp(sigma, np.exp(log_train_sigmas), np.arange(len(log_train_sigmas)))",
        "Between two timesteps the model is told a level that is slightly off.",
    ),
    levels(
        "fractional-index-from-one",
        _INDEX,
        "return np.interp(np.log(sigma), log_train_sigmas, np.arange(len(log_train_sigmas))) + 1",
        "The model takes the sample for one timestep noisier than it is, which shows at the last steps.",
    ),
)
