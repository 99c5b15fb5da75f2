"""Notes on a training step beside a sampler, in one declaration, one command and one pytest session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reference_samplers import DDPM, EDM, DDPMTraining, EDMTraining, FlowEuler, FlowTraining
from sampler_harness.cli import main
from sampler_harness.training.beside import beside

FILE = """
import torch
from reference_samplers import FlowEuler, FlowTraining
from sampler_harness import sampler_under_test, training_under_test

@training_under_test(FlowTraining, shapes=[(4, 2, 3, 3)]{sampler})
def step(model, x0, config):
    t, noise = torch.rand(x0.shape[0]), torch.randn_like(x0)
    t_ = t.view(-1, 1, 1, 1)
    return ((model((1 - t_) * x0 + t_ * noise, t) - (noise - x0)) ** 2).mean()

@sampler_under_test(FlowEuler, num_steps=4, shift={shift}, shapes=[(2, 2, 6, 6)])
def sampler(model, shape, config, *, device, dtype):
    x = torch.randn(shape, device=device, dtype=dtype)
    times = [config.shift * t / (1 + (config.shift - 1) * t) for t in (1.0, 0.75, 0.5, 0.25, 0.0)]
    for now, after in zip(times, times[1:]):
        x = x + (after - now) * model(x, torch.full((shape[0],), now))
    return x
"""
#: Betas of Stable Diffusion, whose last alpha_bar is 0.0047.
STABLE: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
SHIFTS = "training draws its times with a shift of 1"


def test_a_chain_that_holds_data_at_its_end_is_noted() -> None:
    """As IDEALLab/EngiOpt#67: betas made for 1000 timesteps in a chain of 250."""
    [note] = beside(DDPMTraining(num_train_timesteps=250), DDPM(num_train_timesteps=250), "mine")
    for words in ("alpha_bar is 0.08 at the last timestep", "0.28 times the data", "mine starts from noise"):
        assert words in note


@pytest.mark.parametrize(
    ("training", "sampler"),
    [
        (DDPMTraining(), DDPM()),
        (DDPMTraining(**STABLE), DDPM(**STABLE)),
        (DDPMTraining(num_train_timesteps=250), DDPM()),
        (DDPMTraining(num_train_timesteps=250), FlowEuler(num_steps=3)),
        (FlowTraining(shift=3.0), FlowEuler(num_steps=3, shift=3.0)),
        (EDMTraining(), EDM()),
    ],
)
def test_what_fits_together_is_not(training: object, sampler: object) -> None:
    assert list(beside(training, sampler, "mine")) == []


@pytest.mark.parametrize(
    ("shift", "declared", "noted"),
    [("3.0", "", True), ("1.0", "", False), ("1.0", ", sampler=FlowEuler(num_steps=4, shift=3.0)", True)],
)
def test_two_declarations_of_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shift: str, declared: str, noted: bool
) -> None:
    file = tmp_path / "both.py"
    file.write_text(FILE.replace("{shift}", shift).replace("{sampler}", declared), encoding="utf-8")
    assert main([str(file), "--budget", "quick"]) == 0
    assert (SHIFTS in " ".join(capsys.readouterr().out.split())) is noted


@pytest.mark.slow
def test_two_declarations_of_one_session(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_both=FILE.replace("{shift}", "3.0").replace("{sampler}", ""))
    result = pytester.runpytest_subprocess("--sampler-budget", "quick")
    assert result.ret == 0
    assert SHIFTS in " ".join(result.stdout.str().split())
