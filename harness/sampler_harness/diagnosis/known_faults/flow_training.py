"""Mistakes in steps of flow matching: Liu et al. 2022, arXiv:2209.03003."""

from __future__ import annotations

from . import KnownFault, edits_of, issue
from .of_training import TOLD_IN_BFLOAT16, in_bfloat16

__all__ = ["FAULTS"]

flow = edits_of("reference_samplers/flow_training.py")
model = edits_of("reference_samplers/prediction.py")
_FLOW_TOLD = "difference = model(x_t, self.time_scale * t) - (noise - x0)  # eq. 1"
_PATH = "x_t = (1 - t_) * x0 + t_ * noise"
_SHIFTED = "return float(self.shift * t / (1 + (self.shift - 1) * t))  # Esser et al. eq. 23"
_LOGIT = "t = 1 / (1 + np.exp(-(self.logit_mean + self.logit_std * t)))  # Esser et al. eq. 19"

FAULTS: tuple[KnownFault, ...] = (
    # The flow.
    flow(
        "velocity-of-other-sign",
        _FLOW_TOLD,
        "difference = model(x_t, self.time_scale * t) - (x0 - noise)",
        "The sampler walks away from the data.",
    ),
    flow(
        "told-time-from-the-other-end",
        _FLOW_TOLD,
        "difference = model(x_t, self.time_scale * (1 - t)) - (noise - x0)  # eq. 1",
        "The sampler asks about noise, and is answered about data.",
    ),
    flow(
        "told-unshifted-time",
        _FLOW_TOLD,
        "difference = model(x_t, self.time_scale * drawn) - (noise - x0)  # eq. 1",
        "The model learns another meaning of time than its sampler has.",
        issue("flowmatch-custom-timesteps-not-shifted", "huggingface/diffusers", 14013),
    ),
    flow(
        "time-told-in-bfloat16",
        _FLOW_TOLD,
        f"{in_bfloat16('self.time_scale * t')}        difference = model(x_t, told) - (noise - x0)  # eq. 1",
        TOLD_IN_BFLOAT16,
        issue("diffsynth-timestep-in-bfloat16", "modelscope/DiffSynth-Studio", 1025, "pull"),
    ),
    flow(
        "path-of-a-circle",
        _PATH,
        "x_t = np.sqrt(1 - t_**2) * x0 + t_ * noise",
        "The target is the straight line's, the path is not: the flow that is learned leads elsewhere.",
    ),
    flow(
        "logit-without-sigmoid",
        _LOGIT,
        "t = np.clip(self.logit_mean + self.logit_std * t, 0, 1)",
        "A large share of all items is pure data or pure noise.",
    ),
    flow(
        "logit-mean-scaled-by-std",
        _LOGIT,
        "t = 1 / (1 + np.exp(-((self.logit_mean + t) * self.logit_std)))",
        "The times that are trained most lie elsewhere than declared, wherever the mean is not 0.",
    ),
    flow(
        "shift-turned-round",
        _SHIFTED,
        "return float(t / (self.shift - (self.shift - 1) * t))",
        "Times gather at the data, where the shift should bring them to the noise.",
    ),
)
