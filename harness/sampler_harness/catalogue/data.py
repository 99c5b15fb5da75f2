"""The checks of a preprocessing and of batches of data, one row each, in the order in which they run."""

from __future__ import annotations

from functools import partial

from .row import CheckInfo

__all__ = ["DATA_CHECKS", "PREPROCESSING_CHECKS"]

_preprocessing = partial(CheckInfo, kind="preprocessing", since="0.2")
_data = partial(CheckInfo, kind="data", module="batch_checks", since="0.2")

PREPROCESSING_CHECKS: tuple[CheckInfo, ...] = (
    _preprocessing(
        "data/shape",
        "shapes",
        module="checks",
        claim="every frame becomes one finite tensor of the declared channels and size, the same one each time",
        catches=(
            "a function that raises or returns None, NaN for an even frame, height and width swapped, hidden randomness"
        ),
        blind_to="a square picture that lies on its side (data/resize)",
        remedy="run the function on a black frame and print what comes back: shape, dtype, NaN, twice the same?",
        fault="faulty_data.ranges:stretched_per_frame",
        example=(
            "NaN or infinity comes out for test frames (black, white, gray; all but the noise are even): a game that "
            "fades to black would feed it to the model; a division by the frame's own spread or maximum does this"
        ),
    ),
    _preprocessing(
        "data/range",
        "the rest",
        module="checks",
        claim="black and white become the two ends of the declared range",
        catches="[0,1] or [0,255] for [-1,1], a division by 255 done twice, a range that is turned over",
        blind_to="what lies between the ends (data/gamma)",
        remedy=(
            "uint8 frames become x / 127.5 - 1 for [-1, 1]; ToTensor gives [0, 1] and divides by 255 itself, so that "
            "nothing else must."
        ),
        fault="faulty_data.ranges:conditioned_before_mapping",
        example="black becomes 0 and white 1 ([0,1]: the range that ToTensor gives), should be -1 and 1",
    ),
    _preprocessing(
        "data/gamma",
        "the rest",
        module="checks",
        claim="the tone curve is straight, or has the declared exponent, and depends on the pixel alone",
        catches=(
            "an sRGB curve that is taken off, gamma applied twice, integers that wrap around, a frame's own statistics"
        ),
        blind_to="colors (data/channel-weights)",
        remedy=(
            "map gray levels with fixed constants and a straight line: no frame's own minimum, maximum or mean, no "
            "sRGB curve, and convert to float before arithmetic."
        ),
        fault="faulty_data.ranges:standardised_per_frame",
        example=(
            "the same gray comes out 255 levels apart when the rest of the frame is black or white: the frame's own "
            "statistics (mean, spread, minimum, maximum) are in the output, so that one object has another brightness "
            "in each frame; use fixed constants"
        ),
    ),
    _preprocessing(
        "data/channel-weights",
        "the rest",
        module="checks",
        claim="gray is made of red, green and blue with the declared weights, or the channels stay where they are",
        catches="BGR taken for RGB, Rec.709 for Rec.601, the mean for a luma, one channel taken for gray",
        blind_to="a frame whose own channels are not in the declared order",
        remedy=(
            "OpenCV reads BGR: convert with cv2.COLOR_BGR2RGB, or name luma= as your data is made; gray is 0.299 R + "
            "0.587 G + 0.114 B in Rec.601."
        ),
        fault="faulty_data.tones:bgr_for_rgb",
        example=(
            "the output is 0.114 red + 0.587 green + 0.299 blue (rec601 with red and blue swapped), should be 0.299 "
            "red + 0.587 green + 0.114 blue (rec601): red and blue are swapped, BGR was taken for RGB or the other way "
            "round"
        ),
    ),
    _preprocessing(
        "data/rounding",
        "the rest",
        module="checks",
        claim="all 256 gray levels stay apart, and what is rounded is rounded to the nearest",
        catches="truncation to integers, floor division, levels that are lost on the way",
        blind_to="a rounding that is finer than a twentieth of a gray level",
        remedy="round before the cast to integers (x.round().clamp(0, 255).to(uint8)), or stay in float until the end.",
        fault="faulty_data.tones:luma_truncated",
        example=(
            "where colors are turned into gray, 0% of what lies between two gray levels is rounded up, should be a "
            "half: it is truncated (a cast to integers, floor division), half a gray level darker on average; round "
            "first"
        ),
    ),
    _preprocessing(
        "data/resize",
        "shapes",
        module="resize_checks",
        claim="the picture stands as it stood and is resampled by the declared kernel",
        catches=(
            "rows and columns swapped, mirrored or cropped pictures, nearest decimation, half a pixel's shift, more "
            "blur"
        ),
        blind_to="kernels that are not declared: these are told",
        remedy=(
            "size is (height, width) in torch and (width, height) in OpenCV and PIL; shrink with area averaging or "
            "antialias, not with nearest."
        ),
        fault="faulty_data.pictures:decimated",
        example=(
            "rows are resampled by nearest, 0.00 times as wide as exact area averaging, 125 of 210 lines reach no "
            "output, shifted by -1.00 pixels of the frame; should be area (weights differ by up to 0.67): pixels are "
            "picked, not averaged, so that a ball of one pixel flickers or is never seen"
        ),
    ),
    _preprocessing(
        "data/pooling",
        "the rest",
        module="resize_checks",
        claim="what is in one of the pooled frames only is in the model's input",
        catches="sprites that blink, since one of the two frames is dropped or the two are averaged",
        blind_to="preprocessing that is given one frame",
        remedy="take the elementwise maximum of the last two frames, as Atari's wrappers do.",
        fault="faulty_data.pictures:frames_averaged",
        example=(
            "a sprite that only frame 1 of 2 holds comes out 127 gray levels darker than one that all hold, should be "
            "the same: take the maximum over the frames (sprites that an Atari draws in every other frame blink)"
        ),
    ),
    _preprocessing(
        "data/round-trip",
        "the rest",
        module="return_checks",
        claim="the inverse gives back the gray level, rounds to the nearest and clamps what lies outside",
        catches=(
            "truncation, half a gray level darker at every use; wrap-around of -1.02 and 1.02; another range; swapped "
            "axes"
        ),
        blind_to="preprocessing without an inverse",
        remedy=(
            "on the way back: undo the range, multiply by 255, round, clamp to 0 and 255, and only then cast to uint8."
        ),
        fault="faulty_data.returns:truncated",
        example=(
            "gray 1 comes back as 0, should be 1 (inverse of preprocess; 63 of 256 grays are off): a truncation does "
            "this: round before the cast"
        ),
    ),
    _preprocessing(
        "data/clip-range",
        "the rest",
        module="return_checks",
        claim="the sampler's clip holds the data, and little more than the data",
        catches="data in [0,1] or [0,255] under a clip to [-1,1]",
        blind_to="samplers that do not clip",
        remedy="give the sampler the data's own range: clip to [-1, 1] belongs to data in [-1, 1].",
        fault="faulty_data.ranges:clip_of_another_range",
        example=(
            "the data fills [0, 1] only, 50% of what the sampler clips to, [-1, 1]: samples wash out, since nothing "
            "holds them in the data's range; map the data to [-1, 1]"
        ),
    ),
    _preprocessing(
        "data/latent-scale",
        "the rest",
        module="return_checks",
        claim="latents are multiplied by the declared scale once, and it is undone once",
        catches="a scale that is forgotten, applied twice or not undone before decoding",
        blind_to="both sides wrong alike, where the autoencoder is not taken as an argument",
        remedy="multiply by the scale once after encoding, divide by it once before decoding, and nowhere else.",
        fault="faulty_data.latents:scale_forgotten",
        example=(
            "before the model latents are multiplied by 1, should be 0.18215: the scale of 0.18215 is wrong there (it "
            "is forgotten)"
        ),
    ),
)

DATA_CHECKS: tuple[CheckInfo, ...] = (
    _data(
        "data/frames",
        "shapes",
        claim="batches come, hold frames of one size, and the frames are not all the same",
        catches=(
            "an empty or failing loader, ragged sizes, one frame repeated through each batch, frames without content"
        ),
        blind_to="a few frames that are alike or even: these are told",
        remedy="look at one batch: is it empty, of mixed sizes, or the same frame again and again?",
        fault="faulty_data.batches:ragged",
        example=(
            "batch 0 of ragged: its images have different shapes ((1, 32, 32), (1, 33, 33), (1, 34, 34)): resize or "
            "pad them to one"
        ),
    ),
    _data(
        "data/channels",
        "shapes",
        claim="each image has the declared channels, in front of height and width",
        catches="channels last, a wrong number of them, a reshape where a transpose belongs",
        blind_to="colors in another order; equal channels are told",
        remedy="torch wants (B, C, H, W): permute(0, 3, 1, 2) for channels last, never reshape or view.",
        fault="faulty_data.batches:channels_last",
        example=(
            "batches have shape (8, 32, 32, 3), channels last; should be (batch, channels, height, width): permute(0, "
            "3, 1, 2)"
        ),
    ),
    _data(
        "data/dtype",
        "the rest",
        claim="each batch has the declared dtype",
        catches="uint8 or float64 that was never converted, half precision, dtypes that change between batches",
        blind_to="values (data/normalisation)",
        remedy="convert in the loader: torch.as_tensor(frame).float() before the range is mapped.",
        fault="faulty_data.batches:double_precision",
        example="batches have dtype float64, should be float32: numpy's default was kept, at twice the memory",
    ),
    _data(
        "data/finite",
        "the rest",
        claim="no value is NaN or infinite",
        catches="a division by a frame's own spread, a corrupt file, an overflow in half precision",
        blind_to="values that are finite and wrong",
        remedy="find the first item with NaN: a division by a frame's own spread, a corrupt file, half precision.",
        fault="faulty_data.batches:divided_by_own_spread",
        example=(
            "batch 3, item 5 holds NaN (channel 0, row 0, column 0; 1 of 4 batches do): a frame of one value divided "
            "by its own spread, or a corrupt file"
        ),
    ),
    _data(
        "data/normalisation",
        "the rest",
        module="value_checks",
        claim=(
            "the values are those that the declared range gives to gray levels; scaled latents have a spread of about "
            "one"
        ),
        catches=(
            "[0,255], [0,1] for [-1,1], a division done twice, integers that wrapped around, a latent scale forgotten"
        ),
        blind_to="a wrong range that a sound data set could have as well: it is told",
        remedy=(
            "print a batch's minimum and maximum: about -1 and 1 for [-1, 1]. Far smaller: divided twice. Far larger: "
            "never."
        ),
        fault="faulty_data.batches:in_zero_one",
        example=(
            "values run from exactly 0 to 1, and 0 is no gray level of [-1, 1]: the data is in [0, 1] and was not "
            "mapped to [-1, 1] (x * 2 - 1 is missing): samples wash out"
        ),
    ),
    _data(
        "data/contrast",
        "the rest",
        module="value_checks",
        claim="the 256 gray levels of the source span the declared range",
        catches="contrast that is scaled down, so that 256 levels take up a part of the range",
        blind_to="data that was resampled as floats, where no grid of levels is left",
        remedy="look for a factor that is applied after the frames are in their range, and for one applied twice.",
        fault="faulty_data.batches:half_of_the_contrast",
        example=(
            "the data stands on 256 levels from -0.5 to 0.5: 50.0% of the range [-1, 1], should be all of it: contrast "
            "is lost by a factor of 0.5"
        ),
    ),
)
