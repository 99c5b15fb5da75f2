"""The checks of a preprocessing and of batches of data: what each claims, catches and is blind to. Light."""

from __future__ import annotations

from sampler_harness.checks.catalogue import CheckInfo

__all__ = ["CHECKS", "DATA_CHECKS", "PREPROCESSING_CHECKS"]

_HOME = "sampler_harness.data.checks"
_RESIZE = "sampler_harness.data.resize_checks"
_RETURN = "sampler_harness.data.return_checks"
_BATCHES = "sampler_harness.data.batch_checks"

PREPROCESSING_CHECKS: tuple[CheckInfo, ...] = (
    CheckInfo(
        "data/shape",
        "shapes",
        "every frame becomes one finite tensor of the declared channels and size, the same one each time",
        "a function that raises or returns None, NaN for an even frame, height and width swapped, hidden randomness",
        "a square picture that lies on its side (data/resize)",
        f"{_HOME}:check_shape",
        since="0.2",
    ),
    CheckInfo(
        "data/range",
        "the rest",
        "black and white become the two ends of the declared range",
        "[0,1] or [0,255] for [-1,1], a division by 255 done twice, a range that is turned over",
        "what lies between the ends (data/gamma)",
        f"{_HOME}:check_range",
        since="0.2",
    ),
    CheckInfo(
        "data/gamma",
        "the rest",
        "the tone curve is straight, or has the declared exponent, and depends on the pixel alone",
        "an sRGB curve that is taken off, gamma applied twice, integers that wrap around, a frame's own statistics",
        "colors (data/channel-weights)",
        f"{_HOME}:check_gamma",
        since="0.2",
    ),
    CheckInfo(
        "data/channel-weights",
        "the rest",
        "gray is made of red, green and blue with the declared weights, or the channels stay where they are",
        "BGR taken for RGB, Rec.709 for Rec.601, the mean for a luma, one channel taken for gray",
        "a frame whose own channels are not in the declared order",
        f"{_HOME}:check_channel_weights",
        since="0.2",
    ),
    CheckInfo(
        "data/rounding",
        "the rest",
        "all 256 gray levels stay apart, and what is rounded is rounded to the nearest",
        "truncation to integers, floor division, levels that are lost on the way",
        "a rounding that is finer than a twentieth of a gray level",
        f"{_HOME}:check_rounding",
        since="0.2",
    ),
    CheckInfo(
        "data/resize",
        "shapes",
        "the picture stands as it stood and is resampled by the declared kernel",
        "rows and columns swapped, mirrored or cropped pictures, nearest decimation, half a pixel's shift, more blur",
        "kernels that are not declared: these are told",
        f"{_RESIZE}:check_resize",
        since="0.2",
    ),
    CheckInfo(
        "data/pooling",
        "the rest",
        "what is in one of the pooled frames only is in the model's input",
        "sprites that blink, since one of the two frames is dropped or the two are averaged",
        "preprocessing that is given one frame",
        f"{_RESIZE}:check_pooling",
        since="0.2",
    ),
    CheckInfo(
        "data/round-trip",
        "the rest",
        "the inverse gives back the gray level, rounds to the nearest and clamps what lies outside",
        "truncation, half a gray level darker at every use; wrap-around of -1.02 and 1.02; another range; swapped axes",
        "preprocessing without an inverse",
        f"{_RETURN}:check_round_trip",
        since="0.2",
    ),
    CheckInfo(
        "data/clip-range",
        "the rest",
        "the sampler's clip holds the data, and little more than the data",
        "data in [0,1] or [0,255] under a clip to [-1,1]",
        "samplers that do not clip",
        f"{_RETURN}:check_clip_range",
        since="0.2",
    ),
    CheckInfo(
        "data/latent-scale",
        "the rest",
        "latents are multiplied by the declared scale once, and it is undone once",
        "a scale that is forgotten, applied twice or not undone before decoding",
        "both sides wrong alike, where the autoencoder is not taken as an argument",
        f"{_RETURN}:check_latent_scale",
        since="0.2",
    ),
)

DATA_CHECKS: tuple[CheckInfo, ...] = (
    CheckInfo(
        "data/frames",
        "shapes",
        "batches come, hold frames of one size, and the frames are not all the same",
        "an empty or failing loader, ragged sizes, one frame repeated through each batch, frames without content",
        "a few frames that are alike or even: these are told",
        f"{_BATCHES}:check_frames",
        since="0.2",
    ),
    CheckInfo(
        "data/channels",
        "shapes",
        "each image has the declared channels, in front of height and width",
        "channels last, a wrong number of them, a reshape where a transpose belongs",
        "colors in another order; equal channels are told",
        f"{_BATCHES}:check_channels",
        since="0.2",
    ),
    CheckInfo(
        "data/dtype",
        "the rest",
        "each batch has the declared dtype",
        "uint8 or float64 that was never converted, half precision, dtypes that change between batches",
        "values (data/normalisation)",
        f"{_BATCHES}:check_dtype",
        since="0.2",
    ),
    CheckInfo(
        "data/finite",
        "the rest",
        "no value is NaN or infinite",
        "a division by a frame's own spread, a corrupt file, an overflow in half precision",
        "values that are finite and wrong",
        f"{_BATCHES}:check_finite",
        since="0.2",
    ),
    CheckInfo(
        "data/normalisation",
        "the rest",
        "the values are those that the declared range gives to gray levels; scaled latents have a spread of about one",
        "[0,255], [0,1] for [-1,1], a division done twice, integers that wrapped around, a latent scale forgotten",
        "a wrong range that a sound data set could have as well: it is told",
        f"{_BATCHES}:check_normalisation",
        since="0.2",
    ),
    CheckInfo(
        "data/contrast",
        "the rest",
        "the 256 gray levels of the source span the declared range",
        "contrast that is scaled down, so that 256 levels take up a part of the range",
        "data that was resampled as floats, where no grid of levels is left",
        f"{_BATCHES}:check_contrast",
        since="0.2",
    ),
)

CHECKS: tuple[CheckInfo, ...] = PREPROCESSING_CHECKS + DATA_CHECKS
