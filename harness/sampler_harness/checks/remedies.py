"""What to try when a check fails: for a person who knows their own code, and nothing of how checks work."""

from __future__ import annotations

__all__ = ["REMEDIES"]

#: Check id to one or two sentences.
REMEDIES: dict[str, str] = {
    "law/times": (
        "print the times (or sigmas) that your loop goes through beside those of the reference's grid. One too many "
        "or shifted: the ends of a linspace or range. Right in number but off: what is passed to the model in that "
        "line."
    ),
    "law/initial-noise": (
        "multiply the first noise by the first noise level (sigma_max in EDM; DDPM starts from plain noise), once, "
        "or declare initial_scale where yours is meant. Where churn is on, what it adds before the first call counts "
        "too: is that right without churn?"
    ),
    "law/outputs": (
        "hold the update after that model call against the paper's line, coefficient by coefficient: which sigma or "
        "alpha_bar (this step's or the next one's), and what the model predicts (noise, image or v)."
    ),
    "law/noise": (
        "look at the factor in front of randn in that step: a standard deviation, not a variance, of this step, not "
        "the next; none after the last step; each draw used once."
    ),
    "law/offset": (
        "something is added that is neither state, noise nor the model's output: a final (x + 1) / 2 is declared "
        "with output_scale=0.5, output_shift=0.5; noise from numpy is drawn with torch instead."
    ),
    "law/forward": (
        "add_noise and the sampler must read one table at one index: at entry k of the grid, x0 times the first "
        "number plus noise times the second is what a run starts from there."
    ),
    "law/partial": (
        "a run that starts in the middle must begin at that entry of the same grid, with nothing left of an earlier "
        "run (previous outputs, step counters)."
    ),
    "noise/shape": (
        "draw noise with torch.randn_like(x) or with the sample's whole shape: no size 1 that is broadcast, and no "
        "noise that is used twice."
    ),
    "noise/generator": (
        "pass generator= to every randn and randint of the sampler, draw nothing from numpy or random, and seed "
        "nothing."
    ),
    "shape/batch": (
        "look for what runs over axis 0: mean(), std(), norm(), max() or quantile() without dim=, an index [0], a "
        "threshold for the whole batch."
    ),
    "shape/any": (
        "look for sizes and axes in numbers: view(B, C, H, W), [:, None, None, None], mean over dim=(1, 2, 3); or "
        "declare with shapes= which shapes the sampler is for."
    ),
    "steps/any": (
        "run it with that number of steps and look at the grid: divisions by num_steps - 1, a stride that does not "
        "divide the table, a variable that is set only inside of the loop."
    ),
    "state/rerun": (
        "reset in set_timesteps (or at the start of the run) whatever the sampler keeps in self or in a global: "
        "counters, previous outputs, tables that were cast or written over."
    ),
    "state/side-effects": (
        "work on a copy of what belongs to others (x = x.clone(), no add_ or clamp_ on the model's output), and put "
        "back what is set globally, with a context manager."
    ),
    "precision/dtype": (
        "keep tables and times in float32 or float64, cast coefficients to the sample's dtype where they meet it, "
        "let nothing pass through .half() or .bfloat16() (autocast does so too), and return the dtype that was asked "
        "for; or declare output_dtype=."
    ),
    "clip/replay": (
        "with ordinary values it is right, with large ones not: is it a clamp where the reference has one, at the "
        "same place, and is epsilon computed again from the clamped x0? Declare clip_denoised=True where yours "
        "clamps."
    ),
    "limit/gaussian": (
        "even with a perfect model and many steps the result is wrong: a factor in the update does not belong "
        "there, whatever the other checks say."
    ),
    "limit/order": (
        "the correction does not correct: it must use the slope at the end of the step, at the time of the end, and "
        "both slopes with their weights."
    ),
    "training/time-distribution": (
        "print the times of some batches: randint excludes its upper end, a log-normal needs exp, and each item "
        "needs a time of its own (shape (B,))."
    ),
    "training/noise-matches-target": (
        "draw the noise once per step with torch.randn_like(x0), and use that very tensor in the input and in the "
        "target."
    ),
    "training/forward-backward-consistent": (
        "training and sampling must share one table: sqrt(alpha_bar) and sqrt(1 - alpha_bar), or 1 and sigma, at "
        "the same index; and the data must be in its final range before noise is added."
    ),
    "training/target": (
        "compare with what the model is to predict: epsilon, x0 or v = sqrt(alpha_bar) epsilon - sqrt(1 - "
        "alpha_bar) x0, squared, and with EDM's c_skip and c_out on the side where the paper has them."
    ),
    "training/weight": (
        "compute the weight at two times by hand: min-SNR takes min(SNR, gamma), divided by SNR for epsilon; EDM "
        "has (sigma^2 + sigma_data^2) / (sigma sigma_data)^2."
    ),
    "training/gradient": (
        "look for detach(), no_grad, .item(), .data and numpy() between the model and the loss, and for parameters "
        "that the forward pass does not use."
    ),
    "training/shape": (
        "give weights and sigmas the shape (B, 1, 1, 1) before they meet images, and take the mean over items, not "
        "sums over what the batch happens to hold."
    ),
    "data/shape": "run the function on a black frame and print what comes back: shape, dtype, NaN, twice the same?",
    "data/resize": (
        "size is (height, width) in torch and (width, height) in OpenCV and PIL; shrink with area averaging or "
        "antialias, not with nearest."
    ),
    "data/range": (
        "uint8 frames become x / 127.5 - 1 for [-1, 1]; ToTensor gives [0, 1] and divides by 255 itself, so that "
        "nothing else must."
    ),
    "data/gamma": (
        "map gray levels with fixed constants and a straight line: no frame's own minimum, maximum or mean, no sRGB "
        "curve, and convert to float before arithmetic."
    ),
    "data/channel-weights": (
        "OpenCV reads BGR: convert with cv2.COLOR_BGR2RGB, or name luma= as your data is made; gray is 0.299 R + "
        "0.587 G + 0.114 B in Rec.601."
    ),
    "data/rounding": (
        "round before the cast to integers (x.round().clamp(0, 255).to(uint8)), or stay in float until the end."
    ),
    "data/pooling": "take the elementwise maximum of the last two frames, as Atari's wrappers do.",
    "data/round-trip": (
        "on the way back: undo the range, multiply by 255, round, clamp to 0 and 255, and only then cast to uint8."
    ),
    "data/clip-range": "give the sampler the data's own range: clip to [-1, 1] belongs to data in [-1, 1].",
    "data/latent-scale": (
        "multiply by the scale once after encoding, divide by it once before decoding, and nowhere else."
    ),
    "data/frames": "look at one batch: is it empty, of mixed sizes, or the same frame again and again?",
    "data/channels": "torch wants (B, C, H, W): permute(0, 3, 1, 2) for channels last, never reshape or view.",
    "data/dtype": "convert in the loader: torch.as_tensor(frame).float() before the range is mapped.",
    "data/finite": (
        "find the first item with NaN: a division by a frame's own spread, a corrupt file, half precision."
    ),
    "data/normalisation": (
        "print a batch's minimum and maximum: about -1 and 1 for [-1, 1]. Far smaller: divided twice. Far larger: "
        "never."
    ),
    "data/contrast": (
        "look for a factor that is applied after the frames are in their range, and for one applied twice."
    ),
}
