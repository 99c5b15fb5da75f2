"""Mistakes in steps of EDM training: Karras et al. 2022, arXiv:2206.00364."""

from __future__ import annotations

from . import KnownFault, Replacement, at_commit, edits_of, issue
from .of_training import BATCH_OF_ONE, SHARED_NOISE, TOLD_IN_BFLOAT16, in_bfloat16

__all__ = ["FAULTS"]

_EDM = "reference_samplers/edm_training.py"
edm = edits_of(_EDM)
model = edits_of("reference_samplers/prediction.py")
_LN_SIGMA = 'ln_sigma = self.P_mean + self.P_std * draws.normal((x0.shape[0],))  # table 1, "Noise distribution"\n'
_CLAMP = "sigma = np.clip(np.exp(ln_sigma), self.sigma_min, self.sigma_max)\n"
_ADDED = "x = x0 + column(sigma, x0.ndim) * n  # eq. 2: y + n, n of variance sigma^2"
_TOLD = "told = np.array([self.told_time(one) for one in sigma])\n"
_ERROR_OF_D = "difference = model(x, told) - x0"
_ERROR_OF_F = "difference = model(prediction.c_in(s, self.sigma_data) * x, told) - effective"
_EFFECTIVE = "effective = (x0 - prediction.c_skip(s, self.sigma_data) * x) / prediction.c_out(s, self.sigma_data)"
_WEIGHT_OF_SIGMA = "weight = column([self.weight(one) for one in sigma], x0.ndim)"
_BALANCED = "balanced = (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2"
_SNR_WEIGHT = "return balanced * self.sigma_data**2 / (sigma**2 + self.sigma_data**2)"
_WEIGHTED = "loss: Array = (weight * difference**2).reshape(x0.shape[0], -1).mean(axis=1)"

FAULTS: tuple[KnownFault, ...] = (
    # EDM: the level.
    edm(
        "log-normal-mean-and-std-swapped",
        _LN_SIGMA,
        'ln_sigma = self.P_mean * draws.normal((x0.shape[0],)) - self.P_std  # table 1, "Noise distribution"\n',
        "With any but the default values the levels that matter for the data are hardly trained.",
        issue("milmor-pmean-pstd-swapped", "milmor/diffusion-transformer", 3),
    ),
    edm(
        "log-normal-std-taken-for-variance",
        _LN_SIGMA,
        "ln_sigma = self.P_mean + np.sqrt(self.P_std) * draws.normal((x0.shape[0],))\n",
        "The lowest and highest levels are trained too rarely, or too often.",
    ),
    edm(
        "log-normal-mean-scaled-by-std",
        _LN_SIGMA,
        "ln_sigma = (self.P_mean + draws.normal((x0.shape[0],))) * self.P_std\n",
        "The levels that are trained most lie elsewhere than declared.",
    ),
    KnownFault(
        "level-uniform",
        (
            Replacement(_EDM, f"        {_LN_SIGMA}", ""),
            Replacement(
                _EDM,
                _CLAMP,
                "sigma = self.sigma_min + (self.sigma_max - self.sigma_min) * draws.uniform(x0.shape[0])\n",
            ),
        ),
        "Nearly all of training goes to levels of much noise, where only the mean can be learned: details stay poor.",
    ),
    edm(
        "level-not-clamped",
        _CLAMP,
        "sigma = np.exp(ln_sigma)\n",
        "Rare levels far outside of the sampler's range decide much of the gradient.",
    ),
    edm(
        "one-level-for-the-batch",
        _LN_SIGMA,
        "ln_sigma = np.full(x0.shape[0], self.P_mean + self.P_std * draws.normal((1,)))\n",
        BATCH_OF_ONE,
    ),
    # EDM: what the network is given and told.
    edm(
        "noise-of-variance-sigma",
        _ADDED,
        "x = x0 + np.sqrt(column(sigma, x0.ndim)) * n",
        "What the model is told is not the noise that it sees, so that a sampler asks it about other inputs.",
    ),
    edm(
        "noise-shared-by-the-batch",
        "n = draws.normal(x0.shape)",
        "n = draws.normal((1, *x0.shape[1:]))",
        "All items of a batch have the same noise, which a model can find by comparing them where it normalizes.",
    ),
    edm(
        "noise-shared-by-channels",
        "n = draws.normal(x0.shape)",
        "n = draws.normal((x0.shape[0], 1, *x0.shape[2:]))",
        SHARED_NOISE,
    ),
    edm(
        "training-input-not-scaled",
        _ERROR_OF_F,
        "difference = model(x, told) - effective",
        "The sampler shows the network inputs of another size than those that it was trained on.",
    ),
    model(
        "network-told-decimal-logarithm",
        "return np.log(sigma) / 4",
        "return np.log10(sigma) / 4",
        "The sampler tells the network the natural logarithm, so that it takes each level for another.",
    ),
    # EDM: the target.
    edm(
        "noise-added-to-the-data-itself",
        _ERROR_OF_D,
        "difference = model(x, told) - x",
        "The model learns to return what it is given: samples stay noise.",
    ),
    edm(
        "target-without-c-skip",
        _EFFECTIVE,
        "effective = x0 / prediction.c_out(s, self.sigma_data)",
        "The sampler adds c_skip times its input to what the network says: pictures are doubled at low levels.",
    ),
    edm(
        "target-not-divided-by-c-out",
        _EFFECTIVE,
        "effective = x0 - prediction.c_skip(s, self.sigma_data) * x",
        "The sampler multiplies by c_out what was never divided by it: details vanish at low levels.",
    ),
    edm(
        "level-told-in-bfloat16",
        _TOLD,
        in_bfloat16("np.array([self.told_time(one) for one in sigma])"),
        TOLD_IN_BFLOAT16,
    ),
    # EDM: the weight.
    edm(
        "weight-without-square",
        _BALANCED,
        "balanced = (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data)",
        "Low levels, where details are decided, count for too little.",
    ),
    edm(
        "weight-of-told-time",
        _WEIGHT_OF_SIGMA,
        "weight = column([self.weight(prediction.c_noise(one)) for one in sigma], x0.ndim)",
        "The weight is made of ln(sigma)/4, and grows beyond bounds near sigma = 1.",
    ),
    edm(
        "snr-weight-ignores-sigma-data",
        _SNR_WEIGHT,
        "return balanced / (sigma**2 + self.sigma_data**2)",
        "The loss has another scale wherever sigma_data is not 1.",
        at_commit(
            "k-snr-weight-ignores-sigma-data", "crowsonkb/k-diffusion", "5aaa99682d1c86c66a99645aeb77f8cfebccc815"
        ),
    ),
    edm(
        "error-unweighted",
        _WEIGHTED,
        "loss: Array = (difference**2).reshape(x0.shape[0], -1).mean(axis=1)",
        "All levels count alike in the model's own terms: low levels, where details are, hardly train.",
    ),
    edm(
        "error-of-denoised-unweighted",
        'weight if self.model_kind == "denoiser" else weight * float(prediction.c_out(level, self.sigma_data)) ** 2',
        'weight if self.model_kind == "denoiser" else float(prediction.c_out(level, self.sigma_data)) ** 2',
        "The network's error counts c_out^2, next to nothing at low levels: details hardly train.",
    ),
)
