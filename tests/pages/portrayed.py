"""Samplers that the tests of the page are run on; one import away from them, so that targets can name them."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import torch
from hypothesis import strategies as st

from fixtures.torch_samplers.ddpm import ddpm_sampler
from fixtures.torch_samplers.schedules import alpha_bar_table, beta_table
from reference_samplers import DDPM, EDM
from sampler_harness import sampler_under_test
from tests.small_samplers import euler, levels

FEW: dict[str, Any] = {"num_steps": st.integers(1, 12), "sigma_max": 5.0, "solver": "euler"}


def stepped(model: Any, shape: Any, config: EDM, device: Any, dtype: Any, *, wrong_step: int = -1) -> torch.Tensor:
    """Algorithm 1 with Euler steps, of which one is too short."""
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for step, (sigma, after) in enumerate(itertools.pairwise(grid)):
        length = (0.8 if step == wrong_step else 1.0) * (after - sigma)
        x = x + length * (x - model(x, torch.tensor(sigma, dtype=torch.float64))) / sigma
    return x


@sampler_under_test(EDM, **FEW)
def wrong_step(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    """Step 3 is too short, which shows first in the input of model call 4."""
    return stepped(model, shape, config, device, dtype, wrong_step=3)


@sampler_under_test(EDM, **FEW, shapes=[(2, 16, 7), (1, 16, 7)])
def actions(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    """Chunks of actions: seven lines of sixteen."""
    return stepped(model, shape, config, device, dtype, wrong_step=3)


@sampler_under_test(EDM, **FEW)
def crashes(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    """Stops after two calls, with a message that must stay text."""
    calls = 0

    def counting(x: torch.Tensor, time: torch.Tensor) -> Any:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise RuntimeError("<script>alert('x')</script> & no more")
        return model(x, time)

    return euler(counting, shape, config, device, dtype)


@sampler_under_test(EDM, **FEW)
def standardized(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    """Divides by a statistic: NaN where everything is zero, and no law anywhere."""
    x = euler(model, shape, config, device, dtype)
    return x / x.std()


@sampler_under_test(EDM, **(FEW | {"num_steps": st.integers(2, 12)}))
def one_call_more(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    """The last step is halved, so that the network is called once more than the reference calls it."""
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in itertools.pairwise([*grid[:-1], grid[-2] / 2, 0.0]):
        x = x + (after - sigma) * (x - model(x, torch.tensor(sigma, dtype=torch.float64))) / sigma
    return x


@dataclasses.dataclass(frozen=True)
class WithoutNetwork:
    """A reference that does not say what its network predicts.

    Args:
        num_steps: as the other one has it.
    """

    num_steps: int = 4

    def sample(self, model: Any, noise: Any) -> Any:
        """As EDM has it."""
        return EDM(num_steps=self.num_steps, sigma_max=5.0, solver="euler").sample(model, noise)


@sampler_under_test(WithoutNetwork, num_steps=st.integers(2, 8))
def without_network(model: Any, shape: Any, config: WithoutNetwork, *, device: Any, dtype: Any) -> torch.Tensor:
    """Sound, and held against a reference of one's own."""
    own = EDM(num_steps=config.num_steps, sigma_max=5.0, solver="euler")
    return euler(model, shape, own, device, dtype)


@sampler_under_test(DDPM, num_train_timesteps=100)
def long_chain(model: Any, shape: Any, config: DDPM, *, device: Any, dtype: Any) -> torch.Tensor:
    """A hundred steps and no fewer, the variance too large by 2 %."""
    table = [1.0 - 1.02 * (1.0 - value) for value in alpha_bar_table(beta_table("linear", 100, 1e-4, 0.02))]
    options: dict[str, Any] = {"alpha_bar": table, "timesteps": config.grid, "variance": "fixed_small"}
    return ddpm_sampler(model, shape, **options, prediction="epsilon", device=device, dtype=dtype)
