"""What each check says when it fails: one real failure of a faulty sampler, training step or data set each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EXAMPLES", "Example"]


@dataclass(frozen=True)
class Example:
    """One failure.

    Attributes:
        fault: whose, below ``fixtures`` of this project's repository.
        message: what was said of it.
    """

    fault: str
    message: str


EXAMPLES: dict[str, Example] = {
    "law/times": Example(
        "faulty_samplers.edm:denoiser_at_sigma_after_churn", "model call 0 is told time 5, should be 7.07107"
    ),
    "law/initial-noise": Example(
        "faulty_samplers.edm:initial_noise_unscaled",
        "the first model input has standard deviation 1, should be 5: the first noise is not scaled",
    ),
    "law/outputs": Example(
        "faulty_samplers.edm:corrector_with_first_sigma",
        "step 1: the input of model call 2 holds -0.0215461 times what the model returned in call 0, "
        "should be -0.414564 times",
    ),
    "law/noise": Example(
        "faulty_samplers.edm:rise_adds_standard_deviations",
        "step 0: fresh noise of standard deviation 0.000828427 enters the input of model call 1, should be 0.002",
    ),
    "law/offset": Example(
        "faulty_samplers.constructed:undeclared_output_range", "the returned sample holds the constant 0.5, should be 0"
    ),
    "law/forward": Example(
        "faulty_samplers.ddim:add_noise_of_another_scale",
        "add_noise at entry 0 of the grid weighs the noise with 3.44297, should be 0.960314: the run from"
        " there starts at another level",
    ),
    "law/partial": Example(
        "faulty_samplers.ddim:partial_run_one_step_late",
        "a run from entry 0 of the grid calls its model 1 times, should be 2 as in the tail of the whole run",
    ),
    "noise/shape": Example(
        "faulty_samplers.ddpm:offset_noise_at_inference",
        "one drawn number reaches 256 elements of the sample (draw 2 of shape (2, 3, 1, 1), after model "
        "call 0): places of an item share it",
    ),
    "noise/generator": Example(
        "faulty_samplers.state:generator_ignored",
        "draw 1 of 2 (randn, after model call 0) does not use the given generator",
    ),
    "shape/batch": Example(
        "faulty_samplers.clip:quantile_over_batch",
        "step 2: an item gives another result in a batch of three than alone, with the same draws and the"
        " same model outputs: items of a batch are coupled",
    ),
    "shape/any": Example(
        "faulty_samplers.shape:threshold_for_images_only",
        "shape (2, 2, 3, 5, 4): the sampler raised ValueError: too many values to unpack (expected 4)",
    ),
    "steps/any": Example(
        "faulty_samplers.edm:one_step_schedule_fails",
        "with 1 steps: the sampler raised UnboundLocalError: cannot access local variable 'step' where it"
        " is not associated with a value",
    ),
    "state/rerun": Example(
        "faulty_samplers.state:running_sum_survives",
        "with another run started in the middle the result differs from the first run on the same draws and"
        " outputs: by 8.92, first in the input of model call 2: something of the earlier run is left",
    ),
    "state/side-effects": Example(
        "faulty_samplers.state:output_written_over",
        "the sampler writes over the tensor that its model returned in call 0: a model that keeps its "
        "output would see it changed",
    ),
    "precision/dtype": Example(
        "faulty_samplers.casts:sample_through_bfloat16",
        "in float32 the returned sample is off by 0.0016 of its size from what the sampler's own coefficients give, "
        "where float32 is off by 6e-08: every number fits into bfloat16, it went through a cast",
    ),
    "clip/replay": Example(
        "faulty_samplers.clip:clip_without_rederiving",
        "when the clamp bites, the input of model call 1 holds 0.841119 where the reference has 0.991955 "
        "(same draws, same model outputs)",
    ),
    "limit/gaussian": Example(
        "faulty_samplers.constructed:slope_too_short",
        "with the exact denoiser of a Gaussian the distance to the exact solution is 0.902 at 12 steps "
        "and 0.896 at 48, and would stay at 0.896: it converges to something else",
    ),
    "limit/order": Example(
        "faulty_samplers.constructed:corrector_too_short",
        "the error falls with slope -0.09 between 12 and 48 steps, should be 2: the method has not the "
        "order that it claims",
    ),
    "training/time-distribution": Example(
        "faulty_training.edm:mean_and_std_swapped",
        "the time below which 1e-06 of the draws lie is 0.0549479, should be 0.00577958 (median 0.387744,"
        " should be 0.764506)",
    ),
    "training/noise-matches-target": Example(
        "faulty_training.ddpm:offset_noise_not_declared",
        "at time 900 noise that a channel shares has the weight 0.09999 in the input, should be 0 (offset noise)",
    ),
    "training/forward-backward-consistent": Example(
        "faulty_training.ddpm:noised_before_normalizing",
        "at time 995 the model's input holds 1.99996 times the noise, should be 0.999978",
    ),
    "training/target": Example(
        "faulty_training.ddpm:v_of_other_sign",
        "at time 995 the target holds 0.999978 times the data, should be -0.999978 (the sign is turned)",
    ),
    "training/weight": Example(
        "faulty_training.ddpm:snr_clamped_from_below",
        "at time 999 an item counts 90.9989, should be 1 (relative to the median of all times): 91 times too much",
    ),
    "training/gradient": Example(
        "faulty_training.edm:output_detached",
        "the loss has no gradient: the model's output is detached, or the step runs under "
        "torch.no_grad(), or it has called backward() and returned a copy",
    ),
    "training/shape": Example(
        "faulty_training.ddpm:weights_times_losses_of_all",
        "at time 999 an item counts 0.919404, should be 4.03583e-05 (relative to the median of all "
        "times): 2.278e+04 times too much",
    ),
    "data/shape": Example(
        "faulty_data.ranges:stretched_per_frame",
        "NaN or infinity comes out for test frames (black, white, gray; all but the noise are even): a "
        "game that fades to black would feed it to the model; a division by the frame's own spread or "
        "maximum does this",
    ),
    "data/range": Example(
        "faulty_data.ranges:conditioned_before_mapping",
        "black becomes 0 and white 1 ([0,1]: the range that ToTensor gives), should be -1 and 1",
    ),
    "data/gamma": Example(
        "faulty_data.ranges:standardised_per_frame",
        "the same gray comes out 255 levels apart when the rest of the frame is black or white: the "
        "frame's own statistics (mean, spread, minimum, maximum) are in the output, so that one object "
        "has another brightness in each frame; use fixed constants",
    ),
    "data/channel-weights": Example(
        "faulty_data.tones:bgr_for_rgb",
        "the output is 0.114 red + 0.587 green + 0.299 blue (rec601 with red and blue swapped), should be"
        " 0.299 red + 0.587 green + 0.114 blue (rec601): red and blue are swapped, BGR was taken for RGB "
        "or the other way round",
    ),
    "data/rounding": Example(
        "faulty_data.tones:luma_truncated",
        "where colors are turned into gray, 0% of what lies between two gray levels is rounded up, should"
        " be a half: it is truncated (a cast to integers, floor division), half a gray level darker on "
        "average; round first",
    ),
    "data/resize": Example(
        "faulty_data.pictures:decimated",
        "rows are resampled by nearest, 0.00 times as wide as exact area averaging, 125 of 210 lines "
        "reach no output, shifted by -1.00 pixels of the frame; should be area (weights differ by up to "
        "0.67): pixels are picked, not averaged, so that a ball of one pixel flickers or is never seen",
    ),
    "data/pooling": Example(
        "faulty_data.pictures:frames_averaged",
        "a sprite that only frame 1 of 2 holds comes out 127 gray levels darker than one that all hold, "
        "should be the same: take the maximum over the frames (sprites that an Atari draws in every other"
        " frame blink)",
    ),
    "data/round-trip": Example(
        "faulty_data.returns:truncated",
        "gray 1 comes back as 0, should be 1 (inverse of preprocess; 63 of 256 grays are off): a "
        "truncation does this: round before the cast",
    ),
    "data/clip-range": Example(
        "faulty_data.ranges:clip_of_another_range",
        "the data fills [0, 1] only, 50% of what the sampler clips to, [-1, 1]: samples wash out, since "
        "nothing holds them in the data's range; map the data to [-1, 1]",
    ),
    "data/latent-scale": Example(
        "faulty_data.latents:scale_forgotten",
        "before the model latents are multiplied by 1, should be 0.18215: the scale of 0.18215 is wrong "
        "there (it is forgotten)",
    ),
    "data/frames": Example(
        "faulty_data.batches:ragged",
        "batch 0 of ragged: its images have different shapes ((1, 32, 32), (1, 33, 33), (1, 34, 34)): "
        "resize or pad them to one",
    ),
    "data/channels": Example(
        "faulty_data.batches:channels_last",
        "batches have shape (8, 32, 32, 3), channels last; should be (batch, channels, height, width): "
        "permute(0, 3, 1, 2)",
    ),
    "data/dtype": Example(
        "faulty_data.batches:double_precision",
        "batches have dtype float64, should be float32: numpy's default was kept, at twice the memory",
    ),
    "data/finite": Example(
        "faulty_data.batches:divided_by_own_spread",
        "batch 3, item 5 holds NaN (channel 0, row 0, column 0; 1 of 4 batches do): a frame of one value "
        "divided by its own spread, or a corrupt file",
    ),
    "data/normalisation": Example(
        "faulty_data.batches:in_zero_one",
        "values run from exactly 0 to 1, and 0 is no gray level of [-1, 1]: the data is in [0, 1] and was"
        " not mapped to [-1, 1] (x * 2 - 1 is missing): samples wash out",
    ),
    "data/contrast": Example(
        "faulty_data.batches:half_of_the_contrast",
        "the data stands on 256 levels from -0.5 to 0.5: 50.0% of the range [-1, 1], should be all of it:"
        " contrast is lost by a factor of 0.5",
    ),
}
