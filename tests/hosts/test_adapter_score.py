"""The score SDE scheduler of diffusers: its pipeline's loop, refusals, and mistakes that are caught."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from sampler_harness.adapters import diffusers as adapter
from sampler_harness.adapters.diffusers_corners_score import ScoreSdeVe
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError

from .rewriting import rewritten
from .test_adapter_diffusers import apart, law_of

pytest.importorskip("diffusers")
NAME = "ScoreSdeVeScheduler"


@pytest.fixture(autouse=True)
def _foreign_warnings_are_not_ours() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_without_corrector_the_law_is_that_of_reverse_diffusion() -> None:
    from sampler_harness.law.law import Law
    from sampler_harness.law.response import respond_reference

    subject = adapter.subject(NAME, {"correct_steps": "0", "sigma_max": "50"})
    config = subject.reference(num_steps=5, num_corrector_steps=0, sigma_max=50.0)
    got, should_be = law_of(subject, config), Law.of(respond_reference(config))
    assert got.times.tolist() == pytest.approx(should_be.times.tolist(), rel=1e-5)
    assert apart(got, should_be) < 2e-3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sde": "vp", "num_steps": 50}, "sde must be 've'"),
        ({"norms": "item"}, "with norms='batch'"),
        ({"eps": 1e-2, "num_steps": 200}, "eps must be < 1 / "),
    ],
)
def test_what_the_scheduler_cannot_do_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ScoreSdeVe(**{"num_steps": 5, **wrong})


def test_options_become_fields_or_are_refused() -> None:
    subject = adapter.subject(NAME, {"snr": "0.2", "correct_steps": "2", "sampling_eps": "0.001"})
    found = {name: subject.fields[name] for name in ("snr", "num_corrector_steps", "eps")}
    assert found == {"snr": 0.2, "num_corrector_steps": 2, "eps": 0.001}
    with pytest.raises(DeclarationError, match="has no option 'predictor'"):
        adapter.subject(NAME, {"predictor": "ancestral"})


@pytest.mark.slow
def test_the_scheduler_conforms() -> None:
    verdict = check_sampler(adapter.subject(NAME), budget="quick")
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("diffusion = (sigma**2 - adjacent_sigma**2) ** 0.5", "diffusion = sigma - adjacent_sigma", "law/outputs"),
        ("drift = drift - diffusion**2 * model_output", "drift = drift - diffusion * model_output", "law/outputs"),
        ("noise_norm / grad_norm) ** 2 * 2", "noise_norm / grad_norm) ** 2", "clip/replay"),
        ("((step_size * 2) ** 0.5) * noise", "(step_size**0.5) * noise", "clip/replay"),
        ("snr: float = 0.15", "snr: float = 0.16", "clip/replay"),
        ("self.timesteps = torch.linspace(1, sampling_eps,", "self.timesteps = torch.linspace(1, 0.01,", "law/times"),
    ],
)
def test_a_mistake_in_the_scheduler_is_caught(before: str, after: str, check: str) -> None:
    with rewritten(NAME, before, after):
        verdict = check_sampler(adapter.subject(NAME), budget="quick", diagnose=False)
    assert check in [finding.id for finding in verdict.findings if finding.outcome == "failed"]
