"""Mistakes in steps of a chain's training: Ho et al. 2020, arXiv:2006.11239, and its weightings."""

from __future__ import annotations

from . import KnownFault, Replacement, at_commit, edits_of, file_at, issue
from .of_training import BATCH_OF_ONE, SHARED_NOISE, TOLD_IN_BFLOAT16, in_bfloat16

__all__ = ["FAULTS"]

_DDPM = "reference_samplers/ddpm_training.py"
chain = edits_of(_DDPM)
model = edits_of("reference_samplers/prediction.py")
_TIMESTEP = "t = draws.integers(0, self.num_train_timesteps, x0.shape[0])  # line 3, counted from 0"
_EPSILON = "epsilon = draws.normal(x0.shape)  # line 4"
_X_T = "x_t = np.sqrt(alpha_bar) * x0 + np.sqrt(1 - alpha_bar) * added  # line 5, the network's argument"
_TABLE = "alpha_bar = column(self.alpha_bar[t], x0.ndim)"
_TARGET = "target = self._target(x0, epsilon, alpha_bar)"
_ERROR = "difference = model(x_t, np.asarray(t, dtype=np.float64)) - target"
_WEIGHTED = "loss: Array = (weight * difference**2).reshape(x0.shape[0], -1).mean(axis=1)"
_UNIFORM = 'if self.weighting == "uniform":\n            return 1.0\n'
_DIVIDED = "return float(capped / divisor)"
_V = "v: Array = np.sqrt(alpha_bar) * epsilon - np.sqrt(1 - alpha_bar) * x0  # Salimans & Ho, section 4"
_DEBIASED = "1 / np.sqrt(np.minimum(self.snr(level), 1000))"

FAULTS: tuple[KnownFault, ...] = (
    # The chain: the timestep.
    chain(
        "timestep-zero-never-drawn",
        _TIMESTEP,
        "t = draws.integers(1, self.num_train_timesteps, x0.shape[0])  # line 3",
        "The last step of sampling asks about a timestep that was never trained: a grain remains.",
        file_at(
            "dome272-index-zero-never-used",
            "dome272/Diffusion-Models-pytorch",
            "be352208d0576039fec061238c0e4385a562a2d4",
            "ddpm.py",
        ),
    ),
    chain(
        "last-timestep-never-drawn",
        _TIMESTEP,
        "t = draws.integers(0, self.num_train_timesteps - 1, x0.shape[0])  # line 3",
        "Sampling starts at a timestep that was never trained.",
    ),
    chain(
        "one-timestep-for-the-batch",
        _TIMESTEP,
        "t = np.full(x0.shape[0], draws.integers(0, self.num_train_timesteps, 1))  # line 3",
        BATCH_OF_ONE,
    ),
    chain(
        "told-one-timestep-late",
        _ERROR,
        "difference = model(x_t, np.asarray(t + 1, dtype=np.float64)) - target",
        "A sampler that counts from 0 asks about the timestep before: some noise is left at every step.",
    ),
    chain(
        "timestep-told-in-bfloat16",
        _ERROR,
        f"{in_bfloat16('np.asarray(t, dtype=np.float64)')}        difference = model(x_t, told) - target",
        TOLD_IN_BFLOAT16,
    ),
    chain(
        "told-another-timestep",
        _ERROR,
        "difference = model(x_t, draws.integers(0, self.num_train_timesteps, x0.shape[0]) * 1.0) - target",
        "What the model is told says nothing of the noise that it sees, and it learns to ignore it.",
    ),
    # The chain: noise.
    chain(
        "noise-drawn-again-for-the-target",
        _TARGET,
        "target = self._target(x0, draws.normal(x0.shape), alpha_bar)",
        "The target is a noise that the input does not hold: the best that can be learned is its mean, 0.",
    ),
    KnownFault(
        "offset-noise-in-the-input-alone",
        (
            Replacement(_DDPM, _EPSILON, "epsilon = alone = draws.normal(x0.shape)  # line 4"),
            Replacement(_DDPM, _TARGET, "target = self._target(x0, alone, alpha_bar)"),
        ),
        "The model learns to leave a cast of color where it is.",
    ),
    chain(
        "perturbation-in-the-target-too",
        _TARGET,
        "target = self._target(x0, added, alpha_bar)",
        "The regularizer is nothing but stronger noise than the model is told.",
    ),
    chain(
        "chain-noise-shared-by-the-batch",
        _EPSILON,
        "epsilon = draws.normal((1, *x0.shape[1:]))  # line 4",
        "All items of a batch have the same noise, which a model can find by comparing them where it normalizes.",
    ),
    chain(
        "chain-noise-shared-by-channels",
        _EPSILON,
        "epsilon = draws.normal((x0.shape[0], 1, *x0.shape[2:]))  # line 4",
        SHARED_NOISE,
    ),
    # The chain: the input.
    chain(
        "scales-not-rooted",
        _X_T,
        "x_t = alpha_bar * x0 + (1 - alpha_bar) * added  # line 5",
        "The sampler meets other inputs at each timestep than those that were trained.",
    ),
    chain(
        "table-one-entry-late",
        _TABLE,
        "alpha_bar = column(np.concatenate([[1.0], self.alpha_bar[:-1]])[t], x0.ndim)",
        "The sampler takes away less noise at each timestep than there is.",
    ),
    chain(
        "noised-before-normalizing",
        _X_T,
        "x_t = 2 * (np.sqrt(alpha_bar) * (x0 + 1) / 2 + np.sqrt(1 - alpha_bar) * added) - 1  # line 5",
        "The noise is twice as strong as the model is told, and the mean is moved.",
        at_commit(
            "imagen-lowres-noised-before-normalising",
            "lucidrains/imagen-pytorch",
            "fa71a478ce516dc896cdab3eaa8dc7eb7fcfb747",
        ),
    ),
    chain(
        "data-left-in-unit-range",
        f"        {_TIMESTEP}",
        f"        x0 = (x0 + 1) / 2\n        {_TIMESTEP}",
        "Half of the range is never used; a sampler that clips to [-1, 1] makes washed-out pictures.",
        at_commit(
            "data-not-mapped-to-minus-one-one",
            "lucidrains/denoising-diffusion-pytorch",
            "16c9ae7bb315db507a45fdd6aeb785b6066539c9",
        ),
    ),
    chain(
        "data-normalized-twice",
        f"        {_TIMESTEP}",
        f"        x0 = 2 * x0 - 1\n        {_TIMESTEP}",
        "All that is darker than middle gray lies below -1, where a sampler clips it away.",
    ),
    # The chain: the target.
    chain(
        "v-of-other-sign",
        _V,
        "v: Array = np.sqrt(1 - alpha_bar) * x0 - np.sqrt(alpha_bar) * epsilon",
        "The loss falls as it should, and samples are noise.",
    ),
    chain(
        "v-with-scales-swapped",
        _V,
        "v: Array = np.sqrt(1 - alpha_bar) * epsilon - np.sqrt(alpha_bar) * x0",
        "The target is v only where alpha_bar is 1/2: everywhere else the sampler takes it for another mixture.",
    ),
    chain(
        "target-is-noise-as-added",
        '        if self.prediction == "epsilon":\n            return epsilon\n',
        '        if self.prediction == "epsilon":\n            return np.sqrt(1 - alpha_bar) * epsilon\n',
        "The sampler multiplies by that scale again, and leaves noise wherever there is little of it.",
    ),
    # The chain: the weight.
    chain(
        "snr-clamped-from-below",
        "capped = np.minimum(snr, self.snr_gamma)",
        "capped = np.maximum(snr, self.snr_gamma)",
        "Timesteps of little noise are not held back, those of much noise are blown up.",
        at_commit(
            "min-snr-clamp-direction",
            "lucidrains/denoising-diffusion-pytorch",
            "b8f8e4072d86321808488d31e2442a1c1604b572",
        ),
    ),
    chain(
        "one-added-to-the-weight-of-v",
        _DIVIDED,
        'return float(capped / snr + 1.0 if self.prediction == "v" else capped / divisor)',
        "Timesteps of much noise count for too much.",
        at_commit(
            "min-snr-v-weight-plus-one-afterwards",
            "huggingface/diffusers",
            "02a8d664a2a49289c4058d584b3694f3e4a1b0d2",
        ),
        at_commit("min-snr-v-plus-one-dreambooth", "huggingface/diffusers", "26e80e014331410087a76cc7979ea99fb736f30a"),
    ),
    chain(
        "x0-weighted-as-epsilon",
        'divisor = {"epsilon": snr, "x0": 1.0, "v": snr + 1.0}[self.prediction]',
        'divisor = {"epsilon": snr, "x0": snr, "v": snr + 1.0}[self.prediction]',
        "Images are learned where there is nothing to see, and hardly where details are.",
    ),
    chain(
        "weight-by-precedence",
        "return alpha_bar / (1 - alpha_bar)",
        "return 2 * alpha_bar / (2 * 1 - alpha_bar)",
        "The weight stays finite where it should grow without bound: details hardly count.",
        file_at(
            "ldm-lvlb-weight-precedence",
            "CompVis/latent-diffusion",
            "a506df5756472e2ebaf9078affdde2c4f1502cd4",
            "ldm/models/diffusion/ddpm.py",
        ),
    ),
    chain(
        "variational-term-trains-the-mean",
        _UNIFORM,
        'if self.weighting == "uniform":\n'
        "            alpha_bar = self.alpha_bar[int(level)]\n"
        "            beta = 1 - alpha_bar / (self.alpha_bar[int(level) - 1] if level > 0 else 1.0)\n"
        "            return float(1.0 + beta / (2 * (1 - beta) * (1 - alpha_bar)))\n",
        "The term that is meant for the variance alone weighs the mean by up to thousands: an unstable loss.",
        at_commit(
            "learned-variance-nll-gradient-reaches-mean",
            "lucidrains/denoising-diffusion-pytorch",
            "e0f26677d67970c4f7f804306b32ef2c0cada50f",
        ),
    ),
    chain(
        "debiased-weight-of-epsilon",
        'return of_level("weighting", self.weighting, int(level))',
        f"return float({_DEBIASED})",
        "The weight that is right for epsilon is taken for v too: timesteps of much noise count for far too much.",
        issue("kohya-debiased-weight-of-v", "kohya-ss/sd-scripts", 1058),
    ),
    chain(
        "error-weighted-by-debiasing",
        _UNIFORM,
        f'if self.weighting == "uniform":\n            return float({_DEBIASED})\n',
        "Timesteps of much noise count for more than those of little: the wrong way round for v and x0.",
    ),
    chain(
        "chain-error-unweighted",
        _WEIGHTED,
        "loss: Array = (difference**2).reshape(x0.shape[0], -1).mean(axis=1)",
        "All timesteps count alike in the model's own terms, whatever weighting is declared.",
    ),
)
