"""The checks of a training step: what each claims, catches and is blind to. Light."""

from __future__ import annotations

from sampler_harness.checks.catalogue import CheckInfo

__all__ = ["CHECKS"]

_HOME = "sampler_harness.training.checks"

CHECKS: tuple[CheckInfo, ...] = (
    CheckInfo(
        "training/time-distribution",
        "timesteps",
        "each item has a time of its own, and the times are spread as the reference's are, both ends included",
        "randint from 1 or to T - 1, P_mean and P_std swapped, a missing exp, uniform for log-normal, one time for all",
        "which noise level belongs to a time (training/forward-backward-consistent)",
        f"{_HOME}:check_time_distribution",
        since="0.2",
    ),
    CheckInfo(
        "training/noise-matches-target",
        "noise dimensions",
        "the noise that is added is the noise that is predicted, a normal of its own for every element",
        "noise drawn a second time for the target, shared by the batch or the channels, uniform, or not from torch",
        "its strength (training/forward-backward-consistent)",
        f"{_HOME}:check_noise_matches_target",
        since="0.2",
    ),
    CheckInfo(
        "training/forward-backward-consistent",
        "noise dimensions",
        "at each time the model's input holds as much data and noise as the sampler's does at that time",
        "a missing root of alpha_bar, times off by one, a missing c_in, noising in half precision, range mistakes",
        "what the model's output is compared with (training/target)",
        f"{_HOME}:check_forward_backward_consistent",
        since="0.2",
    ),
    CheckInfo(
        "training/target",
        "the rest",
        "the model's output is compared with what the reference says, at each time",
        "a flipped sign of v, x0 for epsilon, c_skip or c_out missing, a loss that is not squared",
        "how much each time counts (training/weight)",
        f"{_HOME}:check_target",
        since="0.2",
    ),
    CheckInfo(
        "training/weight",
        "the rest",
        "times count against each other as the reference weighs them; a factor that is always the same is free",
        "min-SNR clamped in the wrong direction, a 1 added to the wrong side, sigma_data forgotten, a square too many",
        "a weight that is wrong by the same factor at all times and in all configurations",
        f"{_HOME}:check_weight",
        since="0.2",
    ),
    CheckInfo(
        "training/gradient",
        "the rest",
        "the gradient reaches the model's output at each time and every parameter, and is the loss's own",
        "detached outputs, no_grad, a gradient that differs from the numerical one, losses that do not accumulate",
        "optimisers, schedules of the learning rate and EMA",
        f"{_HOME}:check_gradient",
        since="0.2",
    ),
    CheckInfo(
        "training/shape",
        "shapes",
        "the step means the same for every batch size and shape: an item's loss depends on that item alone",
        "weights or sigma broadcast along the wrong axis, statistics over the batch, a loss of a part of the batch",
        "shapes that are not declared",
        f"{_HOME}:check_shape",
        since="0.2",
    ),
)
