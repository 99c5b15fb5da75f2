"""How far a model is off from the clean frame, per noise level: what the model knows, whatever the sampler does.

The noise is the same for every model and every stage of a training run, so that two figures differ by the model alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reference_samplers import DDIM, DDPM, EDM, FlowEuler
from reference_samplers import prediction as kinds
from sampler_harness.detail.networks import dtype_of, evaluating, networks_of
from sampler_harness.detail.spectrum import Array, LevelError, as_frames

__all__ = [
    "Denoiser",
    "LevelError",
    "ReferenceDenoiser",
    "as_denoiser",
    "default_levels",
    "denoising_errors",
    "estimates",
    "missed",
    "told_levels",
]

#: ``denoiser(x, sigma)``: the posterior mean of the clean frame, ``(B, C, H, W)`` and ``(B,)``, data units.
Denoiser = Callable[[Tensor, Tensor], Tensor]

#: Context: the noise of an item must not depend on how many items, levels or batches there are. Choice: a stream for
#: each item, seeded by this and its index; one noise for all levels, so that curves over levels are smooth.
#: Reversed by: a level's error that is told with its own uncertainty.
NOISE_SEED = 20_260_203
#: Pixels that go through the model at once: 37 gray frames of 84 x 84, or 5 of 128 x 128 in color.
MOST_PIXELS = 2**18


def default_levels(sigma_min: float = 0.02, sigma_max: float = 20.0, n: int = 8) -> tuple[float, ...]:
    """Noise levels evenly spaced in their logarithm, the lowest first.

    Args:
        sigma_min: data units, > 0.
        sigma_max: data units, >= ``sigma_min``.
        n: how many, >= 1; one is ``sigma_min``.

    Raises:
        ValueError: names the value and what is legal.
    """
    if not 0.0 < sigma_min <= sigma_max < float("inf"):
        raise ValueError(
            f"levels from {sigma_min!r} to {sigma_max!r}: sigma_min must be above 0 and not above sigma_max"
        )
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n is {n!r}, should be a number of levels of at least 1")
    return tuple(float(level) for level in np.geomspace(sigma_min, sigma_max, n))


def denoising_errors(
    denoiser: Denoiser, data: Any, levels: Sequence[float], *, device: str = "cpu", items: int = 64
) -> tuple[LevelError, ...]:
    """The mean squared error of a denoiser at each noise level.

    Source: the unweighted loss of Karras et al. 2022, arXiv:2206.00364, equation 2.

    Args:
        denoiser: ``(x, sigma)`` to the estimate of the clean frame, data units; :func:`as_denoiser` makes one of a
            network that predicts something else. Its weights stay where they are.
        data: ``(N, C, H, W)`` or ``(N, H, W)``, data units.
        levels: noise levels, data units, > 0.
        device: where the weights are.
        items: of the data, evenly spaced; all where there are fewer.

    Returns:
        One error for each level, in the given order.

    Raises:
        ValueError: when data or levels cannot be used, or the denoiser returns NaN or another shape; names sigma.
    """
    frames, variance = chosen_frames(data, items)
    squares = ((sigma, float((off**2).mean())) for sigma, off in missed(denoiser, frames, levels, device=device))
    return tuple(LevelError(sigma, mse, mse / variance) for sigma, mse in squares)


def missed(
    denoiser: Denoiser, frames: Array, levels: Sequence[float], *, device: str = "cpu"
) -> Iterator[tuple[float, Array]]:
    """Each level, and by how much every pixel of a denoiser's estimate is off there, ``(N, C, H, W)`` data units.

    Args:
        denoiser: as in :func:`denoising_errors`.
        frames: ``(N, C, H, W)``, as :func:`chosen_frames` gives them.
        levels: the same.
        device: the same.

    Raises:
        ValueError: the same.
    """
    for sigma in checked_levels(levels):
        yield sigma, estimates(denoiser, frames, sigma, device=device) - frames


def checked_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Noise levels as floats.

    Raises:
        ValueError: when there are none, or one is not a finite number above 0.
    """
    values = tuple(float(level) for level in levels)
    if not values:
        raise ValueError("levels are empty: give at least one noise level, in data units")
    for value in values:
        if not 0.0 < value < float("inf"):
            raise ValueError(f"a level is {value!r}, should be a finite noise level above 0, in data units")
    return values


def chosen_frames(data: Any, items: int) -> tuple[Array, float]:
    """The frames that are denoised, ``(N, C, H, W)`` evenly spaced over the data, and the variance of all of it.

    Raises:
        ValueError: when the data cannot be used, or is one single gray level.
    """
    if isinstance(items, bool) or not isinstance(items, int) or items < 1:
        raise ValueError(f"items is {items!r}, should be a number of frames of at least 1")
    frames = as_frames(data, "data")
    variance = float(frames.var())
    if variance == 0.0:
        raise ValueError("the data is one single gray level: there is nothing to denoise")
    if items < len(frames):
        frames = frames[np.linspace(0, len(frames) - 1, items).astype(int)]
    return frames, variance


@functools.lru_cache(maxsize=64)
def _noise_of(item: int, shape: tuple[int, ...]) -> Array:
    noise: Array = np.random.Generator(np.random.PCG64([NOISE_SEED, item])).standard_normal(shape)
    return noise


def estimates(denoiser: Denoiser, frames: Array, sigma: float, *, device: str = "cpu") -> Array:
    """What a denoiser makes of frames under the fixed noise of one level, in batches that fit into memory.

    Args:
        denoiser: as in :func:`denoising_errors`.
        frames: ``(N, C, H, W)`` data units.
        sigma: data units, > 0.
        device: where the weights are.

    Returns:
        ``(N, C, H, W)`` data units.

    Raises:
        ValueError: when the denoiser returns NaN or another shape; names sigma.
    """
    batch = max(1, MOST_PIXELS // int(np.prod(frames.shape[1:])))
    networks, dtype = networks_of(denoiser), dtype_of(denoiser)
    found = []
    for start in range(0, len(frames), batch):
        clean = frames[start : start + batch]
        noise = np.stack([_noise_of(start + i, clean.shape[1:]) for i in range(len(clean))])
        x = torch.from_numpy(clean + sigma * noise).to(dtype).to(device)  # some devices have no float64
        with evaluating(networks):
            estimate = denoiser(x, torch.full((len(x),), sigma, device=x.device, dtype=dtype))
        found.append(_checked(estimate, x, sigma))
    return np.concatenate(found)


def _checked(estimate: Any, x: Tensor, sigma: float) -> Array:
    if not isinstance(estimate, Tensor):
        raise ValueError(
            f"at sigma {sigma:g} the denoiser returned {type(estimate).__name__}, should be a tensor of shape "
            f"{tuple(x.shape)}: of a network that returns something else as_denoiser makes one"
        )
    if estimate.shape != x.shape:
        raise ValueError(
            f"at sigma {sigma:g} the denoiser returned shape {tuple(estimate.shape)}, should be {tuple(x.shape)}, the "
            "estimate of the clean frame"
        )
    values: Array = estimate.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        share = 1.0 - float(np.isfinite(values).mean())
        raise ValueError(
            f"at sigma {sigma:g} the denoiser returned NaN or infinity in {share:.1%} of the pixels, should be finite: "
            "look at the weights, and at a division by a vanishing scale"
        )
    return values


@dataclass(frozen=True, eq=False)
class ReferenceDenoiser:
    """A network seen as a denoiser through the conventions of a reference sampler.

    Attributes:
        model: ``(x, time)`` to its output, in its own convention.
        reference: the sampler's configuration.
    """

    model: Callable[..., Any]
    reference: Any

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The estimate of the clean frame.

        Args:
            x: ``(B, C, H, W)`` data units, noise of std ``sigma``.
            sigma: ``(B,)`` data units, > 0.

        Returns:
            ``(B, C, H, W)`` data units.
        """
        wide = torch.promote_types(x.dtype, torch.float32)
        levels = sigma.detach().cpu().double().numpy()
        signal, noise, time = _seen(self.reference, levels)

        def broadcast(scale: Any) -> Tensor:
            return torch.as_tensor(scale).to(wide).to(x.device).reshape(-1, *[1] * (x.ndim - 1))

        told = torch.as_tensor(time)
        told = (told if told.dtype == torch.int64 else told.to(wide)).to(x.device)
        x_wide = x.to(wide)
        kind = _kind(self.reference)
        if kind == "network":
            scales = (
                function(levels, self.reference.sigma_data) for function in (kinds.c_in, kinds.c_skip, kinds.c_out)
            )
            c_in, c_skip, c_out = (broadcast(scale) for scale in scales)
            estimate = c_skip * x_wide + c_out * self._output((c_in * x_wide).to(x.dtype), told).to(wide)
        else:
            x_seen = broadcast(signal) * x_wide
            output = self._output(x_seen.to(x.dtype), told).to(wide)
            to_x0: Any = kinds.to_x0  # its formulas hold for tensors as for arrays
            estimate = to_x0(kind, x_seen, output, broadcast(signal), broadcast(noise))
        return estimate.to(x.dtype)

    def _output(self, x: Tensor, time: Tensor) -> Tensor:
        """The prediction among what the network returns."""
        answer = self.model(x, time)
        if hasattr(answer, "sample") and isinstance(answer.sample, Tensor):
            answer = answer.sample
        if isinstance(answer, (tuple, list)) and answer:
            answer = answer[0]
        if not isinstance(answer, Tensor):
            raise ValueError(
                f"the network returned {type(answer).__name__}, should be a tensor of shape {tuple(x.shape)}"
            )
        if self.reference.model_channels == 2 and answer.shape[1] == 2 * x.shape[1]:
            answer = answer.chunk(2, dim=1)[0]  # beside it is the learned variance
        if answer.shape != x.shape:
            raise ValueError(
                f"the network returned shape {tuple(answer.shape)} for an input of {tuple(x.shape)}: "
                f"{type(self.reference).__name__} needs a prediction of the input's shape"
            )
        return answer


def as_denoiser(model: Callable[..., Any], reference: Any) -> ReferenceDenoiser:
    """See a network through a reference's conventions: what it is given, what it is told, what its output stands for.

    A chain's network is told the timestep whose level is nearest; :func:`told_levels` gives levels that it knows
    exactly. Nothing is clamped: what is measured is the model, not the sampler's clamp.

    Args:
        model: ``(x, time)``, with time of shape ``(B,)``, to a tensor, a tuple that begins with it, or an object with
            ``.sample``; int64 times for a chain, floating ones else. A model with further inputs: close over them.
        reference: an instance of :class:`~reference_samplers.EDM`, DDPM, DDIM or FlowEuler.

    Returns:
        A denoiser; its ``model`` is the network.

    Raises:
        ValueError: for another reference.
    """
    _kind(reference)
    if not callable(model):
        raise ValueError(f"the model is {type(model).__name__}, should be callable as model(x, time)")
    return ReferenceDenoiser(model, reference)


def told_levels(reference: Any, levels: Sequence[float]) -> tuple[float, ...]:
    """For each level the nearest one that the model can be told, data units; the same where it can be told any.

    Args:
        reference: as in :func:`as_denoiser`.
        levels: data units, > 0.
    """
    table = _table(reference)
    wanted = np.array(checked_levels(levels))
    return tuple(float(level) for level in (wanted if table is None else table[_nearest(table, wanted)]))


def _kind(reference: Any) -> Any:
    """What the network's output stands for: a denoiser's is x0."""
    if isinstance(reference, EDM):
        return "x0" if reference.model_kind == "denoiser" else reference.model_kind
    if isinstance(reference, (DDPM, DDIM)):
        return reference.prediction
    if isinstance(reference, FlowEuler):
        return "flow"
    raise ValueError(
        f"the reference is {reference!r}, should be an instance of EDM, DDPM, DDIM or FlowEuler: it says what the "
        "network is told and what it predicts"
    )


def _seen(reference: Any, levels: Array) -> tuple[Any, Any, Any]:
    """(signal_scale, noise_scale, time) of what the network sees at each level."""
    if isinstance(reference, FlowEuler):
        time = levels / (1.0 + levels)
        return 1.0 - time, time, time
    if isinstance(reference, EDM) and reference.model_kind in ("denoiser", "network"):
        one = np.ones_like(levels)
        return one, levels, levels if reference.model_kind == "denoiser" else kinds.c_noise(levels)
    signal = 1.0 / np.sqrt(levels**2 + 1.0)
    table = _table(reference)
    if isinstance(reference, EDM):
        known = levels if table is None else table[_nearest(table, levels)]
        return signal, signal * levels, np.array([reference.time(level) for level in known])
    assert table is not None
    return signal, signal * levels, _nearest(table, levels)


def _table(reference: Any) -> Array | None:
    """The only levels that the model can be told, data units; None where it can be told any."""
    if isinstance(reference, EDM):
        has_table_time = reference.model_kind in ("epsilon", "v", "x0")
        return reference.sigma_grid[:-1] if has_table_time and reference.train_sigmas is None else None
    if isinstance(reference, (DDPM, DDIM)):
        alpha_bar = reference.alpha_bar[1:]
        with np.errstate(divide="ignore"):
            levels: Array = np.sqrt((1.0 - alpha_bar) / alpha_bar)
        return levels
    return None


def _nearest(table: Array, levels: Array) -> Any:
    """Index of the nearest entry, by ratio."""
    with np.errstate(divide="ignore"):
        return np.abs(np.log(table)[None, :] - np.log(levels)[:, None]).argmin(axis=1)
