"""The networks behind a denoiser, and how they are measured without being touched."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from sampler_harness.observe.global_state import Generators

__all__ = ["device_of", "dtype_of", "evaluating", "networks_of", "undisturbed"]

#: A denoiser may be a method of an object that holds a function that closes over a network; further nobody goes.
DEEPEST = 3


def networks_of(denoiser: Any, *, closed_over: bool = True) -> tuple[nn.Module, ...]:
    """The networks behind a denoiser: itself, what it is bound to or holds, what it closes over or names as a global.

    Args:
        denoiser: anything; an object that will not be looked into has none.
        closed_over: whether to look into functions too. They may cast and move what they are given as they please.
    """
    found: dict[int, nn.Module] = {}
    seen: set[int] = set()

    def search(value: Any, depth: int) -> None:
        if id(value) in seen or depth > DEEPEST:
            return
        seen.add(id(value))
        if isinstance(value, nn.Module):
            found[id(value)] = value
            return
        parts: list[Any] = []
        if isinstance(value, functools.partial):
            parts = [value.func, *value.args, *value.keywords.values()]
        elif inspect.ismethod(value):
            parts = [value.__self__, value.__func__]
        elif inspect.isfunction(value):
            used = inspect.getclosurevars(value)
            parts = [*used.nonlocals.values(), *used.globals.values()] if closed_over else []
        elif callable(value) and not inspect.isclass(value) and not inspect.isbuiltin(value):
            parts = list(getattr(value, "__dict__", {}).values())
        for part in parts:
            search(part, depth + 1)

    with contextlib.suppress(Exception):
        search(denoiser, 0)
    return tuple(found.values())


def device_of(denoiser: Any) -> torch.device:
    """Where a denoiser's weights are; the CPU where it has none."""
    values = (one for network in networks_of(denoiser) for one in (*network.parameters(), *network.buffers()))
    return next((one.device for one in values), torch.device("cpu"))


def dtype_of(denoiser: Any) -> torch.dtype:
    """What the weights of a network are that is called as it is; float32 where there are none."""
    networks = networks_of(denoiser, closed_over=False)
    values = (one for network in networks for one in (*network.parameters(), *network.buffers()))
    return next((one.dtype for one in values if one.is_floating_point()), torch.float32)


@contextlib.contextmanager
def evaluating(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Evaluation mode and no graph inside, every submodule's own mode afterwards."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for network in networks:
        network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:  # each its own: a frozen part of a network in training stays frozen
            module.training = training


@contextlib.contextmanager
def undisturbed(networks: Sequence[nn.Module]) -> Iterator[None]:
    """As :func:`evaluating`, and every random stream as before afterwards, on whichever device."""
    cpu = torch.device("cpu")
    before = Generators(cpu)
    on_cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    on_mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        with evaluating(networks):
            yield
    finally:
        before.put_back(Generators(cpu).moved_since(before))
        if on_cuda is not None:
            torch.cuda.set_rng_state_all(on_cuda)
        if on_mps is not None:
            torch.mps.set_rng_state(on_mps)
