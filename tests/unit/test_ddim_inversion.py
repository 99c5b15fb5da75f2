"""DDIM inversion against runs that are worked out by hand, and as what undoes DDIM."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reference_samplers import DDIM, DDIMInversion

#: alpha_bar 3/4, 3/8 and 3/32.
BETAS = (0.25, 0.5, 0.75)


def run(config: DDIMInversion, outputs: list[float], start: float) -> tuple[float, list[tuple[float, float]]]:
    told: list[tuple[float, float]] = []
    answers = iter(outputs)

    def model(x: Any, time: float) -> Any:
        told.append((float(x[0]), time))
        return np.array([next(answers)])

    return float(config.sample(model, lambda: np.array([start]))[0]), told


def test_two_steps_from_the_data_by_hand() -> None:
    """Timesteps 0 and 1: the model is told the level that each step goes to."""
    sample, told = run(DDIMInversion(betas=BETAS, timesteps=(1, 0)), [2.0, -1.0], 3.0)
    first = math.sqrt(3 / 4) * 3 + math.sqrt(1 / 4) * 2
    x0 = (first - math.sqrt(1 / 4) * -1) / math.sqrt(3 / 4)
    assert sample == pytest.approx(math.sqrt(3 / 8) * x0 + math.sqrt(5 / 8) * -1)
    np.testing.assert_allclose(told, [(3, 0), (first, 1)])


def test_the_current_timestep_is_told_and_the_end_is_noise_alone() -> None:
    """X is taken for a state at the first timestep; behind the last one alpha_bar is 0."""
    sample, told = run(DDIMInversion(betas=BETAS, timesteps=(2, 0), told="current"), [2.0, -1.0], 3.0)
    x0 = (3 - math.sqrt(1 / 4) * 2) / math.sqrt(3 / 4)
    middle = math.sqrt(3 / 32) * x0 + math.sqrt(29 / 32) * 2
    assert sample == pytest.approx(-1)
    np.testing.assert_allclose(told, [(3, 0), (middle, 2)])


def test_a_v_model_says_something_of_clean_data() -> None:
    """At alpha_bar = 1 v is epsilon."""
    config = DDIMInversion(betas=BETAS, timesteps=(0,), prediction="v")
    assert run(config, [2.0], 3.0)[0] == pytest.approx(math.sqrt(3 / 4) * 3 + math.sqrt(1 / 4) * 2)
    first = DDIMInversion(betas=BETAS, timesteps=(1,), prediction="v", start_alpha_bar="first")
    x0, epsilon = math.sqrt(3 / 4) * 3 - math.sqrt(1 / 4) * 2, math.sqrt(3 / 4) * 2 + math.sqrt(1 / 4) * 3
    assert run(first, [2.0], 3.0)[0] == pytest.approx(math.sqrt(3 / 8) * x0 + math.sqrt(5 / 8) * epsilon)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_ddim_undoes_it_where_the_model_answers_alike(prediction: Any) -> None:
    """Down again with the same outputs of epsilon: the model's answer depends on the timestep that it is told alone."""
    of_time = {0: 0.3, 3: -0.7, 6: 1.1}
    fields: dict[str, Any] = {"num_train_timesteps": 10, "num_steps": 3, "beta_end": 0.3}
    table = DDIM(**fields).alpha_bar

    def model(x: Any, time: float) -> Any:
        """Epsilon, or the v of it for an x that is at the level that the step begins with."""
        epsilon = of_time[int(time)]
        level = {0: 0, 3: 1, 6: 4}[int(time)] if upwards else int(time) + 1
        signal, noise = math.sqrt(table[level]), math.sqrt(1 - table[level])
        return np.full_like(x, epsilon) if prediction == "epsilon" else (epsilon - noise * x) / signal

    upwards = True
    noise = DDIMInversion(**fields, prediction=prediction).sample(model, lambda: np.array([0.4]))
    upwards = False
    back = DDIM(**fields, prediction=prediction).sample(model, lambda: noise)
    np.testing.assert_allclose(back, 0.4, rtol=1e-12)


def test_data_is_clamped_where_that_is_asked_for() -> None:
    config = DDIMInversion(betas=BETAS, timesteps=(0,), clip_denoised=True)
    assert run(config, [2.0], 3.0)[0] == pytest.approx(math.sqrt(3 / 4) * 1 + math.sqrt(1 / 4) * 2)
    rederived = DDIMInversion(
        betas=BETAS, timesteps=(1,), clip_denoised=True, rederive_epsilon=True, start_alpha_bar="first"
    )
    epsilon = (3 - math.sqrt(3 / 4)) / math.sqrt(1 / 4)
    assert run(rederived, [0.0], 3.0)[0] == pytest.approx(math.sqrt(3 / 8) + math.sqrt(5 / 8) * epsilon)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"prediction": "x0"}, "of x0 there is no epsilon left"),
        ({"clip_denoised": True, "rederive_epsilon": True}, "of x0 there is no epsilon left"),
        ({"told": "current", "start_alpha_bar": "first"}, "'one' where the model is told the current"),
        (
            {"told": "current", "timestep_spacing": "trailing", "rescale_zero_terminal_snr": True},
            "where a step begins at alpha_bar = 0",
        ),
    ],
)
def test_what_the_model_cannot_say_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DDIMInversion(num_steps=5, **wrong)
