"""The adapter for diffusers: options, refusals, the loop against recorded responses, and what is known to deviate.

What is measured here is measured by hand (``torch.randn`` replaced, impulses placed), not by the harness's own taps, so
that the adapter and the taps cannot be wrong together.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reference_samplers
from sampler_harness.adapters import diffusers as adapter
from sampler_harness.adapters import diffusers_corners as references
from sampler_harness.adapters import diffusers_corners_ancestral as ancestral
from sampler_harness.adapters import diffusers_deviations as deviations
from sampler_harness.adapters import diffusers_options as options
from sampler_harness.adapters import diffusers_released as released
from sampler_harness.adapters import diffusers_undecided as undecided
from sampler_harness.adapters.diffusers_varied import REFERENCED
from sampler_harness.adapters.no_reference import NoReference
from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.catalogue import check_ids
from sampler_harness.importing import TargetError
from sampler_harness.law.law import Law
from sampler_harness.law.response import Response, respond_reference
from sampler_harness.law.tolerance import tolerance_of
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError, Subject
from sampler_harness.subject.allowed import named_values
from sampler_harness.targets import load_subject, load_subjects

from . import findings
from .rewriting import rewritten

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "fixtures" / "golden"
SHAPE = (1, 1, 32, 32)
AMPLITUDE = 2.0**-24
CPU: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float32}
IDS = [d.name for d in deviations.KNOWN_DEVIATIONS]


@pytest.fixture(autouse=True)
def _foreign_warnings_are_not_ours() -> Iterator[None]:
    """What diffusers warns of while it imports or runs is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def draws(values: Callable[[int], torch.Tensor]) -> Iterator[None]:
    """Replace what ``torch.randn`` returns by ``values`` of the draw's number."""
    count = 0

    def randn(*args: Any, **keywords: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        return values(count - 1)

    real = torch.randn
    torch.randn = randn
    try:
        yield
    finally:
        torch.randn = real


def one_run(subject: Subject, config: Any, primitives: int | None) -> tuple[list[torch.Tensor], list[float], int]:
    """Rows, times and number of draws; impulses by number where ``primitives`` says how many draws there are."""
    rows: list[torch.Tensor] = []
    times: list[float] = []
    drawn = 0

    def impulse(place: int) -> torch.Tensor:
        values = torch.zeros(SHAPE)
        if primitives is not None:
            values.view(-1)[place] = AMPLITUDE
        return values

    def draw(index: int) -> torch.Tensor:
        nonlocal drawn
        drawn += 1
        return impulse(index)

    def model(x: torch.Tensor, time: Any) -> torch.Tensor:
        rows.append(x.double().reshape(-1).clone())
        times.append(float(time))
        output = impulse((primitives or 0) + len(rows) - 1)
        return torch.cat([output, torch.zeros(SHAPE)], dim=1) if subject.model_channels == 2 else output

    with draws(draw):
        sample = subject.function(model, SHAPE, config, **CPU)
    return [*rows, sample.double().reshape(-1)], times, drawn


def law_of(subject: Subject, config: Any) -> Law:
    """The law of a run, by hand."""
    base, _, drawn = one_run(subject, config, None)
    rows, times, _ = one_run(subject, config, drawn)
    values = (torch.stack(rows) - torch.stack(base)).numpy() / AMPLITUDE
    calls = len(times)
    return Law.of(
        Response(
            times=np.array(times),
            offset=np.zeros(calls + 1),
            noise=values[:, :drawn],
            outputs=values[:, drawn : drawn + calls],
        )
    )


def known_in(subject: Subject) -> str:
    """What is declared of a subject: one of both, never both."""
    assert not (subject.deviations and subject.expected_failures)
    return str({**subject.deviations, **subject.expected_failures} or "")


def chosen(subject: Subject, **given: Any) -> Any:
    """A configuration: what the subject fixes, and what is given for what it varies."""
    fixed = {name: value for name, value in subject.fields.items() if not hasattr(value, "example")}
    return subject.reference(**{**fixed, **given})


def in_corner(subject: Subject, deviation: deviations.KnownDeviation) -> Any:
    """The longest run that shows a known deviation, and of what is varied the first."""
    steps = {"num_steps": deviation.steps[-1]} if deviation.steps else {}
    return chosen(subject, **steps, **{name: values[0] for name, values in deviation.varied.items()})


def apart(got: Law, should_be: Law) -> float:
    """Worst deviation of B and L, relative to the entry, small entries relative to their row."""
    opened = sorted(set(got.opened) | set(should_be.opened))
    tables = [
        np.concatenate([law.outputs, *(law.column(row)[:, None] for row in opened)], axis=1) for law in (got, should_be)
    ]
    size = np.maximum(np.abs(tables[1]), 1e-4 * np.abs(tables[1]).max(axis=1, keepdims=True))
    return float((np.abs(tables[0] - tables[1]) / size).max())


# Options.


@pytest.mark.parametrize(
    ("name", "settings", "fields"),
    [
        ("DDPMScheduler", {"beta_schedule": "squaredcos_cap_v2"}, {"beta_schedule": "cosine"}),
        ("DDPMScheduler", {"prediction_type": "sample"}, {"prediction": "x0"}),
        (
            "DDPMScheduler",
            {"clip_sample": "True", "clip_sample_range": "2"},
            {"clip_denoised": True, "clip_range": 2.0},
        ),
        ("DDPMScheduler", {"thresholding": "true"}, {"threshold": 0.995}),
        ("DDPMScheduler", {"thresholding": "false", "dynamic_thresholding_ratio": "0.9"}, {"threshold": None}),
        ("DDPMScheduler", {"variance_type": "fixed_small_log"}, {"variance": "fixed_small"}),
        ("DDPMScheduler", {"timesteps": "999, 500, 0"}, {"timesteps": (999, 500, 0), "num_steps": None}),
        ("DDPMScheduler", {"trained_betas": "[0.1, 0.2]"}, {"betas": (0.1, 0.2), "num_train_timesteps": 2}),
        ("DDIMScheduler", {"set_alpha_to_one": "false"}, {"final_alpha_bar": "first"}),
        ("DDIMScheduler", {"eta": "1", "num_inference_steps": "7"}, {"eta": 1.0, "num_steps": 7}),
        ("DDIMScheduler", {"use_clipped_model_output": "true"}, {"rederive_epsilon": True}),
        (
            "EDMEulerScheduler",
            {"sigma_schedule": "exponential", "rho": "3"},
            {"sigma_spacing": "exponential", "rho": 3.0},
        ),
        ("EulerDiscreteScheduler", {"use_karras_sigmas": "true"}, {"sigma_spacing": "karras"}),
        ("EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min"}, {"final_level": "sigma_min"}),
        ("EulerDiscreteScheduler", {"use_karras_sigmas": "false"}, {"sigma_spacing": "timesteps"}),
        ("EulerDiscreteScheduler", {"sigmas": "10,1,0"}, {"sigmas": (10, 1, 0), "num_steps": None}),
        ("EulerDiscreteScheduler", {"sigma_max": "none"}, {"sigma_max": None}),
        ("HeunDiscreteScheduler", {"beta_schedule": "exp"}, {"beta_schedule": "exponential"}),
        ("TCDScheduler", {"eta": "0.5"}, {"gamma": 0.5}),
        ("LCMScheduler", {"original_inference_steps": "20"}, {"original_steps": 20}),
        ("FlowMatchEulerDiscreteScheduler", {"shift": "3"}, {"shift": 3.0}),
        ("FlowMatchEulerDiscreteScheduler", {"mu": "1.15", "use_dynamic_shifting": "true"}, {"mu": 1.15}),
        ("FlowMatchEulerDiscreteScheduler", {"shift_terminal": "0.1"}, {"terminal": 0.1}),
        ("FlowMatchEulerDiscreteScheduler", {"shift_terminal": "0"}, {"terminal": None}),
        ("FlowMatchEulerDiscreteScheduler", {"use_exponential_sigmas": "true"}, {"sigma_spacing": "exponential"}),
        ("FlowMatchLCMScheduler", {"use_beta_sigmas": "true"}, {"sigma_spacing": "beta"}),
        ("LTXEulerAncestralRFScheduler", {"eta": "0.5"}, {"eta": 0.5}),
        ("CogVideoXDDIMScheduler", {"snr_shift_scale": "1"}, {"snr_shift": 1.0}),
        ("CogVideoXDDIMScheduler", {"clip_sample": "true", "num_inference_steps": "7"}, {"num_steps": 7}),
        ("UnCLIPScheduler", {"variance_type": "learned_range"}, {"variance": "learned_range"}),
        ("UnCLIPScheduler", {"variance_type": "fixed_small_log"}, {"variance": "fixed_small"}),
        ("MiniMaxH3Scheduler", {"num_inference_steps": "9"}, {"num_steps": 8}),
        ("MiniMaxH3Scheduler", {"sigmas": "0.9, 0.4, 0"}, {"sigmas": (0.9, 0.4, 0), "num_steps": None}),
        ("FlowMapEulerDiscreteScheduler", {"shift": "5"}, {"shift": 5.0}),
        ("DDIMInverseScheduler", {"set_alpha_to_one": "false"}, {"start_alpha_bar": "first"}),
    ],
)
def test_options_become_fields(name: str, settings: dict[str, str], fields: dict[str, Any]) -> None:
    subject = adapter.subject(name, settings)
    assert not known_in(subject)
    assert {field: subject.fields[field] for field in fields} == fields


@pytest.mark.parametrize("name", REFERENCED)
def test_every_option_is_mapped_or_refused_by_name(name: str) -> None:
    for option, default in options.known_options(name).items():
        if option in ("timesteps", "sigmas"):
            continue
        value = {"trained_betas": (0.01,) * 60, "sigma_min": 0.1, "sigma_max": 2.0}.get(option, default)
        adapter.subject(name, {option: value})


@pytest.mark.parametrize("typed", ["1e3", "1000.0", "1000"])
def test_a_whole_number_may_be_typed_in_any_way(typed: str) -> None:
    assert adapter.subject("DDIMScheduler", {"num_train_timesteps": typed}).fields["num_train_timesteps"] == 1000


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("DDIMSheduler", {}, "close: DDIMScheduler"),
        ("DDIMScheduler", {"timestep_spacin": "leading"}, "close: timestep_spacing"),
        ("DDIMScheduler", {"clip_sample": "maybe"}, "clip_sample=maybe should be true or false"),
        ("DDIMScheduler", {"steps_offset": "0.5"}, "steps_offset=0.5 should be a whole number"),
        ("DDIMScheduler", {"num_train_timesteps": "1000.5"}, "num_train_timesteps=1000.5 should be a whole number"),
        ("EulerDiscreteScheduler", {"num_inference_steps": "0"}, ": num_inference_steps must be a whole number >= 1"),
        ("DDIMScheduler", {"beta_start": "low"}, "beta_start=low should be a number"),
        ("DDPMScheduler", {"timesteps": "9, x"}, "numbers with commas between them"),
        ("EulerDiscreteScheduler", {"beta_schedule": "exp"}, "no paper says what it should do"),
        ("DDIMScheduler", {"beta_schedule": "sigmoid"}, "the scheduler makes no such table"),
        ("DDIMScheduler", {"beta_schedule": "laplace"}, "the scheduler makes no such table"),
        ("EDMEulerScheduler", {"prediction_type": "sample"}, "the scheduler has no such model"),
        (
            "EulerDiscreteScheduler",
            {"timestep_type": "continuous", "prediction_type": "epsilon"},
            "no effect of it unless prediction_type=v_prediction",
        ),
        ("DDIMScheduler", {"known": "no-such"}, "has no known deviation 'no-such'; it has ddim-linspace-next-entry"),
        (
            "DDIMScheduler",
            {"trained_betas": "0.1,0.2", "num_train_timesteps": "1000"},
            "the scheduler would visit 1000 timesteps of a table of 2",
        ),
        ("AmusedScheduler", {"mask_token": "1"}, "close: mask_token_id"),
        ("LCMScheduler", {"set_alpha_to_one": "false"}, "set_alpha_to_one=False changes nothing"),
        ("TCDScheduler", {"clip_sample": "true"}, "clip_sample=True changes nothing"),
        ("FlowMatchEulerDiscreteScheduler", {"s_churn": "1.0"}, "s_churn=1.0 changes nothing"),
        ("FlowMatchEulerDiscreteScheduler", {"use_dynamic_shifting": "true"}, "--set mu="),
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": "true"}, "invert_sigmas has no counterpart"),
        (
            "FlowMatchEulerDiscreteScheduler",
            {"shift_terminal": "0.1", "num_inference_steps": "1"},
            "a single level is stretched by 0 / 0",
        ),
        ("KDPM2DiscreteScheduler", {"prediction_type": "sample"}, "the scheduler has no such model"),
        ("DDIMScheduler", {"timestep_spacing": "nonsense"}, "timestep_spacing must be one of linspace, leading"),
        ("TCDScheduler", {"trained_betas": "0.1,0.2"}, "with trained_betas=(0.1, 0.2): "),
        ("DDIMScheduler", {"timestep_spacing": "respaced"}, "timestep_spacing must be one of linspace, leading"),
        ("DDIMScheduler", {"prediction_type": "x0"}, "prediction_type must be one of epsilon, sample, v_prediction"),
        (
            "EulerDiscreteScheduler",
            {"use_karras_sigmas": "true", "use_exponential_sigmas": "true"},
            "use_karras_sigmas and use_exponential_sigmas cannot be on together",
        ),
        ("EulerDiscreteScheduler", {"sigma_min": "5", "sigma_max": "1"}, "is above sigma_max"),
        ("DDIMScheduler", {"num_train_timesteps": "-3"}, "num_train_timesteps must be a whole number >= 1"),
        ("FlowMatchEulerDiscreteScheduler", {"sigmas": "0.9, 0.5, 0.1"}, "the reference's times are even"),
        ("FlowMatchLCMScheduler", {"timesteps": "900, 400"}, "timesteps=(900, 400) has no reference"),
        ("LTXEulerAncestralRFScheduler", {"sigmas": "1.0, 0.5, 0.0"}, "the reference's times are even"),
        ("LTXEulerAncestralRFScheduler", {"mu": "1.15"}, "mu=1.15 changes nothing"),
        ("CogVideoXDDIMScheduler", {"eta": "1"}, "eta=1.0 changes nothing"),
        ("CogVideoXDDIMScheduler", {"clip_sample": "false"}, "clip_sample=False changes nothing"),
        ("FlowMapEulerDiscreteScheduler", {"sigmas": "0.9, 0.5"}, "the reference's times are even"),
        ("UnCLIPScheduler", {"num_inference_steps": "1"}, "num_inference_steps must be > 1"),
        ("DDIMInverseScheduler", {"timestep_spacing": "linspace"}, "'leading' or 'trailing'"),
        ("UnCLIPScheduler", {"prediction_type": "v_prediction"}, "must be 'epsilon' or 'x0'"),
        ("UnCLIPScheduler", {"variance_type": "fixed_large"}, "the scheduler has no such variance"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(name: str, settings: dict[str, str], told: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(told)):
        adapter.subject(name, settings)


@pytest.mark.parametrize(
    ("settings", "tables"),
    [
        ({"num_train_timesteps": "1000"}, [None]),
        ({"num_train_timesteps": "100"}, [None]),
        ({"num_train_timesteps": "7"}, [None, (0.01, 0.03, 0.02, 0.1, 0.2, 0.15, 0.4)]),
    ],
)
@pytest.mark.parametrize("name", ["DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler"])
def test_tables_by_hand_are_as_long_as_is_asked_for(name: str, settings: dict[str, str], tables: list[Any]) -> None:
    """The scheduler would visit entries that a shorter table does not have."""
    first, *corners = adapter.subjects(name, settings)
    assert named_values(first.fields["betas"]) == tables
    for one in corners:
        lengths = {len(table) for table in named_values(one.fields.get("betas")) or () if table is not None}
        assert lengths <= {int(settings["num_train_timesteps"])}


@pytest.mark.parametrize("option", ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"])
@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "HeunDiscreteScheduler"])
def test_a_corner_of_some_levels_is_not_asked_for_with_others(name: str, option: str) -> None:
    """A scheduler takes one way to lay levels out; with Karras's no timesteps are counted down."""
    corners = {one.name.partition("[")[2][:-1] for one in adapter.subjects(name, {option: "true"})}
    assert not [one for one in corners if "trailing" in one or "log-linear" in one]
    assert option == "use_beta_sigmas" or not [one for one in corners if "beta-sigmas" in one]


def test_a_corner_is_not_another_corner() -> None:
    """In a short table a level of 2 lies above it, which ends in an error whatever the quantiles are."""
    with pytest.raises(ValueError, match="levels beyond it"):
        released.ReleasedEulerBeta(num_steps=10, num_train_timesteps=100, sigma_spacing="beta", sigma_max=2.0)
    released.ReleasedEulerBeta(num_steps=10, num_train_timesteps=1000, sigma_spacing="beta", sigma_max=2.0)


def test_a_value_that_goes_with_few_others_is_found_among_all() -> None:
    """Of a thousand steps no leading grid leaves room for an offset; another spacing has it."""
    subject = adapter.subject("DDIMScheduler", {"steps_offset": "1"})
    assert covering_set(subject, BUDGETS["quick"]).base.steps_offset == 1


@pytest.mark.parametrize("name", ["LCMScheduler", "TCDScheduler", "KDPM2DiscreteScheduler", "DDPMScheduler"])
def test_a_table_by_hand_is_legal_with_the_schedulers_own_defaults(name: str) -> None:
    """Of LCM the defaults are others than DDPM's, and with those of DDPM the reference refused every configuration."""
    subject = adapter.subject(name, {"trained_betas": "0.01, 0.03, 0.02, 0.1, 0.2, 0.15, 0.4"})
    assert covering_set(subject, BUDGETS["quick"]).configurations


def test_a_target_with_a_wrong_option_is_one_sentence() -> None:
    with pytest.raises(TargetError, match="diffusers:DDIMScheduler: DDIMScheduler has no option 'ta'"):
        load_subject("diffusers:DDIMScheduler", {"ta": "1"})


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name="diffusers")

    for cached in (options.names, options.scheduler_class):
        cached.cache_clear()
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=re.escape('pip install "sampler-harness[diffusers]"')):
        adapter.subject("DDIMScheduler")


def test_the_adapter_itself_loads_without_the_extra() -> None:
    import subprocess

    script = (
        "import sys, sampler_harness.adapters.diffusers\n"
        "assert not {'diffusers', 'torch', 'hypothesis'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# The loop.

RECORDED = [
    ("DDPMScheduler", {}, {"num_steps": 10}, "diffusers_DDPMScheduler"),
    (
        "DDPMScheduler",
        {"timestep_spacing": "trailing", "prediction_type": "v_prediction", "rescale_betas_zero_snr": "true"},
        {"num_steps": 10},
        "diffusers_DDPMScheduler_timestep_spacing-trailing_prediction_type-v_prediction_rescale_betas_zero_snr-True",
    ),
    (
        "DDPMScheduler",
        {"variance_type": "fixed_large", "beta_schedule": "squaredcos_cap_v2"},
        {"num_steps": 10},
        "diffusers_DDPMScheduler_variance_type-fixed_large_beta_schedule-squaredcos_cap_v2",
    ),
    ("DDIMScheduler", {}, {"num_steps": 10}, "diffusers_DDIMScheduler"),
    ("EDMEulerScheduler", {}, {"num_steps": 8}, "diffusers_EDMEulerScheduler"),
    ("EulerDiscreteScheduler", {}, {"num_steps": 10}, "diffusers_EulerDiscreteScheduler"),
    ("HeunDiscreteScheduler", {}, {"num_steps": 8}, "diffusers_HeunDiscreteScheduler"),
]


@pytest.mark.parametrize(("name", "settings", "fields", "record"), RECORDED, ids=[r[-1] for r in RECORDED])
def test_loop_and_reference_have_the_recorded_law(
    name: str, settings: dict[str, str], fields: dict[str, Any], record: str
) -> None:
    data = json.loads((GOLDEN / f"{record}.json").read_text(encoding="utf-8"))
    subject = adapter.subject(name, settings)
    config = chosen(subject, **fields)
    factor = np.array(data["noise_factor"])
    for law, tolerance in ((law_of(subject, config), 1e-5), (Law.of(respond_reference(config)), 1e-3)):
        np.testing.assert_allclose(law.times, data["times"], rtol=1e-5, atol=1e-6)
        got, outputs = law.outputs, np.array(data["output_coefficients"])
        size = np.abs(outputs) + 1e-4 * np.abs(outputs).max(axis=1, keepdims=True) + 1e-12
        assert (np.abs(got - outputs) / size).max() < tolerance
        # A record may lack the columns of noise that is nothing.
        np.testing.assert_allclose(law.factor[:, : factor.shape[1]], factor, rtol=tolerance, atol=1e-7)


SOUND = [
    ("DDPMScheduler", {"variance_type": "learned_range"}, {"num_steps": 5}),
    ("DDPMScheduler", {"variance_type": "learned"}, {"num_steps": 5}),
    ("DDPMScheduler", {"timesteps": "900,400,20,0"}, {}),
    ("DDPMScheduler", {"trained_betas": "0.1,0.2,0.3,0.4"}, {"num_steps": 4}),
    ("DDIMScheduler", {"eta": "0.5", "timestep_spacing": "trailing", "num_inference_steps": "5"}, {}),
    ("EDMEulerScheduler", {"sigma_schedule": "exponential", "prediction_type": "v_prediction"}, {"num_steps": 6}),
    ("EDMEulerScheduler", {"final_sigmas_type": "sigma_min"}, {"num_steps": 6}),
    ("EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min"}, {"num_steps": 6}),
    ("EulerDiscreteScheduler", {"timesteps": "900,400.5,20"}, {}),
    ("EulerDiscreteScheduler", {"sigmas": "10,3,0.5,0"}, {}),
    (
        "EulerDiscreteScheduler",
        {"timestep_type": "continuous", "prediction_type": "v_prediction", "use_karras_sigmas": "true"},
        {"num_steps": 6},
    ),
    ("EulerDiscreteScheduler", {"timestep_spacing": "leading", "steps_offset": "1"}, {"num_steps": 6}),
    ("EulerDiscreteScheduler", {"rescale_betas_zero_snr": "true", "timestep_spacing": "trailing"}, {"num_steps": 6}),
    ("HeunDiscreteScheduler", {"use_exponential_sigmas": "true", "prediction_type": "sample"}, {"num_steps": 6}),
    ("HeunDiscreteScheduler", {"timesteps": "900,400,20"}, {}),
    ("HeunDiscreteScheduler", {"beta_schedule": "exp", "timestep_spacing": "trailing"}, {"num_steps": 6}),
]


@pytest.mark.parametrize(("name", "settings", "fields"), SOUND)
def test_options_reach_scheduler_and_reference_alike(
    name: str, settings: dict[str, str], fields: dict[str, Any]
) -> None:
    subject = adapter.subject(name, settings)
    config = chosen(subject, **fields)
    # By hand a second output is 0 everywhere; the reference is asked with the same.
    learned = config.model_channels == 2
    should_be = respond_with_zero_variance(config) if learned else Law.of(respond_reference(config))
    got = law_of(subject, config)
    np.testing.assert_allclose(got.times, should_be.times, rtol=1e-5, atol=2e-3)
    assert apart(got, should_be) < 2e-3


#: Scheduler and configuration: levels looked up where a table has whole entries, and one step from 80 to 0.
ROUNDED: list[tuple[str, dict[str, Any]]] = [
    ("HeunDiscreteScheduler", {"num_steps": 2, "beta_schedule": "cosine", "grid_timesteps": 6}),
    ("HeunDiscreteScheduler", {"num_steps": 2, "beta_schedule": "scaled_linear", "grid_timesteps": 6}),
    ("EulerDiscreteScheduler", {"num_steps": 2, "beta_schedule": "cosine", "timestep_spacing": "leading"}),
    ("EDMEulerScheduler", {"num_steps": 1, "sigma_data": 0.25}),
    ("EDMEulerScheduler", {"num_steps": 1, "sigma_data": 0.25, "rho": 3.0, "prediction": "v"}),
    # sigma_down behind a level of 4096 is 17 spacings of float32, of which six random roundings never left one.
    (
        "EulerAncestralDiscreteScheduler",
        {
            "num_steps": 10,
            "num_train_timesteps": 200,
            "beta_schedule": "cosine",
            "rescale_zero_terminal_snr": True,
            "prediction": "v",
        },
    ),
]


@pytest.mark.parametrize(("name", "fields"), ROUNDED)
def test_what_float32_loses_is_within_a_third_of_what_it_may_lose(name: str, fields: dict[str, Any]) -> None:
    """A level whose logarithm is looked up, and 0.0008 as a difference of numbers near 1."""
    spacing = {"sigma_spacing": "exponential"} if name in ("HeunDiscreteScheduler", "EulerDiscreteScheduler") else {}
    subject = adapter.subject(name)
    config = subject.reference(**fields, **spacing)
    got, should_be, allowed = (
        law_of(subject, config),
        Law.of(respond_reference(config)),
        tolerance_of(config, "float32"),
    )
    assert (abs(got.times - should_be.times) / allowed.times).max() < 1 / 3
    assert (abs(got.outputs - should_be.outputs) / np.maximum(allowed.outputs, 1e-12)).max() < 1 / 3
    assert (abs(got.column(0) - should_be.column(0)) / np.maximum(allowed.factor[:, 0], 1e-12)).max() < 1 / 3


def respond_with_zero_variance(config: Any) -> Law:
    """The law of a reference whose model says 0 for the variance."""

    class Halved:
        def sample(self, model: Any, noise: Any) -> Any:
            def zero_variance(x: Any, time: Any) -> Any:
                return model(x, time), np.zeros(np.shape(x))

            return config.sample(zero_variance, noise)

    return Law.of(respond_reference(Halved()))


def test_a_clamp_bites_as_in_the_reference() -> None:
    subject = adapter.subject("HeunDiscreteScheduler", {"clip_sample": "true", "timestep_spacing": "trailing"})
    config = chosen(subject, num_steps=5)
    assert config.is_clipped
    generator = torch.Generator().manual_seed(3)
    start = torch.randn((2, 3, 4, 4), generator=generator)
    outputs = torch.randn((9, 2, 3, 4, 4), generator=generator)
    count = iter(range(100))

    def model(x: torch.Tensor, time: Any) -> torch.Tensor:
        return outputs[next(count)]

    with draws(lambda index: start):
        got = subject.function(model, (2, 3, 4, 4), config, **CPU)
    count = iter(range(100))
    exact = config.sample(lambda x, time: outputs[next(count)].double().numpy(), lambda: start.double().numpy())
    np.testing.assert_allclose(got.numpy(), exact, rtol=0, atol=2e-3)
    assert np.abs(exact).max() <= 1 + 1e-9


@pytest.mark.parametrize("name", REFERENCED)
def test_a_run_can_start_at_every_entry_and_is_noised_for_it(name: str) -> None:
    subject = adapter.subject(name)
    # Lower down the one loses digits, and the other corrects before each step.
    of_some: dict[str, dict[str, Any]] = {
        "FlowMatchHeunDiscreteScheduler": {"shift": 30.0},
        "ScoreSdeVeScheduler": {"num_corrector_steps": 0},
    }
    lifted = of_some.get(name, {})
    config = subject.reference(num_steps=5, **lifted)
    assert subject.partial is not None
    has_none = ("LTXEulerAncestralRFScheduler", "SCMScheduler", "DDIMInverseScheduler", "ScoreSdeVeScheduler")
    assert (subject.forward is None) == (name in has_none)
    x0, draw = torch.zeros(SHAPE), torch.zeros(SHAPE)
    x0.view(-1)[1] = draw.view(-1)[2] = 1.0
    whole: list[float] = []
    for index in range(5):
        times: list[float] = []

        def model(x: torch.Tensor, time: Any, times: list[float] = times) -> torch.Tensor:
            times.append(float(time))
            return torch.zeros_like(x)

        subject.partial(model, torch.ones(SHAPE), config, index, **CPU)
        whole = whole or times
        assert times == whole[len(whole) - len(times) :]
        if subject.forward is None:
            continue
        noised = subject.forward(x0, draw, config, index, **CPU).view(-1)
        signal, noise = config.forward_scales(index)
        assert float(noised[1]) == pytest.approx(signal, rel=1e-3)
        assert float(noised[2]) == pytest.approx(noise, rel=1e-3)
    assert len(times) == 1


def test_a_generator_feeds_every_draw() -> None:
    subject = adapter.subject("DDPMScheduler")
    config = subject.reference(num_steps=4)

    def model(x: torch.Tensor, time: Any) -> torch.Tensor:
        return torch.zeros_like(x)

    before = torch.get_rng_state()
    samples = [
        subject.function(model, (1, 1, 2, 2), config, **CPU, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    ]
    assert torch.equal(*samples)
    assert torch.equal(before, torch.get_rng_state())


def test_a_scheduler_without_a_reference_runs_for_comparisons() -> None:
    ddim = adapter.subject("DDIMScheduler")
    config = ddim.reference(num_steps=10, timestep_spacing="trailing")
    settings = {"solver_order": "1", "timestep_spacing": "trailing"}
    dpm = adapter.subject("DPMSolverMultistepScheduler", settings)
    assert dpm.reference is NoReference
    # First-order DPM-Solver++ is DDIM with eta 0 (Lu et al. 2022, section 4).
    assert apart(law_of(dpm, config), law_of(ddim, config)) < 1e-5
    with pytest.raises(ValueError, match="has no reference here"):
        dpm.reference(num_steps=2).sample(None, None)


def test_every_scheduler_is_decided_or_said_why_not() -> None:
    reasons = [name for those in undecided.UNDECIDED.values() for name in those]
    assert len(reasons) == len(set(reasons))
    assert not set(reasons) & set(REFERENCED)
    missing = [name for name in options.names() if name not in REFERENCED and name not in reasons]
    assert len([one for one in undecided.undecided() if "cannot give it" in one]) == bool(missing)
    told = " ".join(adapter.remarks("all"))
    assert "not decided (it samples tokens: no Gaussian noise is taken out): Amused, " in told
    assert all(name.removesuffix("Scheduler") in told for name in options.names() if name not in REFERENCED)


def test_the_readme_counts_them_right() -> None:
    corners = deviations.KNOWN_DEVIATIONS
    copies = sum(1 + len(one.copied_in) for one in corners)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if importlib.import_module("diffusers").__version__ == "0.42.1":
        assert f"| {len(REFERENCED)} of {len(options.names())} | conform" in text
    assert f"| {len(corners)} corners | of these leave the paper, {copies} with copies" in text
    told = [int(count) for count in re.findall(r"^\| (\d+) not decided \|", text, re.M)]
    assert [*told] == [13, 5, 3, 4]
    by_size = sorted((len(those) for those in undecided.UNDECIDED.values()), reverse=True)
    assert by_size == [13, 5, 3, 2, 1]


def test_all_schedulers_are_those_with_a_reference_and_their_corners() -> None:
    found = adapter.subjects("all")
    assert [one.name for one in found if "[" not in one.name] == list(REFERENCED)
    assert {one.name for one in adapter.subjects("EulerDiscreteScheduler")} <= {one.name for one in found}
    assert [one.target for one in load_subjects("diffusers:all")] == [f"diffusers:{one.name}" for one in found]
    with pytest.raises(DeclarationError, match="is for one scheduler"):
        adapter.subjects("all", {"eta": "0.5"})


# The references of their own.


def test_restricted_references_are_the_papers_where_they_do_not_refuse() -> None:
    for mine, paper in ((references.DDPM, reference_samplers.DDPM), (references.DDIM, reference_samplers.DDIM)):
        got, should_be = (respond_reference(kind(num_steps=5)) for kind in (mine, paper))
        np.testing.assert_array_equal(got.outputs, should_be.outputs)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: references.DDPM(num_steps=61, timestep_spacing="trailing"), "one step too many"),
        (lambda: references.DDPM(num_steps=48, timestep_spacing="trailing"), "half"),
        (lambda: references.DDPM(num_steps=5, timestep_spacing="trailing", variance="fixed_large"), "last step"),
        (lambda: references.DDIM(num_steps=5, timestep_spacing="linspace"), "t - T // n"),
        (lambda: references.DDIM(num_steps=7, timestep_spacing="trailing"), "t - T // n"),
        (lambda: references.DDIM(num_steps=600, steps_offset=1), "t - T // n"),
        (lambda: references.EDMEuler(num_steps=1, sigma_spacing="exponential"), "one step"),
        (lambda: references.EulerDiscrete(sigma_spacing="karras", sigma_max=500.0), "levels beyond it"),
        (lambda: references.HeunDiscrete(num_steps=2, clip_denoised=True), "rounding in float32"),
        (lambda: references.HeunDiscrete(s_churn=1.0), "no such option"),
        (lambda: references.EulerDiscrete(continuous_time=True), "unless prediction is 'v'"),
        (lambda: references.EulerDiscrete(num_steps=None), "given, or timesteps, or sigmas"),
        (
            lambda: ancestral.EulerAncestralDiscrete(num_steps=3, beta_schedule="cosine", timestep_spacing="trailing"),
            "a root below 0",
        ),
    ],
)
def test_corners_that_deviate_are_refused(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        make()


def test_overruns_counts_as_numpy_does() -> None:
    for steps in range(1, 500):
        assert deviations.overruns(1000, steps) == (np.arange(1000, 0, -1000 / steps).size > steps)


# What is known to deviate.


def test_every_known_deviation_is_a_finding_and_its_command_asks_for_it() -> None:
    told = findings.sections()
    assert set(IDS) <= set(told)
    for deviation in deviations.KNOWN_DEVIATIONS:
        program, target, *rest = findings.command_of(told[deviation.name])
        assert program == "check-sampler", deviation.name
        settings = dict(word.split("=", 1) for word in rest if word != "--set")
        subject = load_subject(target, settings)
        assert isinstance(subject, Subject)
        assert subject.name == f"{deviation.scheduler}[{deviation.name}]"
        assert set(subject.expected_failures) == set(deviation.shows) <= set(check_ids())
        assert deviation.name in known_in(subject)


def test_a_corner_can_be_asked_for_by_name_and_is_left_alone_otherwise() -> None:
    by_name = load_subject("diffusers:DDIMScheduler[ddim-linspace-next-entry]")
    assert isinstance(by_name, Subject)
    assert known_in(by_name)
    assert not known_in(adapter.subject("DDIMScheduler"))
    assert not known_in(adapter.subject("DDIMScheduler", {"timestep_spacing": "leading"}))
    sound = {"timestep_spacing": "trailing", "num_inference_steps": "50"}
    assert not known_in(adapter.subject("DDIMScheduler", sound))
    other = {"timestep_spacing": "trailing", "num_inference_steps": "103"}
    assert "too many" in known_in(adapter.subject("DDPMScheduler", other))
    found = adapter.subjects("EulerDiscreteScheduler")
    assert len(found) == 1 + sum(d.scheduler == "EulerDiscreteScheduler" for d in deviations.KNOWN_DEVIATIONS)


@pytest.mark.parametrize(
    ("name", "settings", "left"),
    [
        ("DDIMScheduler", {"num_inference_steps": "40"}, {"ddim-linspace-next-entry"}),
        ("DDIMScheduler", {"num_inference_steps": "30"}, {"ddim-linspace-next-entry", "ddim-trailing-next-entry"}),
        ("DDIMScheduler", {"num_inference_steps": "1000"}, set()),
        (
            "DDIMScheduler",
            {"beta_start": "0.001"},
            {
                "ddim-linspace-next-entry",
                "ddim-trailing-next-entry",
                "ddim-trailing-one-step-too-many",
                "ddim-offset-next-entry",
            },
        ),
        ("DDIMScheduler", {"num_train_timesteps": "2"}, {"ddim-linspace-next-entry"}),
        (
            "DDIMScheduler",
            {"trained_betas": "0.01, 0.03, 0.02, 0.1, 0.2, 0.15, 0.4"},
            {"ddim-linspace-next-entry", "ddim-trailing-next-entry"},
        ),
        (
            "EulerDiscreteScheduler",
            {"num_inference_steps": "40"},
            {"euler-churn-after-the-model-call", "euler-get-velocity", "euler-log-linear-times", "euler-beta-sigmas"},
        ),
    ],
)
def test_corners_that_options_leave_no_room_for_are_not_asked_for(
    name: str, settings: dict[str, str], left: set[str]
) -> None:
    """One whose reference refuses every configuration could judge nothing, and the whole target was an error."""
    found = adapter.subjects(name, settings)
    assert {known for one in found for known in one.deviations} == left
    assert not any(one.expected_failures for one in found)
    assert all(covering_set(one, BUDGETS["quick"]).configurations for one in found)


def test_what_a_person_sets_wins_over_what_a_corner_is_shown_at() -> None:
    found = {one.name: one for one in adapter.subjects("EDMEulerScheduler", {"sigma_max": "10"})}
    assert found["EDMEulerScheduler[edm-euler-first-noise]"].fields["sigma_max"] == 10.0


@pytest.mark.slow
@pytest.mark.parametrize("variance", ["learned_range", "learned"])
def test_a_corner_is_held_to_its_learned_variance_too(variance: str) -> None:
    subject = adapter.subject("DDPMScheduler[ddpm-trailing-one-step-too-many]", {"variance_type": variance})
    assert subject.model_channels == 2
    assert check_sampler(subject, budget="quick").conforms


@pytest.mark.parametrize("deviation", deviations.KNOWN_DEVIATIONS, ids=IDS)
def test_each_known_deviation_is_real(deviation: deviations.KnownDeviation) -> None:
    subject = adapter.subject(deviation.scheduler, {"known": deviation.name})
    config = in_corner(subject, deviation)
    if deviation.has_velocity:
        assert subject.velocity is not None
        x0 = torch.ones(SHAPE)
        got = float(subject.velocity(x0, torch.zeros(SHAPE), config, 0, **CPU).view(-1)[0])
        sigma = config.forward_scales(0)[1]
        assert abs(got + sigma / np.sqrt(sigma**2 + 1)) > 0.5
        return
    should_be = Law.of(respond_reference(config if subject.paper is None else subject.paper(**config.values())))
    try:
        law = law_of(subject, config)
    except IndexError:  # the run itself ends in an error
        assert deviation.name in ("edm-euler-levels-by-hand", "euler-levels-beyond-the-table")
        return
    if law.num_calls != should_be.num_calls:
        assert "too-many" in deviation.name
        assert law.num_calls > should_be.num_calls
        return
    assert "too-many" not in deviation.name
    assert not apart(law, should_be) < 5e-3  # NaN is apart from everything


@pytest.mark.parametrize("deviation", deviations.KNOWN_DEVIATIONS, ids=IDS)
def test_what_is_released_is_written_down_or_has_no_law(deviation: deviations.KnownDeviation) -> None:
    subject = adapter.subject(deviation.scheduler, {"known": deviation.name})
    config = in_corner(subject, deviation)
    assert (deviation.name in released.RELEASED) == (subject.paper is not None) == (not deviation.shows)
    if subject.paper is None:
        return
    assert issubclass(subject.reference, subject.paper)
    assert not config.has_network
    got, should_be = law_of(subject, config), Law.of(respond_reference(config))
    np.testing.assert_allclose(got.times, should_be.times, rtol=1e-5, atol=2e-3)
    assert apart(got, should_be) < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "after", "fault"),
    [
        (
            "DDIMScheduler",
            "(1 - alpha_prod_t_prev - std_dev_t**2) ** (0.5) * pred_epsilon",
            "(1 - alpha_prod_t_prev) ** (0.5) * pred_epsilon",
            "direction-keeps-all-noise",
        ),
        (
            "DDPMScheduler",
            "current_sample_coeff = current_alpha_t ** (0.5)",
            "current_sample_coeff = alpha_prod_t ** (0.5)",
            "alpha-bar-for-alpha-in-mean",
        ),
        (
            "HeunDiscreteScheduler",
            "derivative = (self.prev_derivative + derivative) / 2",
            "derivative = self.prev_derivative + derivative",
            "slopes-added",
        ),
        (
            "HeunDiscreteScheduler",
            "derivative = (sample - pred_original_sample) / sigma_next",
            "derivative = (sample - pred_original_sample) / sigma_hat",
            "second-slope-over-first-level",
        ),
    ],
    ids=lambda value: value if "-" in str(value)[1:] and " " not in str(value) else "",
)
def test_a_fault_in_a_scheduler_is_named(name: str, before: str, after: str, fault: str) -> None:
    with rewritten(name, before, after):
        diagnosis = check_sampler(adapter.subject(name), budget="quick").diagnosis
    assert diagnosis is not None
    # Twice the slope carries a clamped run of three steps, from a level of thousands, beyond what float32 decides: the
    # fault is named, and said to be probable.
    assert diagnosis.exact or fault == "slopes-added"
    assert len(diagnosis.answers) == 1
    assert diagnosis.summary.endswith(fault)


@pytest.mark.slow
@pytest.mark.parametrize("deviation", deviations.KNOWN_DEVIATIONS, ids=IDS)
def test_a_corner_is_as_it_is_known(deviation: deviations.KnownDeviation) -> None:
    verdict = check_sampler(adapter.subject(deviation.scheduler, {"known": deviation.name}), budget="quick")
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
    assert (verdict.deviations or {f.id for f in verdict.expected}) != {}
    assert verdict.margin is None or verdict.margin < 1 / 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("corner", "before", "after", "check"),
    [
        ("euler-churn-after-the-model-call", "eps = noise * s_noise", "eps = noise / s_noise", "law/noise"),
        ("euler-churn-after-the-model-call", "min(s_churn / (len", "min(s_churn * (len", "law/outputs"),
        ("euler-get-velocity", "sqrt_alpha_prod * noise - sqrt", "sqrt_alpha_prod * noise + sqrt", "law/forward"),
        (
            "euler-beta-sigmas",
            "alpha: float = 0.6, beta: float = 0.6",
            "alpha: float = 0.6, beta: float = 0.7",
            "law/times",
        ),
        ("ddpm-laplace-schedule", "math.fabs(0.5 - t) + 1e-6", "math.fabs(0.5 - t) + 1e-3", "law/outputs"),
        ("ddpm-laplace-schedule", "math.fabs(0.5 - t) + 1e-6", "math.fabs(0.5 - t) + 1.01e-6", "law/forward"),
        # A crash is not the failure that is declared, and neither is another crash.
        ("ddim-linspace-next-entry", "prev_timestep = timestep -", "raise TypeError(timestep) -", "law/times"),
        (
            "euler-levels-beyond-the-table",
            "derivative = (sample - pred_original_sample)",
            "raise TypeError(sample - pred_original_sample)",
            "law/times",
        ),
    ],
)
def test_a_corner_excuses_nothing_else(corner: str, before: str, after: str, check: str) -> None:
    (name,) = (d.scheduler for d in deviations.KNOWN_DEVIATIONS if d.name == corner)
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name, {"known": corner}), budget="quick")
    failed = [f for f in verdict.findings if f.outcome == "failed" and f.consequence_of is None]
    assert check in [f.id for f in failed]
    assert verdict.diagnosis is not None
    assert not verdict.diagnosis.exact


@pytest.mark.slow
def test_a_corner_that_is_mended_is_to_be_removed() -> None:
    """A release that reads the table at the timestep, as the paper has it."""
    before = "step_indices = [self.index_for_timestep(t, schedule_timesteps) for t in timesteps]\n        alphas"
    with rewritten("EulerDiscreteScheduler", before, "step_indices = timesteps.long()\n        alphas"):
        verdict = check_sampler(
            adapter.subject("EulerDiscreteScheduler", {"known": "euler-get-velocity"}), budget="quick"
        )
    (found,) = [f for f in verdict.findings if f.outcome == "failed"]
    assert found.id == "law/forward"
