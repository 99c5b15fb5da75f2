"""What callers do with a scheduler beside the plain run: nothing said, used before, copied, saved, never laid out.

Each is shown by a scheduler that is wrong there and nowhere else, and measured by hand.
"""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sampler_harness.adapters import diffusers as adapter
from sampler_harness.adapters.diffusers_corners_flows import FlowMatchEuler
from sampler_harness.adapters.diffusers_defaults import DOCUMENTED
from sampler_harness.adapters.diffusers_options import fields_from, scheduler_class
from sampler_harness.adapters.diffusers_varied import REFERENCED
from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.compared import target_of
from sampler_harness.law.law import Law
from sampler_harness.law.response import respond_reference
from sampler_harness.runner import check_sampler
from sampler_harness.subject.allowed import named_values

from .rewriting import rewritten
from .test_adapter_diffusers import CPU, apart, law_of


@pytest.fixture(autouse=True)
def _foreign_warnings_are_not_ours() -> Iterator[None]:
    """What diffusers warns of while it imports or runs is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", REFERENCED)
def test_the_defaults_that_are_written_down_are_the_librarys(name: str) -> None:
    found: dict[str, Any] = {}
    for method in filter(None, (vars(scheduler_class(name)).get(one) for one in ("__init__", "step"))):
        parameters = inspect.signature(method).parameters.values()
        found |= {p.name: p.default for p in parameters if p.default is not p.empty}
    not_ours = {"generator", "return_dict", "variance_noise", "pred_original_sample"}
    assert DOCUMENTED[name] == {option: default for option, default in found.items() if option not in not_ours}


@pytest.mark.parametrize("name", REFERENCED)
def test_every_documented_default_is_among_what_is_varied(name: str) -> None:
    """Else it is always passed, and one that moved is never seen."""
    varied = adapter.subject(name).fields
    for option, default in DOCUMENTED[name].items():
        for field, value in fields_from(name, {option: default}).items():
            values = named_values(varied[field]) if field in varied else None
            assert values is None or value in values, (option, default, values)


def test_a_scheduler_that_is_never_laid_out_runs_with_as_many_levels_as_are_looked_at() -> None:
    subject = adapter.subject("EDMEulerScheduler", {"num_train_timesteps": "100"})
    config = subject.reference(num_steps=7, handling="unset")
    assert law_of(subject, config).num_calls == config.num_steps


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DDIMScheduler", "DDPMScheduler", "HeunDiscreteScheduler"])
def test_a_clamp_that_is_a_little_wider_unless_it_is_told_shows(name: str) -> None:
    with rewritten(name, "clip_sample_range: float = 1.0,", "clip_sample_range: float = 1.01,"):
        verdict = check_sampler(adapter.subject(name), budget="quick", checks=("clip/replay",), diagnose=False)
    assert [finding.outcome for finding in verdict.findings] == ["failed"]


def off(name: str, fields: dict[str, Any]) -> float:
    """How far a scheduler's law is from its reference's; infinite where it is another number of calls or none."""
    subject = adapter.subject(name)
    config = subject.reference(**fields)
    should_be = Law.of(respond_reference(config))
    try:
        got = law_of(subject, config)
    except (IndexError, ValueError, RuntimeError):
        return float("inf")
    if got.num_calls != should_be.num_calls or not np.allclose(got.times, should_be.times, rtol=1e-5, atol=2e-3):
        return float("inf")
    return float(np.nan_to_num(apart(got, should_be), nan=np.inf))


PLAIN = {"num_steps": 5}
RESET = """        self._step_index = None
        self._begin_index = None
        self.sigmas = sigmas.to("cpu")"""
HEUN_RESET = """        self.prev_derivative = None
        self.dt = None

        self._step_index = None"""
HEUN_KEPT = """        self.__dict__.setdefault("prev_derivative")
        self.__dict__.setdefault("dt")

        self._step_index = None"""
HEUN_SETS = "self.set_timesteps(num_train_timesteps, None, num_train_timesteps)"
UNSET = {"num_steps": 7, "num_train_timesteps": 7, "handling": "unset"}
LENGTH = "    def __len__(self) -> int:"
COPY = f"    def __deepcopy__(self, memo):\n        return self\n\n{LENGTH}"
LOAD = f"    @classmethod\n    def from_config(cls, config, **kwargs):\n        return cls()\n\n{LENGTH}"

#: Scheduler, what its source says, what it says instead, and the fields of a configuration in which that shows.
WRONG: list[tuple[str, str, str, dict[str, Any]]] = [
    ("DDIMScheduler", "        eta: float = 0.0,", "        eta: float = 1.0,", PLAIN),
    ("DDIMScheduler", "set_alpha_to_one: bool = True,", "set_alpha_to_one: bool = False,", PLAIN),
    ("DDPMScheduler", "beta_start: float = 0.0001,", "beta_start: float = 0.00011,", PLAIN),
    ("EDMEulerScheduler", "sigma_min: float = 0.002,", "sigma_min: float = 0.02,", PLAIN),
    ("EulerDiscreteScheduler", "beta_end: float = 0.02,", "beta_end: float = 0.012,", PLAIN),
    ("EulerDiscreteScheduler", "        s_churn: float = 0.0,", "        s_churn: float = 1.0,", PLAIN),
    ("HeunDiscreteScheduler", "use_karras_sigmas: bool = False,", "use_karras_sigmas: bool = True,", PLAIN),
    ("EulerDiscreteScheduler", RESET, RESET.split("\n", 1)[1], {**PLAIN, "handling": "used"}),
    (
        "EulerDiscreteScheduler",
        RESET,
        RESET.replace("        self._begin_index = None\n", ""),
        {**PLAIN, "handling": "interrupted"},
    ),
    ("HeunDiscreteScheduler", HEUN_RESET, HEUN_KEPT, {**PLAIN, "handling": "interrupted"}),
    ("HeunDiscreteScheduler", HEUN_RESET, HEUN_KEPT, {**PLAIN, "handling": "used"}),
    ("DDIMScheduler", LENGTH, COPY, {**PLAIN, "handling": "copied"}),
    ("DDIMScheduler", LENGTH, LOAD, {**PLAIN, "handling": "saved", "beta_end": 0.012}),
    ("DDPMScheduler", "prev_t = timestep - 1", "prev_t = timestep - 2", UNSET),
    (
        "EDMEulerScheduler",
        "torch.arange(num_train_timesteps + 1, dtype",
        "torch.arange(1, num_train_timesteps + 2, dtype",
        {**PLAIN, "handling": "unset"},
    ),
    ("EulerDiscreteScheduler", "self.alphas_cumprod) ** 0.5).flip(0)", "self.alphas_cumprod) ** 0.4).flip(0)", UNSET),
    ("HeunDiscreteScheduler", HEUN_SETS, HEUN_SETS.replace("timesteps, N", "timesteps - 1, N"), UNSET),
    (
        "DDIMScheduler",
        "Output(prev_sample=prev_sample, pred_original_sample=pred_original_sample)",
        "Output(prev_sample=prev_sample, pred_original_sample=0.5 * pred_original_sample)",
        {**PLAIN, "result": "x0"},
    ),
    (
        "HeunDiscreteScheduler",
        "            return (\n                prev_sample,",
        "            return (\n                sample,",
        {**PLAIN, "result": "tuple"},
    ),
    ("EDMEulerScheduler", "if pred_original_sample is None:", "if True:", {**PLAIN, "hands_x0": True}),
    (
        "EulerDiscreteScheduler",
        "sigma_last = ((1 - self.alphas_cumprod[0]) / self.alphas_cumprod[0]) ** 0.5",
        "sigma_last = ((1 - self.alphas_cumprod[1]) / self.alphas_cumprod[1]) ** 0.5",
        {**PLAIN, "final_level": "sigma_min"},
    ),
    (
        "EDMEulerScheduler",
        """sigmas.to(dtype=torch.float32, device=device)

        self.timesteps = self.precondition_noise(sigmas)

        if self.config.final_sigmas_type == "sigma_min":
            sigma_last = sigmas[-1]""",
        """sigmas.to(dtype=torch.float32, device=device)

        self.timesteps = self.precondition_noise(sigmas)

        if self.config.final_sigmas_type == "sigma_min":
            sigma_last = 0.5 * sigmas[-1]""",
        {**PLAIN, "final_level": "sigma_min"},
    ),
    (
        "HeunDiscreteScheduler",
        "num_train_timesteps = num_train_timesteps or self.config.num_train_timesteps",
        "num_train_timesteps = self.config.num_train_timesteps",
        {**PLAIN, "grid_timesteps": 900},
    ),
]


@pytest.mark.parametrize(
    ("name", "before", "after", "fields"),
    WRONG,
    ids=[f"{name}-{fields.get('handling', fields.get('result', i))}" for i, (name, _, _, fields) in enumerate(WRONG)],
)
def test_what_is_wrong_only_where_it_is_handled_otherwise_shows(
    name: str, before: str, after: str, fields: dict[str, Any]
) -> None:
    assert off(name, fields) < 2e-3
    with rewritten(name, before, after):
        assert off(name, fields) > 5e-3


LAW = ("law/times", "law/initial-noise", "law/outputs", "law/noise")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        ("DDIMScheduler", "        eta: float = 0.0,", "        eta: float = 1.0,", "num_steps=1, "),
        ("HeunDiscreteScheduler", HEUN_RESET, HEUN_KEPT, "handling='"),
    ],
)
def test_the_verdict_says_how_it_was_handled(name: str, before: str, after: str, told: str) -> None:
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name), budget="quick", checks=LAW, diagnose=False)
    failures = [finding.message for finding in verdict.findings if finding.outcome == "failed"]
    assert any(told in message for message in failures), failures


#: Scheduler, what its source says, what it says instead, and what is said of its forward process.
WRONGLY_NOISED: list[tuple[str, str, str, str]] = [
    (
        "EulerDiscreteScheduler",
        "step_indices = [self.step_index] * timesteps.shape[0]",
        "step_indices = [self.step_index - 1] * timesteps.shape[0]",
        "in the middle of a run",
    ),
    (
        "EulerDiscreteScheduler",
        "        if self.begin_index is None:\n            step_indices",
        "        if True:\n            step_indices",
        "after set_begin_index, by the timesteps",
    ),
    (
        "EDMEulerScheduler",
        "for t in timesteps]",
        "for t in timesteps[:1].repeat(len(timesteps))]",
        "differs from add_noise of item",
    ),
    (
        "DDPMScheduler",
        "np.arange(0, num_train_timesteps)[::-1].copy()",
        "np.arange(0, num_train_timesteps).copy()",
        "timesteps of a new scheduler, entry 0, is 0, should be 999",
    ),
    ("DDIMScheduler", "self.init_noise_sigma = 1.0", "self.init_noise_sigma = 2.0", "init_noise_sigma of a new"),
    (
        "HeunDiscreteScheduler",
        "        return self.config.num_train_timesteps",
        "        return self.config.num_train_timesteps - 1",
        "len(scheduler) is 999, should be 1000",
    ),
    (
        "HeunDiscreteScheduler",
        "        pos = 1 if len(indices) > 1 else 0",
        "        pos = 0",
        "step_index is 1 at the timestep of entry 1, should be 2",
    ),
    (
        "EDMEulerScheduler",
        "sigmas = sigmas.to(dtype=torch.float32, device=device)",
        "sigmas = sigmas.to(device=device)",
        "timesteps of a scheduler with its grid laid out has dtype torch.float64",
    ),
    (
        "EDMEulerScheduler",
        "device=sigmas.device)])\n\n        self.is_scale",
        "device=sigmas.device)] * 2)\n\n        self.is_scale",
        "sigmas of a scheduler as constructed are 2004, should be 1002",
    ),
    (
        "HeunDiscreteScheduler",
        "timesteps.to(device=device, dtype=torch.float32)",
        "timesteps.to(device=device, dtype=torch.float64)",
        "timesteps of a scheduler as constructed has dtype torch.float64",
    ),
    (
        "DDIMScheduler",
        "self.timesteps = torch.from_numpy(timesteps).to(device)",
        "self.timesteps = torch.from_numpy(timesteps).to(device, torch.float32)",
        "timesteps of a scheduler with its grid laid out has dtype torch.float32",
    ),
]


@pytest.mark.parametrize(("name", "before", "after", "told"), WRONGLY_NOISED, ids=[one[3] for one in WRONGLY_NOISED])
def test_a_forward_process_is_looked_at_in_every_way_it_is_called(
    name: str, before: str, after: str, told: str
) -> None:
    subject = adapter.subject(name)
    config = subject.reference(num_steps=5)
    x0, draw = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)

    def noised() -> list[torch.Tensor]:
        assert subject.forward is not None
        return [subject.forward(x0, draw, config, index, **CPU) for index in range(5)]

    assert [one.shape for one in noised()] == [x0.shape] * 5
    with rewritten(name, before, after), pytest.raises(ValueError, match=re.escape(told)):
        noised()


def test_a_rewritten_scheduler_is_gone_afterwards() -> None:
    library, package = importlib.import_module("diffusers.schedulers"), importlib.import_module("diffusers")
    with rewritten("DDPMScheduler", "beta_start: float = 0.0001,", "beta_start: float = 0.00011,"):
        changed = package.DDPMScheduler
        assert changed is library.DDPMScheduler
    assert package.DDPMScheduler is library.DDPMScheduler is not changed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "after", "check"),
    [
        (
            "DDIMScheduler",
            "            sample = sample.float()  # upcast",
            "            pass  # upcast",
            "precision/dtype",
        ),
        ("DDPMScheduler", "        sample = sample.to(dtype)\n", "", "precision/dtype"),
        (
            "EDMEulerScheduler",
            "sigmas = self.sigmas.to(device=original_samples.device, dtype=original_samples.dtype)",
            "sigmas = self.sigmas.to(device=original_samples.device)",
            "law/forward",
        ),
    ],
)
def test_half_precision_is_looked_at_with_every_option(name: str, before: str, after: str, check: str) -> None:
    sound = check_sampler(adapter.subject(name), budget="quick", checks=(check,))
    assert sound.conforms
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name), budget="quick", checks=(check,), diagnose=False)
    assert [(finding.id, finding.outcome) for finding in verdict.findings] == [(check, "failed")]
    assert "float16" in verdict.findings[0].message


HANDLED = ["new", "used", "interrupted", "copied", "saved"]


@pytest.mark.parametrize(
    ("name", "settings", "left"),
    [
        ("DDPMScheduler", {"timesteps": "900,400,20,0"}, {"timestep_spacing": ["leading"], "betas": [None]}),
        ("EulerDiscreteScheduler", {"sigmas": "10,3,0.5,0"}, {"sigma_spacing": ["timesteps"], "timesteps": [None]}),
        ("EulerDiscreteScheduler", {"timesteps": "900,400.5,20"}, {"sigmas": [None], "continuous_time": [False]}),
        ("HeunDiscreteScheduler", {"timesteps": "900,400,20"}, {"num_train_timesteps": [1000], "betas": [None]}),
        ("DDIMScheduler", {"num_train_timesteps": "100"}, {"num_steps": [1, 100], "handling": HANDLED}),
        ("DDPMScheduler", {"trained_betas": "0.1,0.2,0.3,0.4"}, {"num_steps": [1, 4]}),
        ("DDPMScheduler", {"num_inference_steps": "50"}, {"num_train_timesteps": [1000, 100]}),
    ],
)  # fmt: skip
def test_what_one_option_leaves_no_room_for_is_not_varied(
    name: str, settings: dict[str, str], left: dict[str, list[Any]]
) -> None:
    subject = adapter.subject(name, settings)
    assert {field: named_values(subject.fields[field]) for field in left} == left
    assert covering_set(subject, BUDGETS["quick"]).configurations


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "before", "after"),
    [
        (
            "DDPMScheduler",
            {"timesteps": "900,400,20,0"},
            "timesteps = np.array(timesteps, dtype=np.int64)",
            "timesteps = np.array(timesteps, dtype=np.int64) - 1",
        ),
        (
            "EulerDiscreteScheduler",
            {"sigmas": "10,3,0.5,0"},
            "log_sigmas) for sigma in sigmas[:-1]])",
            "log_sigmas) for sigma in 1.1 * sigmas[:-1]])",
        ),
    ],
)
def test_timesteps_and_levels_by_hand_are_decided(name: str, settings: dict[str, str], before: str, after: str) -> None:
    assert check_sampler(adapter.subject(name, settings), budget="quick").conforms
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name, settings), budget="quick", diagnose=False)
    assert "failed" in {finding.outcome for finding in verdict.findings}
    assert "error" not in {finding.outcome for finding in verdict.findings}


@pytest.mark.parametrize(
    ("fields", "is_evidence"),
    [
        ({}, True),
        ({"result": "x0"}, False),
        ({"result": "tuple"}, False),
        ({"result": "tuple", "final_alpha_bar": "first"}, True),
    ],
)
def test_what_a_last_step_makes_is_no_evidence_where_x0_is_returned(fields: dict[str, Any], is_evidence: bool) -> None:
    subject = adapter.subject("DDIMScheduler")
    evidence = Evidence(subject, budget="quick")
    config = subject.reference(**{"num_train_timesteps": 20, "num_steps": 4, **fields})
    assert config.returns_last_x0 is not is_evidence
    target = target_of(evidence, evidence.case(config))
    assert target is not None
    assert target.last_row is is_evidence
    assert target.reference_ratio <= 1


def test_a_flows_shift_is_what_was_asked_for_whatever_was_asked_before() -> None:
    """A configuration is made of its fields alone: ``mu`` leaves nothing behind."""
    by_size = FlowMatchEuler(num_steps=4, mu=1.15)
    np.testing.assert_allclose(replace(by_size, mu=None).levels, [1, 0.667, 0.334, 0.001, 0])
    with pytest.raises(ValueError, match="shift"):
        replace(by_size, shift=3.0)
    assert FlowMatchEuler(num_steps=8, shift=3.0).levels[-2] == pytest.approx(0.00892857, rel=1e-6)
