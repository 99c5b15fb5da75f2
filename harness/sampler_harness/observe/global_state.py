"""Global settings and generators, which code under test has no business changing: told where changed, and put back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["OF_TORCH", "Generators", "restore_settings", "settings_now", "with_others_at"]

#: Generators that torch draws from; the others' draws are not seen.
OF_TORCH = ("torch's global generator", "the CUDA default generator")
_OF_NUMPY = "numpy's global generator"
_OF_PYTHON = "Python's random module"
_ALL = (OF_TORCH[0], _OF_NUMPY, _OF_PYTHON, OF_TORCH[1])


class Generators:
    """The states of all global generators at one moment.

    Args:
        device: whose generator counts beside those of the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._numpy: Any = np.random.get_state()  # noqa: NPY002 - it is watched
        self._python = random.getstate()
        self._torch = [torch.get_rng_state()]
        if device.type == "cuda":
            self._torch.append(torch.cuda.get_rng_state(device))

    def moved_since(self, before: Generators) -> list[str]:
        """Names of the generators that stand elsewhere than they did.

        Args:
            before: an earlier moment, of the same device.
        """
        (_, keys, *rest), (_, keys_before, *rest_before) = self._numpy, before._numpy
        moved = {
            _OF_NUMPY: rest != rest_before or not np.array_equal(keys, keys_before),
            _OF_PYTHON: self._python != before._python,
        }
        states = zip(OF_TORCH, self._torch, before._torch, strict=False)
        moved |= {name: not torch.equal(now, then) for name, now, then in states}
        return [name for name in _ALL if moved.get(name)]

    def put_back(self, moved: list[str]) -> None:
        """Let the named generators stand where they stood.

        Args:
            moved: from :meth:`moved_since`.
        """
        if OF_TORCH[0] in moved:
            torch.set_rng_state(self._torch[0])
        if OF_TORCH[1] in moved:
            torch.cuda.set_rng_state(self._torch[1], self._device)
        if _OF_NUMPY in moved:
            np.random.set_state(self._numpy)  # noqa: NPY002 - the global one is what a sampler might move
        if _OF_PYTHON in moved:
            random.setstate(self._python)

    @property
    def of_torch(self) -> bytes:
        """The states of torch's generators."""
        return b"".join(state.numpy().tobytes() for state in self._torch)


@contextlib.contextmanager
def with_others_at(seed: int) -> Iterator[None]:
    """The global generators that are not torch's stand where a seed puts them while this lasts.

    Args:
        seed: of both, so that what is seen then is the same on every machine.
    """
    before = Generators(torch.device("cpu"))
    np.random.seed(seed)  # noqa: NPY002 - the global one is what a sampler might draw from
    random.seed(seed)
    try:
        yield
    finally:
        before.put_back([_OF_NUMPY, _OF_PYTHON])


def settings_now() -> dict[str, Any]:
    """Global settings that a sampler has no business changing."""
    return {
        "torch default dtype": torch.get_default_dtype(),
        "torch grad mode": torch.is_grad_enabled(),
        "torch inference mode": torch.is_inference_mode_enabled(),
        "torch deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch number of threads": torch.get_num_threads(),
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "torch float32 matmul precision": torch.get_float32_matmul_precision(),
        "numpy error handling": tuple(sorted(np.geterr().items())),
    }


def _set_cudnn(name: str) -> Callable[[bool], None]:
    return lambda value: setattr(torch.backends.cudnn, name, value)


#: How each setting is put back. Some cost much even where nothing changes: ``use_deterministic_algorithms`` imports
#: torch's compiler.
_PUT_BACK: Mapping[str, Callable[[Any], object]] = {
    "torch default dtype": torch.set_default_dtype,
    "torch grad mode": torch.set_grad_enabled,
    "torch deterministic algorithms": torch.use_deterministic_algorithms,
    "torch number of threads": torch.set_num_threads,
    "cudnn.benchmark": _set_cudnn("benchmark"),
    "cudnn.deterministic": _set_cudnn("deterministic"),
    "torch float32 matmul precision": torch.set_float32_matmul_precision,
    "numpy error handling": lambda value: np.seterr(**dict(value)),
}


def restore_settings(settings: Mapping[str, Any]) -> None:
    """Put back what :func:`settings_now` told, where it is no longer so.

    Args:
        settings: from :func:`settings_now`.
    """
    now = settings_now()
    for name, put_back in _PUT_BACK.items():
        if now[name] != settings[name]:
            put_back(settings[name])
