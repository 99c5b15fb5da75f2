"""Mistakes around Algorithm 2 of Ho et al. 2020, arXiv:2006.11239."""

from __future__ import annotations

from . import KnownFault, Replacement, at_commit, edits_of, file_at

__all__ = ["FAULTS"]

_METHOD = "reference_samplers/ddpm.py"
method = edits_of(_METHOD)

_BETA = "beta = 1 - alpha_bar / alpha_bar_next  # N&D eq. 19"
_CALL = "output, v = self.split(model(x, t - 1))"
_X0_WEIGHT = "x0_weight = np.sqrt(alpha_bar_next) * beta / (1 - alpha_bar)  # eq. 7"
_X_WEIGHT = "x_weight = np.sqrt(1 - beta) * (1 - alpha_bar_next) / (1 - alpha_bar)  # eq. 7"
_MEAN = "x = x0_weight * x0 + x_weight * x  # line 4, mean"
_LAST = "if t_next > 0:  # line 3"
_DRAW = "x = x + self.std(alpha_bar, alpha_bar_next, beta, v) * noise()  # line 4, draw"
_POSTERIOR = "posterior_variance = (1 - alpha_bar_next) / (1 - alpha_bar) * beta  # eq. 7"
_LARGE = "return np.sqrt(beta)  # section 3.2"
_SMALL = "return np.sqrt(posterior_variance)  # section 3.2"
_SHARE = "share = (v + 1) / 2"
_RANGE = "return np.exp(0.5 * (share * np.log(beta) + (1 - share) * np.log(posterior_variance)))  # N&D eq. 15"
_LEARNED = "return np.exp(0.5 * v)"
_MONAI = (
    "monai-ddpm-learned-range-linear",
    "Project-MONAI/GenerativeModels",
    "7428fce193771e9564f29b91d29e523dd1b6b4cd",
    "generative/networks/schedulers/ddpm.py",
)

FAULTS: tuple[KnownFault, ...] = (
    # The variance.
    method(
        "variance-for-std",
        _SMALL,
        "return posterior_variance  # section 3.2",
        "Far too little noise is drawn at each step, and samples are smooth and lack variety.",
    ),
    method(
        "large-variance-for-std",
        _LARGE,
        "return beta  # section 3.2",
        "Far too little noise is drawn at each step although the larger variance was asked for.",
    ),
    method(
        "beta-for-posterior-variance",
        _SMALL,
        "return np.sqrt(beta)  # section 3.2",
        "Too much noise is drawn, most of all in the last steps, and leaves grain.",
    ),
    method(
        "posterior-variance-for-beta",
        _LARGE,
        "return np.sqrt(posterior_variance)  # section 3.2",
        "Less noise is drawn than was asked for, most of all in the last steps.",
    ),
    method(
        "fixed-variances-swapped",
        'if self.variance == "fixed_large":',
        'if self.variance == "fixed_small":',
        "The smaller variance is drawn where the larger one is asked for, and the other way round.",
    ),
    method(
        "posterior-variance-not-divided",
        _POSTERIOR,
        "posterior_variance = (1 - alpha_bar_next) * beta  # eq. 7",
        "Too little noise is drawn, most of all in the last steps, and samples lack texture.",
    ),
    method(
        "posterior-variance-turned-over",
        _POSTERIOR,
        "posterior_variance = (1 - alpha_bar) / (1 - alpha_bar_next) * beta  # eq. 7",
        "Too much noise is drawn, most of all in the last steps, and leaves grain.",
    ),
    method(
        "posterior-variance-at-next-level",
        _DRAW,
        "later = self.alpha_bar[dict(self.transitions)[t_next]]\n"
        "                x = x + self.std(alpha_bar_next, later, 1 - alpha_bar_next / later, v) * noise()"
        "  # line 4, draw",
        "Every draw has the strength of the next one, so that noise is missing, most of all at the end.",
    ),
    method(
        "log-variance-square-rooted",
        _SMALL,
        "return np.sqrt(np.log(posterior_variance))  # section 3.2",
        "The root of a negative logarithm is taken, and samples are NaN.",
        at_commit(
            "ddpm-log-variance-square-rooted", "huggingface/diffusers", "7c5fef81e0aecff65c041a9dfb23aff22bf64f4b"
        ),
    ),
    # The learned variance.
    KnownFault(
        "variance-from-beta-of-training-chain",
        (
            Replacement(
                _METHOD,
                _DRAW,
                "beta_of_one = 1 - alpha_bar / self.alpha_bar[t - 1]\n"
                "                x = x + self.std(alpha_bar, alpha_bar_next, beta_of_one, v) * noise()  # line 4, draw",
            ),
            Replacement(
                _METHOD,
                _POSTERIOR,
                "posterior_variance = (1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next)"
                "  # eq. 7",
            ),
        ),
        "With few steps far too little noise is drawn: the variance is that of a single timestep.",
        (
            at_commit(
                "ddpm-learned-range-upper-bound-uses-training-beta",
                "huggingface/diffusers",
                "1dc856e508ea3722a47915ee2a472f5091d49a40",
            ),
        ),
    ),
    method(
        "learned-range-interpolates-variances",
        _RANGE,
        "return np.sqrt(share * beta + (1 - share) * posterior_variance)  # N&D eq. 15",
        "Too much noise is drawn late in the run, and leaves grain.",
        file_at(*_MONAI),
    ),
    method(
        "learned-range-not-mapped",
        _SHARE,
        "share = v",
        "The draws are too weak wherever the model asks for less than the larger variance.",
    ),
    method(
        "learned-range-ends-swapped",
        _RANGE,
        "return np.exp(0.5 * (share * np.log(posterior_variance) + (1 - share) * np.log(beta)))  # N&D eq. 15",
        "The draws are strong where the model asks for weak ones, and the other way round.",
    ),
    method(
        "learned-range-not-halved",
        _RANGE,
        "return np.exp(share * np.log(beta) + (1 - share) * np.log(posterior_variance))  # N&D eq. 15",
        "Far too little noise is drawn, and samples are smooth: each draw is multiplied by the variance.",
    ),
    method(
        "learned-logarithm-not-halved",
        _LEARNED,
        "return np.exp(v)",
        "Far too little noise is drawn, and samples are smooth: each draw is multiplied by the variance.",
    ),
    method(
        "learned-logarithm-taken-for-variance",
        _LEARNED,
        "return np.sqrt(v)",
        "The root of a negative logarithm is taken, and samples are NaN.",
        file_at(*_MONAI),
    ),
    # When something is drawn.
    method(
        "ancestral-noise-on-last-step",
        f"            {_LAST}\n                {_DRAW}",
        f"            {_DRAW}",
        "The last step draws as well, and images are grainy.",
        at_commit(
            "continuous-noise-on-last-step",
            "lucidrains/denoising-diffusion-pytorch",
            "532178a6a3cc603657e4816d3a4d07f6a13b8f20",
        ),
    ),
    method(
        "last-step-taken-for-first",
        _LAST,
        "if t != self.levels[0]:  # line 3",
        "The first step draws nothing and the last one does, so that images are grainy.",
        at_commit(
            "imagen-repaint-last-step-flag", "lucidrains/imagen-pytorch", "fac59d7b8d0aabbb41f75085a927c978b9984a2f"
        ),
    ),
    method(
        "last-two-steps-without-noise",
        _LAST,
        "if t_next > 1:  # line 3",
        "The step before the last draws nothing either, and fine texture is missing.",
    ),
    method(
        "no-noise-at-all",
        f"{_MEAN}\n            {_LAST}\n                {_DRAW}",
        _MEAN,
        "Every step takes the mean alone, and samples are blurry and lack variety.",
    ),
    KnownFault(
        "draw-reused",
        (
            Replacement(_METHOD, "x = noise()  # line 1", "x, draw = noise(), noise()  # line 1"),
            Replacement(_METHOD, _DRAW, "x = x + self.std(alpha_bar, alpha_bar_next, beta, v) * draw  # line 4, draw"),
        ),
        "All steps add the same noise, which adds up instead of averaging out.",
    ),
    KnownFault(
        "timestep-zero-never-undone",
        (
            Replacement(_METHOD, "in self.transitions:  # line 2", "in self.transitions[:-1]:  # line 2"),
            Replacement(_METHOD, _LAST, "if t_next > 1:  # line 3"),
        ),
        "What is returned still holds the noise of the first timestep.",
        (
            file_at(
                "dome272-index-zero-never-used",
                "dome272/Diffusion-Models-pytorch",
                "be352208d0576039fec061238c0e4385a562a2d4",
                "ddpm.py",
            ),
        ),
    ),
    # The mean.
    method(
        "mean-with-beta-of-training-chain",
        _BETA,
        "beta = 1 - alpha_bar / self.alpha_bar[t - 1]  # N&D eq. 19",
        "With few steps each step undoes a single timestep, and nearly all noise stays in the samples.",
    ),
    method(
        "level-before-padded-at-the-end",
        _BETA,
        "beta = 1 - alpha_bar / alpha_bar_next  # N&D eq. 19\n"
        "            alpha_bar_next = alpha_bar if t < self.num_train_timesteps else 1.0",
        "Mean and variance of every step are those of another level, and samples are bad.",
        at_commit(
            "alphas-cumprod-prev-padded-on-wrong-side",
            "lucidrains/denoising-diffusion-pytorch",
            "71953ebd22c5fa9cbfad89f43defba0693d82d6c",
        ),
    ),
    method(
        "weights-of-mean-swapped",
        _MEAN,
        "x = x0_weight * x + x_weight * x0  # line 4, mean",
        "Each step keeps little of the state and most of the predicted data, and samples are blurry.",
    ),
    method(
        "alpha-bar-for-alpha-in-mean",
        _X_WEIGHT,
        "x_weight = np.sqrt(alpha_bar) * (1 - alpha_bar_next) / (1 - alpha_bar)  # eq. 7",
        "Nearly all of the state is lost at high levels, and samples come out too faint.",
    ),
    method(
        "x0-weight-at-current-level",
        _X0_WEIGHT,
        "x0_weight = np.sqrt(alpha_bar) * beta / (1 - alpha_bar)  # eq. 7",
        "The predicted data gets too little weight at each step, and samples come out too faint.",
    ),
    method(
        "x0-weight-without-root",
        _X0_WEIGHT,
        "x0_weight = alpha_bar_next * beta / (1 - alpha_bar)  # eq. 7",
        "The predicted data gets too little weight at high levels, and samples come out too faint.",
    ),
    method(
        "root-of-alpha-missing-in-mean",
        _X_WEIGHT,
        "x_weight = (1 - beta) * (1 - alpha_bar_next) / (1 - alpha_bar)  # eq. 7",
        "A little of the state is lost at each step, and samples come out too faint.",
    ),
    method(
        "ancestral-model-told-timestep-from-one",
        _CALL,
        "output, v = self.split(model(x, t))",
        "The model takes the sample for one timestep noisier than it is, which shows at the last steps.",
    ),
    method(
        "state-clamped-each-step",
        _DRAW,
        "x = np.clip(x + self.std(alpha_bar, alpha_bar_next, beta, v) * noise(), -1, 1)  # line 4, draw",
        "Noise beyond 1 is cut off at every step, and the model sees input that it was not trained on.",
    ),
    method(
        "ancestral-sample-mapped-to-unit-range",
        "        return x  # line 6",
        "        return (x + 1) / 2  # line 6",
        "Samples come out in [0, 1] where the data lies in [-1, 1]: of half the contrast for whatever takes them next.",
    ),
)
