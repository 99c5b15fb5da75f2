"""The checks of a sampler, one row each, in the order in which they run."""

from __future__ import annotations

from functools import partial

from .row import CheckInfo

__all__ = ["SAMPLER_CHECKS"]

_check = partial(CheckInfo, kind="sampler")

SAMPLER_CHECKS: tuple[CheckInfo, ...] = (
    _check(
        "law/times",
        "timesteps",
        claim="the model is called at the reference's times, in number and order",
        catches="a wrong grid, sigma where sigma_hat belongs, one call too many, rounded or shifted timesteps",
        blind_to="a right time told with a wrong noise level in x (law/noise, law/outputs)",
        remedy=(
            "print the times (or sigmas) that your loop goes through beside those of the reference's grid. One "
            "too many, or shifted: look at the ends of a linspace or range. The right number but wrong values: look "
            "at what that line passes to the model."
        ),
        fault="faulty_samplers.edm:denoiser_at_sigma_after_churn",
        example="model call 0 is told time 5, should be 7.07107",
        relative=True,
    ),
    _check(
        "law/initial-noise",
        "noise dimensions",
        claim="the first model input has the reference's scale",
        catches="a first noise that is not multiplied by sigma_max, or scaled twice",
        blind_to="what happens after the first call",
        remedy=(
            "multiply the first noise by the first noise level (sigma_max in EDM; DDPM starts from plain noise), "
            "once, or declare initial_scale if yours is intended. With churn on, the noise that it adds before "
            "the first call counts too: is the scale right without churn?"
        ),
        fault="faulty_samplers.edm:initial_noise_unscaled",
        example="the first model input has standard deviation 1, should be 5: the first noise is not scaled",
        relative=True,
    ),
    _check(
        "law/outputs",
        "the rest",
        claim="each update weighs the state and the model's outputs as the reference does",
        catches="wrong coefficients, a wrong sigma in a step, epsilon taken for v, a corrector with the first sigma",
        blind_to="fresh noise (law/noise) and what only shows when a clamp bites (clip/replay)",
        remedy=(
            "compare the update after that model call with the paper's line, coefficient by coefficient: which sigma "
            "or alpha_bar (this step's or the next one's), and what the model predicts (noise, image or v)."
        ),
        fault="faulty_samplers.edm:corrector_with_first_sigma",
        example=(
            "step 1: the input of model call 2 holds -0.0215461 times what the model returned in call 0, should be "
            "-0.414564 times"
        ),
        relative=True,
    ),
    _check(
        "law/noise",
        "noise dimensions",
        claim="fresh noise enters with the right strength at each step, and where the paper has none, none",
        catches="variance for standard deviation, noise on the last step, missing, doubled or reused draws",
        blind_to="noise shared between items or pixels (noise/shape)",
        remedy=(
            "look at the factor in front of randn in that step: it should be a standard deviation, not a "
            "variance, and that of this step, not of the next. Add none after the last step, and use each draw "
            "once."
        ),
        fault="faulty_samplers.edm:rise_adds_standard_deviations",
        example=(
            "step 0: fresh noise of standard deviation 0.000828427 enters the input of model call 1, should be 0.002"
        ),
        relative=True,
    ),
    _check(
        "law/offset",
        "the rest",
        claim="nothing constant is added",
        catches="an undeclared (x + 1) / 2, a mean that is not zero, noise that does not come from a generator",
        blind_to="constants that the declaration undoes",
        remedy=(
            "something is added that is neither state, noise nor the model's output. Declare a final (x + 1) / 2 "
            "with output_scale=0.5, output_shift=0.5; draw noise with torch instead of numpy."
        ),
        fault="faulty_samplers.constructed:undeclared_output_range",
        example="the returned sample holds the constant 0.5, should be 0",
        relative=True,
    ),
    _check(
        "law/forward",
        "noise dimensions",
        module="forward",
        claim="add_noise has the law's own signal and noise scales at every entry of the grid",
        catches="noise added at another level than the run starts from, a dropped noise argument",
        blind_to="samplers that offer no add_noise",
        remedy=(
            "add_noise and the sampler must read one table at one index: at entry k of the grid, x0 times the first "
            "number plus noise times the second is what a run starts from there."
        ),
        fault="faulty_samplers.ddim:add_noise_of_another_scale",
        example=(
            "add_noise at entry 0 of the grid weighs the noise with 3.44297, should be 0.960314: the run from there "
            "starts at another level"
        ),
    ),
    _check(
        "law/partial",
        "timesteps",
        module="forward",
        claim="a run from step k is the tail of the whole run",
        catches="image-to-image starting one step off, history left from an earlier start",
        blind_to="samplers that cannot start in the middle",
        remedy=(
            "a run that starts in the middle must begin at that entry of the same grid, with nothing left of an "
            "earlier run (previous outputs, step counters)."
        ),
        fault="faulty_samplers.ddim:partial_run_one_step_late",
        example="a run from entry 0 of the grid calls its model 1 times, should be 2 as in the tail of the whole run",
    ),
    _check(
        "noise/shape",
        "noise dimensions",
        claim="every element of the sample receives its own independent normal",
        catches=(
            "noise broadcast over the batch, channels or pixels; elements that receive none; draws that are made of an "
            "earlier one's random numbers: a generator that is seeded anew or put back, one seed for all items"
        ),
        blind_to="its strength (law/noise); seeds that are equal by chance",
        remedy=(
            "draw noise with torch.randn_like(x) or with the sample's whole shape: no size 1 that is broadcast, and no "
            "noise that is used twice. Seed before the run, never between draws; items and steps with generators of "
            "their own need seeds of their own (seed + i)."
        ),
        fault="faulty_samplers.ddpm:offset_noise_at_inference",
        example=(
            "one drawn number reaches 256 elements of the sample (draw 2 of shape (2, 3, 1, 1), after model call 0): "
            "places of an item share it"
        ),
    ),
    _check(
        "noise/generator",
        "noise dimensions",
        claim="a given generator feeds every draw, the global stream is untouched, nothing random is hidden",
        catches=(
            "an ignored generator, a seed of the sampler's own beside it, numpy noise, results that differ with the "
            "same draws"
        ),
        blind_to="a generator on the wrong device, where there is only one device",
        remedy=(
            "pass generator= to every randn and randint of the sampler, or seed generators of your own from it "
            "(generator.initial_seed() + i); draw nothing from numpy or random, and leave the global seed alone."
        ),
        fault="faulty_samplers.state:generator_ignored",
        example="draw 1 of 2 (randn, after model call 0) does not use the given generator",
    ),
    _check(
        "shape/batch",
        "shapes",
        claim="an item does not depend on its neighbours, on the batch's size or on its position",
        catches="statistics over the batch, an item that is never updated, a threshold shared by the batch",
        blind_to="coupling inside one item",
        remedy=(
            "look for what runs over axis 0: mean(), std(), norm(), max() or quantile() without dim=, an index [0], a "
            "threshold for the whole batch."
        ),
        fault="faulty_samplers.clip:quantile_over_batch",
        example=(
            "step 2: an item gives another result in a batch of three than alone, with the same draws and the same "
            "model outputs: items of a batch are coupled"
        ),
    ),
    _check(
        "shape/any",
        "shapes",
        claim="the law is the same for every declared shape",
        catches="hard-coded sizes or axes, a channel treated differently, memory layout taken for granted",
        blind_to="shapes that are not declared (by default images only)",
        remedy=(
            "look for hard-coded sizes and axes: view(B, C, H, W), [:, None, None, None], mean over dim=(1, 2, 3); or "
            "declare the shapes that the sampler is for with shapes=."
        ),
        fault="faulty_samplers.shape:threshold_for_images_only",
        example="shape (2, 2, 3, 5, 4): the sampler raised ValueError: too many values to unpack (expected 4)",
    ),
    _check(
        "steps/any",
        "timesteps",
        claim="the law holds for one, two, few, many and indivisible numbers of steps",
        catches="NaN for one step, a grid that is right only where the steps divide the table",
        blind_to="numbers of steps that the declaration does not allow",
        remedy=(
            "run it with that number of steps and look at the grid: divisions by num_steps - 1, a stride that does not "
            "divide the table, a variable that is set only inside the loop."
        ),
        fault="faulty_samplers.edm:one_step_schedule_fails",
        example=(
            "with 1 step: the sampler raised UnboundLocalError: cannot access local variable 'step' where it is not "
            "associated with a value"
        ),
    ),
    _check(
        "state/rerun",
        "the rest",
        claim="a second run, a run after another configuration and interleaved runs give the same result",
        catches="tables cast in place, history that survives, lists that are not refreshed",
        blind_to="state that only shows after many runs",
        remedy=(
            "reset in set_timesteps (or at the start of the run) whatever the sampler keeps in self or in a global: "
            "counters, previous outputs, tables that were cast or written over."
        ),
        fault="faulty_samplers.state:running_sum_survives",
        example=(
            "with another run started in the middle the result differs from the first run on the same draws and "
            "outputs: by 8.92, first in the input of model call 2: something is left over from the earlier run"
        ),
    ),
    _check(
        "state/side-effects",
        "the rest",
        claim="arguments and global settings are as before",
        catches="the model's output written over, a changed default dtype, grad mode or training flag",
        blind_to="files, environment and other libraries' settings",
        remedy=(
            "work on a copy of what belongs to others (x = x.clone(), no add_ or clamp_ on the model's output), and "
            "put back what is set globally, with a context manager."
        ),
        fault="faulty_samplers.state:output_written_over",
        example=(
            "the sampler writes over the tensor that its model returned in call 0: a model that keeps its output would "
            "see it changed"
        ),
    ),
    _check(
        "precision/dtype",
        "the rest",
        claim="the sample has the declared dtype and each declared dtype is as accurate as it can be",
        catches=(
            "half-precision timesteps, tables in too low a precision, a sample that comes back in another dtype, a "
            "cast to a narrower one on the way"
        ),
        blind_to="accuracy beyond the declared dtype",
        remedy=(
            "keep tables and times in float32 or float64, cast coefficients to the sample's dtype where they meet it, "
            "pass nothing through .half() or .bfloat16() (autocast does that too), and return the dtype that was "
            "asked for, or the one that output_dtype= declares."
        ),
        fault="faulty_samplers.casts:sample_through_bfloat16",
        example=(
            "in float32 the returned sample is off by 0.0016 of its size from what the sampler's own coefficients "
            "give, where float32 is off by 6e-08: every number fits into bfloat16, it went through a cast"
        ),
    ),
    _check(
        "clip/replay",
        "the rest",
        claim="with large values the sampler still does what the reference does",
        catches=(
            "tanh for a clamp, a clamp that is missing, misplaced or undeclared, a wrong threshold; where the "
            "reference has no law (a corrector's norms), any step that differs"
        ),
        blind_to="values beyond those that were tried",
        remedy=(
            "it is right with ordinary values and wrong with large ones. Does it clamp where the reference does, "
            "in the same place, and compute epsilon again from the clamped x0? Declare what yours clamps on "
            "purpose: x0 by the reference's field for it, the finished sample with output_clip=."
        ),
        fault="faulty_samplers.clip:clip_without_rederiving",
        example=(
            "when the clamp bites, the input of model call 1 holds 0.841119 where the reference has 0.991955 (same "
            "draws, same model outputs)"
        ),
    ),
    _check(
        "limit/gaussian",
        "the rest",
        claim="with the exact denoiser of a Gaussian the result converges to the exact solution",
        catches="a formula that is wrong in the reference too, where it does not even converge",
        blind_to="a right limit reached too slowly (limit/order)",
        remedy=(
            "even with a perfect model and many steps the result is wrong: a factor in the update does not belong "
            "there, whatever the other checks say."
        ),
        fault="faulty_samplers.constructed:slope_too_short",
        example=(
            "with the exact denoiser of a Gaussian the distance to the exact solution is 0.902 at 12 steps and 0.896 "
            "at 48, and would stay at 0.896: it converges to something else"
        ),
    ),
    _check(
        "limit/order",
        "timesteps",
        claim="the order that the method claims is the order that it has",
        catches="a corrector that corrects nothing, halved differences, a published formula that loses an order",
        blind_to="stochastic samplers",
        remedy=(
            "the correction does not correct: it must use the slope at the end of the step, at the time of the end, "
            "and both slopes with their weights."
        ),
        fault="faulty_samplers.constructed:corrector_too_short",
        example=(
            "the error falls with slope -0.09 between 12 and 48 steps, should be 2: the method does not have the "
            "order that it claims"
        ),
    ),
)
