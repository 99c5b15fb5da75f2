"""Small samplers that the engine's tests are run on: sound, faulty, declared; one import away from the tests."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from hypothesis import strategies as st

from fixtures.torch_samplers.ddim import ddim_sampler
from fixtures.torch_samplers.schedules import alpha_bar_table, beta_table
from reference_samplers import DDIM, DDPM, EDM
from sampler_harness import sampler_under_test


def levels(config: EDM) -> list[float]:
    """The Karras grid, written once more in plain Python."""
    n, r = config.num_steps, 1 / config.rho
    top, bottom = config.sigma_max**r, config.sigma_min**r
    return [(top + i / max(n - 1, 1) * (bottom - top)) ** config.rho for i in range(n)] + [0.0]


def euler(
    model: Any, shape: Any, config: EDM, device: Any, dtype: Any, *, start: float = 1.0, blur: float = 1.0
) -> torch.Tensor:
    """Algorithm 1 with Euler steps; ``start`` and ``blur`` plant a fault."""
    grid = levels(config)
    x = start * grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in itertools.pairwise(grid):
        x = x + blur * (after - sigma) * (x - model(x, torch.tensor(sigma, dtype=torch.float64))) / sigma
    return x


DECLARED: dict[str, Any] = {"num_steps": st.integers(1, 12), "sigma_max": 5.0, "solver": "euler"}


@sampler_under_test(EDM, **DECLARED)
def sound(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """Sound: see its declaration and what it plants."""
    return euler(model, shape, config, device, dtype)


@sampler_under_test(EDM, **DECLARED)
def unscaled(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """Unscaled: see its declaration and what it plants."""
    return euler(model, shape, config, device, dtype, start=0.2)


@sampler_under_test(EDM, **DECLARED, expected_failures={"law/initial-noise": "intentional, says its author"})
def declared(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """Declared: see its declaration and what it plants."""
    return euler(model, shape, config, device, dtype, start=0.2)


@sampler_under_test(EDM, **DECLARED, expected_failures={"law/initial-noise": "intentional, says its author"})
def declared_and_moved(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """Declared, with another first noise than :func:`declared` has."""
    return euler(model, shape, config, device, dtype, start=0.25)


@sampler_under_test(EDM, **DECLARED, expected_failures={"law/initial-noise": "was intentional once"})
def repaired(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """Repaired: see its declaration and what it plants."""
    return euler(model, shape, config, device, dtype)


@sampler_under_test(EDM, **DECLARED)
def rewritten(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """The same, with the arithmetic in another order."""
    grid = levels(config)
    x = torch.randn(shape, device=device, dtype=dtype) * grid[0]
    for sigma, after in itertools.pairwise(grid):
        ratio = after / sigma
        x = ratio * x + (1 - ratio) * model(x, sigma)
    return x


@sampler_under_test(EDM, **DECLARED)
def blurred(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """Blurred: see its declaration and what it plants."""
    return euler(model, shape, config, device, dtype, blur=0.99)


@sampler_under_test(
    DDPM,
    num_steps=st.integers(1, 40),
    timestep_spacing=st.sampled_from(["leading", "trailing"]),
    prediction=st.sampled_from(["epsilon", "v"]),
    dtypes=("float32", "float64"),
)
def ddim_ancestral(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """Our DDIM at eta = 1, which is DDPM."""
    timesteps = DDIM(num_steps=config.num_steps, timestep_spacing=config.timestep_spacing).grid
    return ddim_sampler(
        model,
        shape,
        alpha_bar=alpha_bar_table(beta_table("linear", 1000, 1e-4, 0.02)),
        timesteps=timesteps,
        eta=1.0,
        prediction=config.prediction,
        device=device,
        dtype=dtype,
    )
