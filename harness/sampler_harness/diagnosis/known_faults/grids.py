"""Mistakes in grids by themselves: what is evenly spaced, in which order it is bent, and where it ends."""

from __future__ import annotations

from . import KnownFault, Occurrence, at_commit, edits_of

__all__ = ["FAULTS"]

even = edits_of("reference_samplers/grids/even_times.py")
sized = edits_of("reference_samplers/grids/sized_times.py")
stretched = edits_of("reference_samplers/grids/stretched_times.py")
spread = edits_of("reference_samplers/grids/spread_levels.py")
levels = edits_of("reference_samplers/grids/sigmas.py")
parabola = edits_of("reference_samplers/grids/linear_quadratic.py")
ratios = edits_of("reference_samplers/grids/even_log_snr.py")
quantiles = edits_of("reference_samplers/grids/quantile_times.py")
table = edits_of("reference_samplers/grids/levels_in_table.py")

_SHIFTED = "        return shifted\n"
_STRETCHED = (
    "        called = self.shifted_times()[:-1]\n        return np.append(stretched(called, self.terminal), 0.0)"
)
_MU = "return self.base_mu + slope * (self.tokens - self.base_tokens)"
_KL = (
    "    high, low = np.arctan(sigma_max), np.arctan(sigma_min)\n    levels: Array = np.tan(high + ramp * (low - high))"
)
_EXPONENTIAL = "levels: Array = np.exp(high + ramp * (low - high))"
_POLY = "ramp = (1 - np.linspace(0.0, 1.0, num_steps)) ** rho"
_SIMPLE = "return [length - 1 - int(i * (length / steps)) for i in range(steps)]"
_NORMAL = "return self.level_at(np.linspace(first, last, self.num_steps))"
_BETA = (
    "        nearest = np.rint(self.quantile_places())\n"
    "        return [int(place) for place in dict.fromkeys(nearest.tolist())]"
)
_NO_END = (
    "The level at which the run ends is missing, so that the last step is left out and noise stays in the samples."
)
_TERMINAL = at_commit(
    "flow-sigmas-missing-terminal", "huggingface/diffusers", "e222246b4e7b60db7fe5fd27dc187bce446b5b56"
)
_ON_SIGMA = Occurrence(
    "beta-schedule-quantiles-applied-to-sigma",
    "huggingface/diffusers",
    "https://github.com/huggingface/diffusers/blob/58eb52c0803ea9af3abec60841c2a093bdf1f951/"
    "src/diffusers/schedulers/scheduling_euler_discrete.py",
)

FAULTS: tuple[KnownFault, ...] = (
    # Times of a flow.
    even("times-without-their-end", _SHIFTED, "        return shifted[:-1]\n", _NO_END, _TERMINAL),
    even(
        "times-with-a-second-end",
        _SHIFTED,
        "        return np.append(shifted, 0.0)\n",
        "The last level comes twice, so that the model is called once more than there are steps, for a step of no "
        "length.",
    ),
    even(
        "times-with-one-call-too-many",
        "even = np.linspace(1.0, 0.0, self.num_steps + 1)",
        "even = np.linspace(1.0, 0.0, self.num_steps + 2)",
        "The model is called once more than there are steps.",
    ),
    sized(
        "mu-line-turned-round",
        _MU,
        "return self.most_mu - slope * (self.tokens - self.base_tokens)",
        "Large images get the shift of small ones, and small ones that of large ones.",
    ),
    sized(
        "mu-of-a-middling-image",
        _MU,
        "return (self.base_mu + self.most_mu) / 2",
        "Every image has the same shift, whatever its size, and composition suffers in large ones.",
    ),
    stretched(
        "stretched-with-its-end",
        _STRETCHED,
        "        return stretched(self.shifted_times(), self.terminal)",
        "The run ends at the level of the last call, and that much noise stays in the samples.",
    ),
    stretched(
        "not-stretched",
        _STRETCHED,
        "        return self.shifted_times()",
        "The last call is at a level that the model was not meant to be asked at, and detail is other than in the "
        "release.",
    ),
    stretched(
        "stretched-before-shift",
        _STRETCHED,
        "        moved = stretched(np.linspace(1.0, 0.0, self.num_steps + 1)[:-1], self.terminal)\n"
        "        return np.append(self.shift * moved / (1 + (self.shift - 1) * moved), 0.0)",
        "The last call is at another level than the terminal that was chosen.",
    ),
    stretched(
        "stretched-to-share-of-data",
        "scale = (1 - terminal) / (1 - times[-1])",
        "scale = terminal / (1 - times[-1])",
        "All calls are close to noise, and the last step jumps over nearly all of the detail.",
    ),
    stretched(
        "last-time-set-in-place-of-a-stretch",
        _STRETCHED,
        "        called = self.shifted_times()[:-1]\n"
        "        return np.append(np.append(called[:-1], self.terminal if len(called) > 1 else 1.0), 0.0)",
        "The last step but one is of another length than all others, and detail is other than in the release.",
    ),
    parabola(
        "parabola-with-a-kink",
        "bend = (1 - self.threshold_noise - slope * behind) / behind**2  # it starts with that slope, and ends at 1\n"
        "        place = np.arange(self.num_steps + 1)\n"
        "        beyond = np.maximum(place - self.straight, 0)\n"
        "        levels: Array = self.sigma_max * (1 - (slope * place + bend * beyond**2))",
        "bend = (1 - self.threshold_noise) / behind**2\n"
        "        place = np.arange(self.num_steps + 1)\n"
        "        beyond = np.maximum(place - self.straight, 0)\n"
        "        levels: Array = self.sigma_max * (1 - (slope * np.minimum(place, self.straight) + bend * beyond**2))",
        "Steps grow from nothing behind the straight part, so that some are wasted there and the last ones are long.",
    ),
    parabola(
        "straight-part-over-all-steps",
        "slope = self.threshold_noise / self.straight",
        "slope = self.threshold_noise / self.num_steps",
        "The first steps are half as long as they should be, and the model spends more of them on noise.",
    ),
    ratios(
        "evenly-in-time-for-log-snr",
        "        logarithms = np.linspace(first, last, self.num_steps + 1)\n"
        "        times: Array = 1 / (1 + np.exp(logarithms))",
        "        times = np.linspace(self.first_time, self.last_time, self.num_steps + 1)",
        "Few steps are near the data and near the noise, where the logarithm would have put most.",
    ),
    ratios(
        "log-snr-of-squares",
        "first, last = (np.log((1 - t) / t) for t in (self.first_time, self.last_time))",
        "first, last = (2 * np.log((1 - t) / t) for t in (self.first_time, self.last_time))",
        "The run starts and ends far beyond the times that were chosen: half the log-SNR was meant.",
    ),
    ratios(
        "log-snr-turned-over",
        "times: Array = 1 / (1 + np.exp(logarithms))",
        "times: Array = 1 / (1 + np.exp(-logarithms))",
        "The run goes from data to noise, and samples are noise.",
    ),
    quantiles(
        "quantiles-turned-round",
        "return quantiles.beta_quantiles(np.linspace(1.0, 0.0, self.num_steps + 1), self.alpha, self.beta)",
        "return quantiles.beta_quantiles(np.linspace(0.0, 1.0, self.num_steps + 1), self.alpha, self.beta)",
        "The run goes from data to noise, and samples are noise.",
    ),
    quantiles(
        "quantiles-of-a-uniform",
        "return quantiles.logit_normal_quantiles(shares, self.logit_mean, self.logit_std)",
        "return shares",
        "Steps are even, and not where the model was trained most.",
    ),
    # Noise levels.
    spread(
        "exponential-without-its-zero",
        "return np.append(sigmas.exponential_sigmas(self.num_steps, self.sigma_min, self.sigma_max), 0.0)",
        "return sigmas.exponential_sigmas(self.num_steps, self.sigma_min, self.sigma_max)",
        _NO_END,
    ),
    levels(
        "evenly-in-sigma-for-its-logarithm",
        _EXPONENTIAL,
        "levels: Array = sigma_max + ramp * (sigma_min - sigma_max)",
        "Nearly all steps are spent at high levels, and fine detail is not drawn.",
    ),
    levels(
        "exponential-rising",
        _EXPONENTIAL,
        "levels: Array = np.exp(low + ramp * (high - low))",
        "The levels rise from the lowest one, and noise is put in where it should be taken out.",
        at_commit(
            "exp-beta-grid-wrong-count-and-orientation",
            "huggingface/diffusers",
            "637e2302ac755623b9d73a3dd16b29d3fcbe8255",
        ),
    ),
    levels(
        "polyexponential-rising",
        _POLY,
        "ramp = np.linspace(0.0, 1.0, num_steps) ** rho",
        "The levels rise from the lowest one, and noise is put in where it should be taken out.",
    ),
    levels(
        "polyexponential-power-turned-over",
        _POLY,
        "ramp = (1 - np.linspace(0.0, 1.0, num_steps)) ** (1 / rho)",
        "The end that should have most of the steps has few, and detail or composition suffers.",
    ),
    levels(
        "kl-optimal-without-arc-tangent",
        _KL,
        "    high, low = sigma_max, sigma_min\n    levels: Array = high + ramp * (low - high)",
        "Nearly all steps are spent at high levels, and fine detail is not drawn.",
    ),
    # Levels out of a table.
    table(
        "places-rounded-to-nearest",
        _SIMPLE,
        "return [length - 1 - round(i * length / steps) for i in range(steps)]",
        "Some levels are those of the entry beside, so that the sampler differs slightly from others of its kind.",
    ),
    table(
        "places-with-the-lowest-entry",
        _SIMPLE,
        "return [length - 1 - int(i * (length - 1) / max(steps - 1, 1)) for i in range(steps)]",
        "The model is asked at its lowest level too, so that every step is longer than in the release.",
    ),
    table(
        "places-one-entry-low",
        _SIMPLE,
        "return [max(length - 2 - int(i * (length / steps)), 0) for i in range(steps)]",
        "The run starts one entry below the noise that it is given.",
    ),
    table(
        "places-counted-from-the-lower-end",
        _SIMPLE,
        "return [int(i * (length / steps)) for i in range(steps)][::-1]",
        "The run starts far below the noise that it is given, and with one step at the lowest level of all.",
    ),
    table(
        "evenly-in-sigma-for-its-place",
        _NORMAL,
        "return np.linspace(self.level_at(np.array(first)), self.level_at(np.array(last)), self.num_steps)",
        "Nearly all steps are spent at high levels, and fine detail is not drawn.",
    ),
    table(
        "quantiles-of-sigma-for-its-place",
        "        return self.entries[self.whole_places()]",
        "        share = self.quantile_places() / (self.num_train_timesteps - 1)\n"
        "        return self.entries[0] + share * (self.entries[-1] - self.entries[0])",
        "Half of the steps are spent above the middle of the levels, where the model has least to say.",
        _ON_SIGMA,
    ),
    table(
        "quantiles-cut-off",
        _BETA,
        "        return [int(place) for place in dict.fromkeys(np.floor(self.quantile_places()).tolist())]",
        "Some levels are those of the entry below, so that the sampler differs slightly from others of its kind.",
    ),
    table(
        "places-taken-twice",
        _BETA,
        "        return [int(place) for place in np.rint(self.quantile_places()).tolist()]",
        "With many steps some levels come twice, for steps of no length.",
    ),
    table(
        "levels-between-entries-not-logarithms",
        "levels: Array = np.exp(np.interp(places, np.arange(self.num_train_timesteps), np.log(self.entries)))",
        "levels: Array = np.interp(places, np.arange(self.num_train_timesteps), self.entries)",
        "Levels between two entries are slightly off.",
    ),
    table(
        "table-shifted-twice",
        "return self.shifted(np.arange(1, self.num_train_timesteps + 1) / self.num_train_timesteps)",
        "return self.shifted(self.shifted(np.arange(1, self.num_train_timesteps + 1) / self.num_train_timesteps))",
        "Nearly all steps are spent at the noisy end, and detail is rough.",
    ),
)
