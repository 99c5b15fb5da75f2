"""A stand-in for the autoencoder of a latent model: linear, so that what is done to its latents can be read exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["StandInAutoencoder"]

#: Red, green and blue to four latent channels: of full rank, of no symmetry, and turning [-1,1] into about one.
_MIXING = np.array([[0.9, -0.4, 0.3], [0.2, 0.8, -0.6], [-0.5, 0.3, 0.7], [0.4, 0.5, 0.6]])
#: Height and width are divided by this.
FACTOR = 8


class _Posterior:
    """What an encoder returns in diffusers (``.sample()``, ``.mode()``, ``.mean``): here all the same latents."""

    def __init__(self, latents: Tensor) -> None:
        self.mean = latents
        self.std = torch.zeros_like(latents)

    def sample(self, *args: Any, **kwargs: Any) -> Tensor:
        """The latents."""
        return self.mean

    def mode(self, *args: Any, **kwargs: Any) -> Tensor:
        """The latents."""
        return self.mean


class StandInAutoencoder(torch.nn.Module):
    """Answers ``encode`` and ``decode`` in the forms in use, and records what it is given.

    Blocks of 8x8 pixels are averaged and mixed into four channels, whose spread is about ``1 / scale``. Decoding a
    picture's latents gives back the averages. What ``encode`` returns is a tensor that also answers
    ``.latent_dist``, ``.sample()`` and ``.mode()``; what ``decode`` returns answers ``.sample``.

    Args:
        scale: the latents' declared factor.
        shift: the latents' declared mean.
    """

    def __init__(self, scale: float, shift: float = 0.0) -> None:
        super().__init__()
        self.gain = 1.0 / scale
        self.shift = shift
        self.held = torch.nn.Parameter(torch.zeros(1))
        self.config = _Config(scale, shift)
        self.encoded: list[Tensor] = []
        self.latents: list[Tensor] = []
        self.decoded: list[Tensor] = []

    @property
    def dtype(self) -> torch.dtype:
        """Of its parameter."""
        return self.held.dtype

    @property
    def device(self) -> torch.device:
        """Of its parameter."""
        return self.held.device

    def encode(self, x: Tensor, return_dict: bool = True, **kwargs: Any) -> Any:
        """Latents of pictures, ``(B, 3, H, W)`` to ``(B, 4, H/8, W/8)``."""
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1] not in (1, 3):
            shape = tuple(getattr(x, "shape", ()))
            raise TypeError(
                f"autoencoder.encode was given {type(x).__name__} {shape}, should be (batch, 3, height, width)"
            )
        pixels = x.detach().to(torch.float64)
        self.encoded.append(pixels)
        pixels = pixels.expand(-1, 3, -1, -1)
        pooled = torch.nn.functional.avg_pool2d(pixels, FACTOR) if min(pixels.shape[2:]) >= FACTOR else pixels
        latents = torch.einsum("kc,bchw->bkhw", torch.from_numpy(_MIXING), pooled) * self.gain + self.shift
        self.latents.append(latents)
        told: Any = latents.to(x.dtype if x.is_floating_point() else torch.float32)
        posterior = _Posterior(told.clone())
        if not return_dict:
            return (posterior,)
        told.latent_dist = posterior
        told.latents = posterior.mean
        told.sample = posterior.sample
        told.mode = posterior.mode
        return told

    def decode(self, z: Tensor, return_dict: bool = True, **kwargs: Any) -> Any:
        """Pictures of latents, each latent a block of 8x8 pixels."""
        if not isinstance(z, Tensor) or z.ndim != 4 or z.shape[1] != 4:
            shape = tuple(getattr(z, "shape", ()))
            raise TypeError(
                f"autoencoder.decode was given {type(z).__name__} {shape}, should be (batch, 4, height, width)"
            )
        latents = z.detach().to(torch.float64)
        self.decoded.append(latents)
        undoing = torch.from_numpy(np.linalg.pinv(_MIXING))
        pixels = torch.einsum("ck,bkhw->bchw", undoing, (latents - self.shift) / self.gain)
        pixels = pixels.repeat_interleave(FACTOR, dim=2).repeat_interleave(FACTOR, dim=3)
        told: Any = pixels.to(z.dtype)
        if not return_dict:
            return (told,)
        told.sample = told.clone()
        return told

    def forget(self) -> None:
        """Drop what was recorded."""
        self.encoded.clear()
        self.latents.clear()
        self.decoded.clear()


class _Config:
    """``autoencoder.config.scaling_factor`` and ``.shift_factor``, as in diffusers."""

    def __init__(self, scale: float, shift: float) -> None:
        self.scaling_factor = scale
        self.shift_factor = shift
