"""The checks of a training step, one row each, in the order in which they run."""

from __future__ import annotations

from functools import partial

from .row import CheckInfo

__all__ = ["TRAINING_CHECKS"]

_check = partial(CheckInfo, kind="training", module="checks", since="0.2")

TRAINING_CHECKS: tuple[CheckInfo, ...] = (
    _check(
        "training/time-distribution",
        "timesteps",
        module="time_checks",
        claim="each item has a time of its own, and the times are spread as the reference's are, both ends included",
        catches=(
            "randint from 1 or to T - 1, P_mean and P_std swapped, a missing exp, uniform for log-normal, one time for "
            "all"
        ),
        blind_to="which noise level belongs to a time (training/forward-backward-consistent)",
        remedy=(
            "print the times of some batches: randint excludes its upper end, a log-normal needs exp, and each item "
            "needs a time of its own (shape (B,))."
        ),
        fault="faulty_training.edm:mean_and_std_swapped",
        example=(
            "the time below which 1e-06 of the draws lie is 0.0549479, should be 0.00577958 (median 0.387744, should "
            "be 0.764506)"
        ),
    ),
    _check(
        "training/noise-matches-target",
        "noise dimensions",
        module="noise",
        claim="the noise that is added is the noise that is predicted, a normal of its own for every element",
        catches=(
            "noise drawn a second time for the target, shared by the batch or the channels, uniform, or not from "
            "torch, one seed for all items or all steps"
        ),
        blind_to="its strength (training/forward-backward-consistent)",
        remedy=(
            "draw the noise once per step with torch.randn_like(x0), and use that very tensor in the input and in the "
            "target."
        ),
        fault="faulty_training.ddpm:offset_noise_not_declared",
        example=(
            "at time 900 noise that a channel shares has the weight 0.09999 in the input, should be 0 (offset noise)"
        ),
    ),
    _check(
        "training/forward-backward-consistent",
        "noise dimensions",
        claim="at each time the model's input holds as much data and noise as the sampler's does at that time",
        catches=(
            "a missing root of alpha_bar, times off by one, a missing c_in, noising in half precision, range mistakes"
        ),
        blind_to="what the model's output is compared with (training/target)",
        remedy=(
            "training and sampling must share one table: sqrt(alpha_bar) and sqrt(1 - alpha_bar), or 1 and sigma, at "
            "the same index; and the data must be in its final range before noise is added."
        ),
        fault="faulty_training.ddpm:noised_before_normalizing",
        example="at time 995 the model's input holds 1.99996 times the noise, should be 0.999978",
    ),
    _check(
        "training/target",
        "the rest",
        claim="the model's output is compared with what the reference says, at each time",
        catches="a flipped sign of v, x0 for epsilon, c_skip or c_out missing, a loss that is not squared",
        blind_to="how much each time counts (training/weight)",
        remedy=(
            "compare with what the model is to predict: epsilon, x0 or v = sqrt(alpha_bar) epsilon - sqrt(1 - "
            "alpha_bar) x0, squared, and with EDM's c_skip and c_out on the side where the paper has them."
        ),
        fault="faulty_training.ddpm:v_of_other_sign",
        example="at time 995 the target holds 0.999978 times the data, should be -0.999978 (the sign is turned)",
    ),
    _check(
        "training/weight",
        "the rest",
        claim="times count against each other as the reference weighs them; a factor that is always the same is free",
        catches=(
            "min-SNR clamped in the wrong direction, a 1 added to the wrong side, sigma_data forgotten, a square too "
            "many"
        ),
        blind_to="a weight that is wrong by the same factor at all times and in all configurations",
        remedy=(
            "compute the weight at two times by hand: min-SNR takes min(SNR, gamma), divided by SNR for epsilon; EDM "
            "has (sigma^2 + sigma_data^2) / (sigma sigma_data)^2. A weight of your own is declared as a function of "
            "the level: weighting=lambda t: ..."
        ),
        fault="faulty_training.ddpm:snr_clamped_from_below",
        example=(
            "at time 999 an item counts 90.9989, should be 1 (relative to the median of all times): 91 times too much"
        ),
    ),
    _check(
        "training/gradient",
        "the rest",
        claim="the gradient reaches the model's output at each time and every parameter, and is the loss's own",
        catches=(
            "detached outputs, no_grad, a gradient that differs from the numerical one, losses that do not accumulate"
        ),
        blind_to="optimisers, schedules of the learning rate and EMA",
        remedy=(
            "look for detach(), no_grad, .item(), .data and numpy() between the model and the loss, and for parameters "
            "that the forward pass does not use."
        ),
        fault="faulty_training.edm:output_detached",
        example=(
            "the loss has no gradient: the model's output is detached, or the step runs under torch.no_grad(), or it "
            "has called backward() and returned a copy"
        ),
    ),
    _check(
        "training/shape",
        "shapes",
        claim="the step means the same for every batch size and shape: an item's loss depends on that item alone",
        catches=(
            "weights or sigma broadcast along the wrong axis, statistics over the batch, a loss of a part of the batch"
        ),
        blind_to="shapes that are not declared",
        remedy=(
            "give weights and sigmas the shape (B, 1, 1, 1) before they meet images, and take the mean over items, not "
            "sums over what the batch happens to hold."
        ),
        fault="faulty_training.ddpm:weights_times_losses_of_all",
        example=(
            "at time 999 an item counts 0.919404, should be 4.03583e-05 (relative to the median of all times): "
            "2.278e+04 times too much"
        ),
    ),
)
