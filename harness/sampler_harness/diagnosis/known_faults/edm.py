"""Mistakes around Algorithm 2 of Karras et al. 2022, arXiv:2206.00364."""

from __future__ import annotations

from . import KnownFault, Replacement, at_commit, edits_of, file_at, issue

__all__ = ["FAULTS"]

_METHOD = "reference_samplers/edm.py"
method = edits_of(_METHOD)
_MODEL = "reference_samplers/processes/variance_exploding.py"
model = edits_of(_MODEL)
_DIFFUSERS_HEAD = "58eb52c0803ea9af3abec60841c2a093bdf1f951"

_INITIAL = "x: Array = self.initial_std * noise()  # line 2"
_DRAW = "epsilon = self.s_noise * noise()  # line 4"
_RISE = "x_hat = x + np.sqrt(sigma_hat**2 - sigma_cur**2) * epsilon  # line 6"
_SLOPE = "d_cur = (x_hat - denoised(x_hat, sigma_hat)) / sigma_hat  # line 7"
_STEP = "x = x_hat + (sigma_next - sigma_hat) * d_cur  # line 8"
_SECOND_SLOPE = "d_prime = (x - denoised(x, sigma_next)) / sigma_next  # line 10"
_CORRECTION = "x = x_hat + (sigma_next - sigma_hat) * (0.5 * d_cur + 0.5 * d_prime)  # line 11"
_WINDOW = "if self.s_tmin <= sigma <= self.s_tmax:"
_GAMMA = "return np.minimum(self.s_churn / (len(self.levels) - 1), np.sqrt(2.0) - 1)"
_OUTPUT = 'if self.model_kind == "denoiser":\n            return output'
_NETWORK_SEES = "return prediction.c_in(sigma, self.sigma_data)  # table 1, c_in"
_CHAIN_SEES = "return 1 / np.sqrt(sigma**2 + 1)"
_PRECONDITIONED = "preconditioned: Array = c_skip * x + c_out * output  # eq. 7"
_FROM_CHAIN = "return prediction.to_x0(self.model_kind, signal_scale * x, output, signal_scale, signal_scale * sigma)"


FAULTS: tuple[KnownFault, ...] = (
    # The first noise.
    method(
        "initial-noise-unscaled",
        _INITIAL,
        "x: Array = noise()  # line 2",
        "The run starts far too quiet for the level that the model is told, and samples lack contrast and detail.",
        issue("diamond-initial-noise-not-scaled", "eloialonso/diamond", 40),
    ),
    model(
        "initial-noise-at-last-level",
        "return self.sigma_grid[0] if self.initial_scale is None else self.initial_scale",
        "return self.sigma_grid[-2] if self.initial_scale is None else self.initial_scale",
        "The run starts from next to nothing, and all samples look alike.",
        at_commit(
            "azula-initial-sample-at-last-time", "probabilists/azula", "ef38465269ed7eac8a063dc340de13f68b9193e6"
        ),
    ),
    method(
        "initial-noise-scaled-twice",
        _INITIAL,
        "x: Array = self.initial_std**2 * noise()  # line 2",
        "The first noise is far stronger than the level that the model is told, and is never removed entirely.",
    ),
    method(
        "initial-noise-as-if-data-were-added",
        _INITIAL,
        "x: Array = np.sqrt(self.initial_std**2 + 1) * noise()  # line 2",
        "The first noise is a little stronger than the level that the model is told, which shows where that is low.",
    ),
    # Churn: what is raised, and by how much.
    method(
        "level-raised-without-noise",
        _RISE,
        "x_hat = x  # line 6",
        "The model is told of noise that was never added, and smooths detail away where there is churn.",
    ),
    method(
        "churn-noise-of-level-difference",
        _RISE,
        "x_hat = x + (sigma_hat - sigma_cur) * epsilon  # line 6",
        "Too little noise is renewed for the level that the model is told, and samples come out smooth.",
        file_at(
            "elucidated-imagen-repaint-std",
            "lucidrains/imagen-pytorch",
            "c166739b03b06fbc2e7c00116ffc81724626ad08",
            "imagen_pytorch/elucidated_imagen.py",
        ),
        file_at(
            "dalle2-renoise-std-is-linear-difference",
            "lucidrains/DALLE2-pytorch",
            "680dfc4d93b70f9ab23c814a22ca18017a738ef6",
            "dalle2_pytorch/dalle2_pytorch.py",
        ),
    ),
    method(
        "churn-noise-without-root",
        _RISE,
        "x_hat = x + (sigma_hat**2 - sigma_cur**2) * epsilon  # line 6",
        "Churn adds far too much noise at high levels and too little at low ones.",
    ),
    method(
        "churn-noise-of-whole-level",
        _RISE,
        "x_hat = x + (sigma_hat * epsilon if gamma > 0 else 0.0)  # line 6",
        "Churn adds the whole level's noise to what is there already, and much of it stays in the samples.",
    ),
    method(
        "s-noise-not-read",
        _DRAW,
        "epsilon = noise()  # line 4",
        "A tuned s_noise has no effect: the detail that it should bring back is missing.",
    ),
    method(
        "s-noise-squared",
        _DRAW,
        "epsilon = self.s_noise**2 * noise()  # line 4",
        "s_noise has twice the effect that it should have, and leaves grain where it is above 1.",
    ),
    method(
        "s-noise-within-variance",
        _DRAW,
        "epsilon = np.sqrt(self.s_noise) * noise()  # line 4",
        "s_noise has half the effect that it should have.",
    ),
    method(
        "gamma-without-limit",
        _GAMMA,
        "return self.s_churn / (len(self.levels) - 1)",
        "With much churn and few steps the level rises several times over, and no step can bridge the way back.",
    ),
    method(
        "gamma-limit-is-root-of-two",
        _GAMMA,
        "return np.minimum(self.s_churn / (len(self.levels) - 1), np.sqrt(2.0))",
        "With much churn and few steps the variance grows almost sixfold where it should at most double.",
    ),
    method(
        "gamma-not-shared-by-steps",
        _GAMMA,
        "return np.minimum(self.s_churn, np.sqrt(2.0) - 1)",
        "Every step renews as much noise as the whole run should: the more steps, the more detail is lost.",
    ),
    method(
        "gamma-shared-by-levels-not-steps",
        _GAMMA,
        "return np.minimum(self.s_churn / len(self.levels), np.sqrt(2.0) - 1)",
        "A little less noise is renewed than s_churn asks for, which shows with few steps.",
    ),
    method(
        "gamma-added-to-level",
        "sigma_hat = sigma_cur + gamma * sigma_cur  # line 5",
        "sigma_hat = sigma_cur + gamma  # line 5",
        "Low levels are drowned in renewed noise, and fine detail is lost.",
    ),
    method(
        "churn-window-without-its-ends",
        _WINDOW,
        "if self.s_tmin < sigma < self.s_tmax:",
        "No noise is renewed at a level that lies exactly on an end of the window.",
    ),
    method(
        "churn-window-not-read",
        f"        {_WINDOW}\n            {_GAMMA}\n        return 0.0",
        f"        {_GAMMA}",
        "Noise is renewed at every level: at the lowest ones it takes fine detail away.",
    ),
    method(
        "churn-window-without-lower-end",
        _WINDOW,
        "if sigma <= self.s_tmax:",
        "Noise is renewed at the lowest levels too, where it takes fine detail away.",
    ),
    method(
        "churn-window-without-upper-end",
        _WINDOW,
        "if self.s_tmin <= sigma:",
        "Noise is renewed at the highest levels too, where it changes what is in the sample.",
    ),
    method(
        "churn-window-asked-of-next-level",
        "gamma = self.gamma(sigma_cur)",
        "gamma = self.gamma(sigma_next)",
        "The window in which noise is renewed begins and ends one step early.",
    ),
    # Churn: what is done with it.
    method(
        "denoiser-told-level-before-rise",
        _SLOPE,
        "d_cur = (x_hat - denoised(x_hat, sigma_cur)) / sigma_hat  # line 7",
        "Noise is left in the samples, the more the more churn there is.",
        file_at(
            "diamond-denoiser-called-at-sigma-after-churn",
            "eloialonso/diamond",
            "5bcd1599755b4f2fae8e5e079e02f0728e174965",
            "src/models/diffusion/diffusion_sampler.py",
        ),
    ),
    method(
        "denoiser-called-before-rise",
        _SLOPE,
        "d_cur = (x_hat - denoised(x, sigma_cur)) / sigma_hat  # line 7",
        "The model never sees the renewed noise, and the more churn there is the worse the samples get.",
        file_at(
            "euler-churn-added-after-model-call",
            "huggingface/diffusers",
            _DIFFUSERS_HEAD,
            "src/diffusers/schedulers/scheduling_euler_discrete.py",
        ),
    ),
    method(
        "scaled-model-called-before-rise",
        _SLOPE,
        "output = model(x / np.sqrt(sigma_cur**2 + 1), self.time(sigma_cur))\n"
        "            d_cur = (x_hat - self.to_x0(x_hat, output, sigma_hat)) / sigma_hat  # line 7",
        "The model's output is read at another level than it was made at, and renewed noise stays in the samples.",
        file_at(
            "euler-churn-added-after-model-call",
            "huggingface/diffusers",
            _DIFFUSERS_HEAD,
            "src/diffusers/schedulers/scheduling_euler_discrete.py",
        ),
    ),
    method(
        "network-called-before-rise",
        _SLOPE,
        "output = model(x / np.sqrt(sigma_cur**2 + self.sigma_data**2), self.time(sigma_cur))\n"
        "            d_cur = (x_hat - self.to_x0(x_hat, output, sigma_hat)) / sigma_hat  # line 7",
        "The network's output is put together with constants of another level than it was made at.",
        file_at(
            "edm-euler-churn-added-after-model-call",
            "huggingface/diffusers",
            _DIFFUSERS_HEAD,
            "src/diffusers/schedulers/scheduling_edm_euler.py",
        ),
    ),
    method(
        "denoiser-given-state-before-rise",
        _SLOPE,
        "d_cur = (x_hat - denoised(x, sigma_hat)) / sigma_hat  # line 7",
        "The model is told of more noise than its input holds, and smooths detail away.",
    ),
    method(
        "slope-from-state-before-rise",
        _SLOPE,
        "d_cur = (x - denoised(x_hat, sigma_hat)) / sigma_hat  # line 7",
        "Renewed noise is left out of the slope, so that it stays in the samples.",
    ),
    method(
        "slope-over-level-before-rise",
        _SLOPE,
        "d_cur = (x_hat - denoised(x_hat, sigma_hat)) / sigma_cur  # line 7",
        "Steps with churn overshoot: they take more away than there is noise.",
    ),
    KnownFault(
        "step-from-level-before-rise",
        (
            Replacement(_METHOD, _STEP, "x = x_hat + (sigma_next - sigma_cur) * d_cur  # line 8"),
            Replacement(
                _METHOD,
                _CORRECTION,
                "x = x_hat + (sigma_next - sigma_cur) * (0.5 * d_cur + 0.5 * d_prime)  # line 11",
            ),
        ),
        "Steps with churn are too short: what was added on top of the level is never taken away.",
    ),
    KnownFault(
        "step-from-state-before-rise",
        (
            Replacement(_METHOD, _RISE, f"x_cur = x\n            {_RISE}"),
            Replacement(_METHOD, _STEP, "x = x_cur + (sigma_next - sigma_hat) * d_cur  # line 8"),
            Replacement(
                _METHOD,
                _CORRECTION,
                "x = x_cur + (sigma_next - sigma_hat) * (0.5 * d_cur + 0.5 * d_prime)  # line 11",
            ),
        ),
        "Renewed noise is taken away from a state that never got it, so that its negative stays in the samples.",
    ),
    # The correction.
    method(
        "corrector-told-level-before-rise",
        _SECOND_SLOPE,
        "d_prime = (x - denoised(x, sigma_cur)) / sigma_next  # line 10",
        "The model takes the state of the second call for noisier than it is, and smooths detail away.",
    ),
    method(
        "corrector-told-raised-level",
        _SECOND_SLOPE,
        "d_prime = (x - denoised(x, sigma_hat)) / sigma_next  # line 10",
        "The model takes the state of the second call for noisier than it is, the more so with churn.",
    ),
    method(
        "corrector-output-read-at-first-level",
        _SECOND_SLOPE,
        "output = model(x / np.sqrt(sigma_next**2 + 1), self.time(sigma_next))\n"
        "                d_prime = (x - self.to_x0(x, output, sigma_hat)) / sigma_hat  # line 10",
        "Images of v-models are noisy, while with epsilon-models there is nothing to see.",
        at_commit(
            "heun-second-stage-uses-first-sigma", "huggingface/diffusers", "0f1c24664c5dabbb0e2fb11115a4afe54dbc7c34"
        ),
    ),
    method(
        "second-slope-over-first-level",
        _SECOND_SLOPE,
        "d_prime = (x - denoised(x, sigma_next)) / sigma_hat  # line 10",
        "The second slope is too flat, most of all where the grid is coarse, and noise is left in the samples.",
    ),
    method(
        "second-slope-from-first-state",
        _SECOND_SLOPE,
        "d_prime = (x_hat - denoised(x, sigma_next)) / sigma_next  # line 10",
        "The way between two levels is counted as slope, and the samples overshoot.",
    ),
    method(
        "second-call-given-first-state",
        _SECOND_SLOPE,
        "d_prime = (x - denoised(x_hat, sigma_next)) / sigma_next  # line 10",
        "The second call sees more noise than it is told of, and leaves it in the samples.",
    ),
    method(
        "slopes-added",
        _CORRECTION,
        "x = x_hat + (sigma_next - sigma_hat) * (d_cur + d_prime)  # line 11",
        "Each corrected step goes twice as far as it should, and samples explode.",
    ),
    method(
        "second-slope-alone",
        _CORRECTION,
        "x = x_hat + (sigma_next - sigma_hat) * d_prime  # line 11",
        "The correction costs a second call and gains nothing: errors are as large as with Euler's method.",
    ),
    method(
        "correction-on-top-of-prediction",
        _CORRECTION,
        "x = x + (sigma_next - sigma_hat) * (0.5 * d_cur + 0.5 * d_prime)  # line 11",
        "Each corrected step is taken twice, and the samples overshoot.",
    ),
    method(
        "correction-of-last-step",
        'if self.solver == "heun" and sigma_next > 0:  # line 9',
        'if self.solver == "heun":  # line 9',
        "The last step divides by a level of 0, and samples are NaN.",
        issue("dpm-singlestep-3n-1-nan", "huggingface/diffusers", 9007),
    ),
    method(
        "step-in-logarithm-into-zero",
        _STEP,
        "step = np.log(sigma_hat) - np.log(sigma_next)\n"
        "            x = x_hat - step * ((1 - sigma_next / sigma_hat) / step) * sigma_hat * d_cur  # line 8",
        "The last step is infinitely long in the logarithm of the level, and samples are NaN.",
        file_at(
            "unipc-bh1-nan-at-zero-terminal",
            "huggingface/diffusers",
            _DIFFUSERS_HEAD,
            "src/diffusers/schedulers/scheduling_unipc_multistep.py",
        ),
    ),
    # The levels, and what stands around the network.
    method(
        "levels-are-variances",
        "in pairwise(self.sigma_grid):  # line 3",
        "in pairwise(self.sigma_grid**2):  # line 3",
        "The model is told levels that have nothing to do with the noise in the sample.",
        file_at(
            "karras-ve-schedule-is-variance",
            "huggingface/diffusers",
            _DIFFUSERS_HEAD,
            "src/diffusers/schedulers/deprecated/scheduling_karras_ve.py",
        ),
    ),
    model(
        "network-input-not-scaled",
        _NETWORK_SEES,
        "return 1.0  # table 1, c_in",
        "At high levels the network sees input many times larger than what it was trained on.",
    ),
    model(
        "skip-and-output-scales-swapped",
        _PRECONDITIONED,
        "preconditioned: Array = c_out * x + c_skip * output  # eq. 7",
        "The noisy sample is kept where the network's output belongs, and samples stay noise.",
    ),
    model(
        "skip-connection-missing",
        _PRECONDITIONED,
        "preconditioned: Array = c_out * output  # eq. 7",
        "What the denoiser should keep of its input is missing, and fine detail with it.",
    ),
    model(
        "network-told-level-itself",
        "return float(prediction.c_noise(sigma))",
        "return float(sigma)",
        "The network takes every level for another one, and samples are noise or blur.",
    ),
    model(
        "scaled-model-input-not-scaled",
        _CHAIN_SEES,
        "return 1.0",
        "At high levels the model sees input many times larger than what it was trained on.",
    ),
    KnownFault(
        "model-input-over-variance",
        (
            Replacement(_MODEL, _CHAIN_SEES, "return 1 / (sigma**2 + 1)"),
            Replacement(
                _MODEL,
                "signal_scale = 1 / np.sqrt(sigma**2 + 1)\n        return",
                "signal_scale = 1 / (sigma**2 + 1)\n        return",
            ),
        ),
        "At high levels the model sees next to nothing, and its output is given the wrong weight.",
    ),
    model(
        "model-output-read-with-unscaled-input",
        _FROM_CHAIN,
        "return prediction.to_x0(self.model_kind, x, output, signal_scale, signal_scale * sigma)",
        "Input and output of the model are put together at different scales, and samples explode.",
    ),
    model(
        "table-of-levels-without-logarithm",
        "return np.log(table)",
        "return table",
        "The model is told wrong timesteps: the logarithm of a level is looked up among levels.",
    ),
    model(
        "frames-quantised-by-truncation",
        _OUTPUT,
        'if self.model_kind == "denoiser":\n'
        "            return np.trunc((np.clip(output, -1, 1) + 1) / 2 * 255) / 255 * 2 - 1",
        "Frames get darker by half a gray level at each call of the denoiser.",
        file_at(
            "diamond-quantise-by-truncation",
            "eloialonso/diamond",
            "5bcd1599755b4f2fae8e5e079e02f0728e174965",
            "src/models/diffusion/denoiser.py",
        ),
    ),
    model(
        "denoised-clamped",
        _OUTPUT,
        'if self.model_kind == "denoiser":\n            return np.clip(output, -1, 1)',
        "What the denoiser gives beyond 1 is cut off at every level, which changes bright and dark parts.",
    ),
    method(
        "sample-mapped-to-unit-range",
        "        return x  # line 12",
        "        return (x + 1) / 2  # line 12",
        "Samples come out in [0, 1] where the data lies in [-1, 1]: of half the contrast for whatever takes them next.",
    ),
)
