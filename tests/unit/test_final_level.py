"""DDPM whose released table keeps a first entry that is no timestep: declared, it is decided."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import torch

from reference_samplers import DDPM
from sampler_harness import sampler_under_test
from sampler_harness.cli.lists import explain
from sampler_harness.runner import check_sampler

T = 12


def sampler(model: Any, shape: Any, config: DDPM, *, device: Any, dtype: Any) -> torch.Tensor:
    """Algorithm 2 in the form of equation 11, with T + 1 betas of which the run leaves out the first."""
    beta = torch.linspace(1e-4, 0.02, T + 1, dtype=torch.float64)
    share = torch.cumprod(1 - beta, 0)
    x = torch.randn(shape, device=device, dtype=dtype)
    for i in range(T, 0, -1):
        epsilon = model(x, torch.full((shape[0],), i, device=device))
        x = (x - float(beta[i] / (1 - share[i]).sqrt()) * epsilon) / float((1 - beta[i]).sqrt())
        if i > 1:
            x = x + float(beta[i].sqrt()) * torch.randn(shape, device=device, dtype=dtype)
    return x


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize(("final", "sound"), [("first", True), ("one", False)])
def test_the_level_behind_the_last_step_is_declared(final: str, sound: bool) -> None:
    declared: dict[str, Any] = {
        "num_train_timesteps": T + 1,
        "timesteps": tuple(range(T, 0, -1)),
        "variance": "fixed_large",
        "final_alpha_bar": final,
        "shapes": [(2, 3, 6, 6)],
    }
    verdict = check_sampler(sampler_under_test(DDPM, **declared)(sampler), budget="quick")
    assert verdict.conforms is sound, [(one.id, one.message) for one in verdict.bad]
    if not sound:
        assert verdict.diagnosis is not None
        assert "final_alpha_bar='first' (you declared 'one')" in verdict.diagnosis.summary


def test_a_step_by_hand() -> None:
    """From timestep 1 to the table's entry 0: alpha_bar goes from 0.72 to 0.9, so that beta is 0.2."""
    reference = DDPM(betas=(0.1, 0.2), timesteps=(1,), final_alpha_bar="first", prediction="x0")
    sample = reference.sample(lambda x, t: np.full_like(x, 2.0), lambda: np.full((1,), 3.0))
    mean = 0.9**0.5 * 0.2 / 0.28 * 2.0 + 0.8**0.5 * 0.1 / 0.28 * 3.0
    np.testing.assert_allclose(sample, mean)


def test_it_is_explained_whose_formula_each_name_is() -> None:
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        explain("DDPM", stream)
    told = " ".join(stream.getvalue().split())
    for words in (
        '"sigmoid" (Xu et al. 2022, as diffusers has it)',
        '"sigmoid_jabri" (Jabri et al. 2022, as denoising-diffusion-pytorch has it)',
        'denoising-diffusion-pytorch: "sigmoid_jabri" is sigmoid',
    ):
        assert words in told
