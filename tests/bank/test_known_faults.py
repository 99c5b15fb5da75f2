"""The bank of known faults: its edits match, compile, change the law of a reference, and no two do the same."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference_samplers
from sampler_harness.diagnosis.known_faults import KNOWN_FAULTS, KnownFault
from sampler_harness.law.program import Program
from sampler_harness.law.response import Array, respond_reference

from .edited_references import edited_references, text_of

CLASSES = (
    "EDM",
    "DDPM",
    "DDIM",
    "FlowEuler",
    "FlowRungeKutta",
    "FlowSDE",
    "FlowConsistency",
    "ConsistencyModel",
    "LCM",
    "EulerAncestral",
    "DPM2",
    "DPM2Ancestral",
    "FlowAncestral",
    "TCD",
    "AlphaFold3",
    "DDIMInversion",
    "TrigFlowConsistency",
    "TrigFlowDDIM",
    "InterpolantEuler",
    "InterpolantRungeKutta",
    "InterpolantSDE",
)

#: Faults that impulses need not show: they act on large values alone.
OF_LARGE_VALUES = frozenset(
    {
        "clip-before-threshold",
        "clip-not-read",
        "clip-range-not-read",
        "denoised-clamped",
        "epsilon-not-rederived",
        "quantile-of-signed-values",
        "quantile-over-batch",
        "rederive-flag-not-read",
        "state-clamped-each-step",
        "tanh-for-clamp",
        "threshold-cap-not-read",
        "threshold-without-clamp",
        "threshold-without-division",
        "threshold-without-floor",
    }
)
#: Faults that are NaN or infinite wherever they show.
NOT_FINITE = frozenset(
    {
        "correction-of-last-step",
        "learned-logarithm-taken-for-variance",
        "log-variance-square-rooted",
        "single-step-stretched-by-zero",
        "step-in-logarithm-into-zero",
    }
)
#: Faults that show as another number of model calls, wherever they show.
OTHER_CALLS = frozenset(
    {
        "final-zero-missing",
        "inversion-first-step-left-out",
        "last-time-point-left-out",
        "last-transition-dropped",
        "leading-one-step-too-many",
        "lowest-level-dropped",
        "path-times-one-short",
        "time-grid-one-level-short",
        "time-grid-without-end",
        "timestep-zero-never-undone",
    }
)
#: Names in the list of known bugs that a fault may cite.
BUG_IDS = frozenset(
    {
        "add-noise-casts-schedule-in-place",
        "alphas-cumprod-prev-padded-on-wrong-side",
        "azula-initial-sample-at-last-time",
        "azula-vp-schedule-sign",
        "clip-before-dynamic-threshold",
        "consistency-noise-behind-last-call",
        "continuous-noise-on-last-step",
        "dalle2-quadratic-beta-squared-endpoints",
        "dalle2-renoise-std-is-linear-difference",
        "ddim-clip-without-rederiving-eps",
        "ddim-eps-from-x0-sign",
        "ddim-inverse-off-by-one",
        "ddim-noise-on-last-step",
        "ddim-time-grid-never-reaches-x0",
        "ddim-trajectory-misses-final-image",
        "ddim-uses-shifted-alpha-table",
        "ddim-x0-prediction-used-as-epsilon",
        "ddpm-learned-range-upper-bound-uses-training-beta",
        "ddpm-log-variance-square-rooted",
        "ddpm-one-step-too-many",
        "diamond-denoiser-called-at-sigma-after-churn",
        "diamond-initial-noise-not-scaled",
        "diamond-quantise-by-truncation",
        "dome272-index-zero-never-used",
        "dpm-final-sigma-repeats-sigma-min",
        "dpm-singlestep-3n-1-nan",
        "dynamic-threshold-cap-used-as-floor",
        "edm-euler-churn-added-after-model-call",
        "elucidated-imagen-repaint-std",
        "elucidated-schedule-misses-sigma-min",
        "euler-churn-added-after-model-call",
        "exp-beta-grid-wrong-count-and-orientation",
        "flax-ddim-clip-not-implemented",
        "flow-sigmas-missing-terminal",
        "flowmatch-custom-timesteps-not-shifted",
        "flowmatch-single-step-terminal-stretch-nan",
        "heun-second-stage-uses-first-sigma",
        "imagen-repaint-last-step-flag",
        "k-dpm2-ends-with-midpoint-and-noise",
        "karras-ve-schedule-is-variance",
        "lcm-grid-truncated-not-spread",
        "ldm-encode-told-number-of-step",
        "learned-variance-ddim-eps-inconsistent",
        "lms-fractional-sigma-integer-timestep",
        "monai-ddim-x0-prediction-used-as-epsilon",
        "monai-ddpm-learned-range-linear",
        "skrample-zsnr-flag-read-from-filtered-dict",
        "trained-betas-overwritten",
        "training-add-noise-in-low-precision",
        "unipc-bh1-nan-at-zero-terminal",
        "zea-flow-sde-without-drift",
    }
)

_TABLE = tuple(0.03 * 1.13**i for i in range(60))
_EDM: dict[str, Any] = {"num_steps": 4, "sigma_min": 0.1, "sigma_max": 5.0, "rho": 5.0}
_CHURN: dict[str, Any] = {**_EDM, "s_churn": 0.8, "s_noise": 1.1}
_LEVELS: dict[str, Any] = {"sigmas": (4.0, 2.0, 1.0, 0.5, 0.0), "s_churn": 1.0}
_CHAIN: dict[str, Any] = {"num_train_timesteps": 20, "beta_start": 0.01, "beta_end": 0.3, "num_steps": 4}
_LONG: dict[str, Any] = {"num_train_timesteps": 100, "num_steps": 6}
_SPACINGS: list[dict[str, Any]] = [
    {**_CHAIN, "num_steps": 3},
    {**_CHAIN, "steps_offset": 1},
    {**_CHAIN, "num_steps": 6, "timestep_spacing": "linspace"},
    {**_CHAIN, "num_steps": 6, "timestep_spacing": "trailing"},
    {**_CHAIN, "num_steps": 6, "timestep_spacing": "respaced"},
    {**_CHAIN, "num_steps": None, "num_train_timesteps": 6},
    {**_CHAIN, "num_steps": None, "timesteps": (17, 9, 4, 2)},
]
_TABLES: list[dict[str, Any]] = [
    _LONG,
    {**_LONG, "beta_schedule": "scaled_linear", "timestep_spacing": "trailing"},
    {**_LONG, "beta_schedule": "cosine", "timestep_spacing": "linspace", "prediction": "v"},
    {**_LONG, "beta_schedule": "sigmoid", "timestep_spacing": "trailing"},
    {"betas": tuple(0.02 * i for i in range(1, 21)), "num_steps": 5},
    {**_CHAIN, "rescale_zero_terminal_snr": True, "prediction": "v", "timestep_spacing": "trailing"},
    {**_CHAIN, "rescale_zero_terminal_snr": True, "prediction": "x0"},
]
_CLAMPS: list[dict[str, Any]] = [
    {**_CHAIN, "clip_denoised": True},
    {**_CHAIN, "clip_denoised": True, "clip_range": 2.0, "prediction": "x0"},
    {**_CHAIN, "clip_denoised": True, "prediction": "v"},
    {**_CHAIN, "threshold": 0.75, "threshold_max": 1.5},
    {**_CHAIN, "threshold": 0.75},
    {**_CHAIN, "threshold": 0.75, "prediction": "x0"},
]

#: What each reference is run in: small, and between them every branch of its sampler.
CONFIGURATIONS: dict[str, list[dict[str, Any]]] = {
    "EDM": [
        _EDM,
        {**_EDM, "solver": "euler"},
        {**_EDM, "num_steps": 1},
        {**_EDM, "initial_scale": 3.0},
        _CHURN,
        {**_CHURN, "solver": "euler", "s_churn": 7.0, "s_tmin": 0.2, "s_tmax": 2.0},
        {**_LEVELS, "s_tmin": 1.0, "s_tmax": 2.0},
        {**_LEVELS, "s_tmin": 0.7, "s_tmax": 3.0, "solver": "euler"},
        {**_CHURN, "model_kind": "network"},
        {**_CHURN, "model_kind": "network", "solver": "euler", "sigma_data": 1.5},
        {**_CHURN, "model_kind": "epsilon", "train_sigmas": _TABLE},
        {**_CHURN, "model_kind": "v", "train_sigmas": _TABLE},
        {**_EDM, "model_kind": "v", "train_sigmas": _TABLE, "solver": "euler"},
        {**_EDM, "model_kind": "x0", "times": (40.0, 30.0, 20.0, 10.0)},
    ],
    "DDPM": [
        *_SPACINGS,
        *_TABLES,
        *_CLAMPS,
        {**_CHAIN, "prediction": "x0"},
        {**_CHAIN, "prediction": "v"},
        *({**_CHAIN, "variance": variance} for variance in ("fixed_large", "learned_range", "learned")),
        {**_LONG, "variance": "learned_range", "timestep_spacing": "trailing"},
    ],
    "DDIM": [
        *_SPACINGS,
        *_TABLES,
        *_CLAMPS,
        {**_CHAIN, "clip_denoised": True, "rederive_epsilon": False},
        {**_CHAIN, "prediction": "x0", "eta": 0.5},
        {**_CHAIN, "prediction": "v"},
        {**_CHAIN, "eta": 0.6},
        {**_CHAIN, "eta": 1.0},
        {**_CHAIN, "eta": 0.6, "final_alpha_bar": "first", "steps_offset": 1},
        {**_CHAIN, "final_alpha_bar": "first", "timestep_spacing": "trailing"},
    ],
    "FlowEuler": [
        {"num_steps": 4},
        {"num_steps": 5, "shift": 3.0},
        {"num_steps": 1},
        {"num_steps": 1, "shift": 2.0},
    ],
    "FlowRungeKutta": [
        {"num_steps": 3, "shift": 2.0},
        {"num_steps": 3, "corrects_last": False},
        {"num_steps": 2, "solver": "midpoint", "shift": 2.0},
        {"num_steps": 2, "solver": "rk4"},
        {"num_steps": 2, "solver": "rk4_38"},
    ],
    "FlowSDE": [
        {"num_steps": 4},
        {"num_steps": 5, "shift": 3.0, "diffusion_scale": 1.3},
        {"num_steps": 4, "diffusion": "constant", "diffusion_scale": 0.7, "last_step": "euler"},
        {"num_steps": 4, "diffusion": "flow_grpo", "last_step": "drawn"},
    ],
    "FlowConsistency": [{"num_steps": 4}, {"num_steps": 3, "shift": 3.0}, {"num_steps": 1}],
    "ConsistencyModel": [
        {"num_steps": 4, "sigma_min": 0.1, "sigma_max": 5.0},
        {"sigmas": (4.0, 2.0, 1.0, 0.0), "sigma_min": 0.5},
        {"num_steps": 1},
    ],
    "LCM": [
        {"num_steps": 4, "num_train_timesteps": 100, "original_steps": 10},
        {"num_steps": 3, "num_train_timesteps": 100, "original_steps": 10, "timestep_scaling": 0.1},
        {"num_steps": 4, "num_train_timesteps": 100, "timestep_scaling": 0.02, "prediction": "v", "sigma_data": 1.0},
        {"timesteps": (90, 40, 7), "num_train_timesteps": 100, "prediction": "x0"},
    ],
    "EulerAncestral": [_EDM, {**_EDM, "eta": 0.6, "s_noise": 1.1}, {**_EDM, "eta": 0.0}, {**_EDM, "eta": 3.0}],
    "DPM2": [_EDM, _CHURN, {**_EDM, "num_steps": 1}],
    "DPM2Ancestral": [_EDM, {**_EDM, "eta": 0.6, "s_noise": 1.1}, {**_EDM, "eta": 0.0}],
    "FlowAncestral": [
        {"num_steps": 4},
        {"num_steps": 4, "eta": 0.4, "s_noise": 1.1},
        {"num_steps": 3, "shift": 3.0, "prediction": "x0"},
    ],
    "TCD": [
        {"num_steps": 4, "num_train_timesteps": 100, "original_steps": 10},
        {"num_steps": 3, "num_train_timesteps": 100, "original_steps": 10, "gamma": 0.8, "prediction": "v"},
        {"timesteps": (90, 40, 7), "num_train_timesteps": 100, "prediction": "x0", "gamma": 0.0},
    ],
    "AlphaFold3": [
        {"num_steps": 6},
        {"num_steps": 6, "ends_at": "zero_for_lowest", "gamma_0": 0.3},
        {"num_steps": 5, "ends_at": "zero_behind_lowest", "step_scale": 1.2},
    ],
    "DDIMInversion": [
        _CHAIN,
        {**_CHAIN, "timestep_spacing": "trailing", "start_alpha_bar": "first", "prediction": "x0"},
        {**_CHAIN, "timestep_spacing": "linspace", "prediction": "v", "clip_denoised": True},
        {**_CHAIN, "told": "current", "clip_denoised": True, "rederive_epsilon": True},
        {**_CHAIN, "told": "current", "prediction": "v"},
    ],
    "InterpolantEuler": [
        {"num_steps": 4, "path": "gvp"},
        {"num_steps": 3, "path": "gvp", "prediction": "x0"},
        {"num_steps": 4, "path": "vp", "prediction": "epsilon", "end_time": 0.05},
        {"num_steps": 4, "path": "vp", "prediction": "score", "lowest_time": 0.1},
        {"num_steps": 3, "first_time": 0.9, "prediction": "epsilon"},
    ],
    "InterpolantRungeKutta": [
        {"num_steps": 2, "path": "gvp"},
        {"num_steps": 2, "path": "vp", "solver": "midpoint", "prediction": "epsilon"},
    ],
    "InterpolantSDE": [
        {"num_steps": 4, "path": "gvp"},
        {"num_steps": 4, "path": "vp", "diffusion": "sbdm", "prediction": "score", "lowest_time": 0.1},
        {"num_steps": 4, "path": "gvp", "diffusion": "linear", "last_step": "drawn", "prediction": "x0"},
        {"num_steps": 3, "diffusion": "increasing_decreasing", "last_step": "tweedie"},
        {"num_steps": 3, "diffusion": "constant", "last_step": "euler", "data_at_one": True},
    ],
    "TrigFlowConsistency": [{"num_steps": 3}, {"angles": (1.5, 1.1, 0.0), "sigma_data": 0.7, "prediction": "velocity"}],
    "TrigFlowDDIM": [{"num_steps": 4}, {"angles": (1.4, 0.9, 0.3, 0.0), "sigma_data": 0.7, "prediction": "velocity"}],
}


@dataclass(frozen=True)
class Seen:
    """What a reference does in one configuration: empty arrays where it raises.

    Attributes:
        law: all coefficients of the impulse response, and the times.
        large: inputs and sample of a run whose model and noise give large values.
        calls: of the model.
    """

    law: Array
    large: Array
    calls: int


def law_of(kind: type, fields: Mapping[str, Any]) -> tuple[Array, int]:
    reference = kind(**fields)
    response = respond_reference(reference, learned_variance=reference.model_channels == 2)
    parts = (response.times, response.offset, response.noise, response.outputs)
    return np.concatenate([part.reshape(-1) for part in parts]), response.num_calls


def large_values(kind: type, fields: Mapping[str, Any]) -> Array:
    """A run on three items of eight entries whose model gives values far beyond any clamp, the same for all faults."""
    reference = kind(**fields)
    draws, outputs = np.random.default_rng(1), np.random.default_rng(2)
    rows: list[Array] = []

    def model(x: Array, _time: float) -> Any:
        rows.append(x)
        output = outputs.normal(0.3, 2.0, (3, 8)) * np.array([[0.2], [1.0], [3.0]])
        return (output, np.tanh(output)) if reference.model_channels == 2 else output

    rows.append(reference.sample(model, lambda: draws.normal(size=(3, 8))))
    return np.stack([*rows[1:], rows[0]]) if len(rows) == 1 else np.stack(rows)


def seen_in(kind: type, fields: Mapping[str, Any]) -> Seen:
    try:
        with np.errstate(all="ignore"):
            law, calls = law_of(kind, fields)
            return Seen(law, large_values(kind, fields), calls)
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError):  # as the search does: it is no program
        return Seen(np.zeros(0), np.zeros(0), 0)


@cache
def sound(name: str) -> list[Seen]:
    """What an unedited reference does in each of its configurations."""
    found = [seen_in(vars(reference_samplers)[name], fields) for fields in CONFIGURATIONS[name]]
    assert all(seen.calls for seen in found)
    return found


@cache
def seen_with(fault: KnownFault) -> dict[str, list[Seen]]:
    """What every reference does with a fault in it; those that it cannot reach do what they do without."""
    edited = {one.file for one in fault.replacements}
    touched = {name for name in CLASSES if edited & files_of(name)}
    with edited_references(fault.replacements) as package:
        return {
            name: [seen_in(vars(package)[name], fields) for fields in CONFIGURATIONS[name]]
            if name in touched
            else sound(name)
            for name in CLASSES
        }


@cache
def files_of(name: str) -> frozenset[str]:
    """Files that a reference's algorithm stands in."""
    return frozenset(place.file for place in Program(vars(reference_samplers)[name]).functions)


def same(one: Array, other: Array) -> bool:
    if one is other:
        return True
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-6, atol=1e-8, equal_nan=True)


def anywhere(fault: KnownFault, shows: Callable[[Seen, Seen], bool]) -> bool:
    return any(
        shows(now, was) for name in CLASSES for now, was in zip(seen_with(fault)[name], sound(name), strict=True)
    )


def law_differs(now: Seen, was: Seen) -> bool:
    return now.calls == was.calls and bool(np.isfinite(now.law).all()) and not same(now.law, was.law)


def large_values_differ(now: Seen, was: Seen) -> bool:
    return now.large.shape == was.large.shape and bool(np.isfinite(now.large).all()) and not same(now.large, was.large)


def is_not_finite(now: Seen, was: Seen) -> bool:
    return now.calls > 0 and not np.isfinite(now.large).all() and bool(np.isfinite(was.large).all())


def calls_differ(now: Seen, was: Seen) -> bool:
    return now.calls > 0 and now.calls != was.calls


def each_fault(test: Callable[[KnownFault], None]) -> Callable[[KnownFault], None]:
    decorated: Callable[[KnownFault], None] = pytest.mark.parametrize("fault", KNOWN_FAULTS, ids=lambda f: f.name)(test)
    return decorated


@each_fault
def test_what_is_replaced_stands_exactly_once(fault: KnownFault) -> None:
    texts: dict[str, str] = {}
    for one in fault.replacements:
        assert any(one.file in files_of(name) for name in CLASSES)
        assert text_of(one.file).count(one.before) == 1
        text = texts.get(one.file, text_of(one.file))
        assert text.count(one.before) == 1, "an earlier replacement put it there once more"
        assert one.before != one.after
        texts[one.file] = text.replace(one.before, one.after)
    for file, text in texts.items():
        compile(text, file, "exec")


@each_fault
def test_what_is_replaced_is_code_and_no_declaration(fault: KnownFault) -> None:
    for one in fault.replacements:
        text = text_of(one.file)
        gone = set(one.before.splitlines()) - set(one.after.splitlines())
        assert not any(line.strip().startswith(("def ", "class ", "@", '"""', "from ", "import ")) for line in gone)
        method = re.findall(r"^ *def (\w+)\(", text[: text.index(one.before)], re.MULTILINE)
        assert method[-1] not in ("check", "network", "forward_scales")


@each_fault
@pytest.mark.sampled(every=4)
def test_a_fault_changes_what_a_reference_does(fault: KnownFault) -> None:
    if fault.name in NOT_FINITE:
        assert anywhere(fault, is_not_finite)
    elif fault.name in OTHER_CALLS:
        assert anywhere(fault, calls_differ)
    elif fault.name in OF_LARGE_VALUES:
        assert anywhere(fault, large_values_differ)
    else:
        assert anywhere(fault, law_differs)


def test_exceptions_are_no_more_than_needed() -> None:
    names = {fault.name for fault in KNOWN_FAULTS}
    exceptions = (OF_LARGE_VALUES, NOT_FINITE, OTHER_CALLS)
    assert all(group <= names for group in exceptions)
    assert not any(one & other for one, other in combinations(exceptions, 2))
    excused = [fault for fault in KNOWN_FAULTS if any(fault.name in group for group in exceptions)]
    assert [fault.name for fault in excused if anywhere(fault, law_differs)] == []


@pytest.mark.slow
def test_no_two_faults_do_the_same_everywhere() -> None:
    def pairs(one: Mapping[str, list[Seen]], other: Mapping[str, list[Seen]]) -> list[tuple[Seen, Seen]]:
        return [pair for name in CLASSES for pair in zip(one[name], other[name], strict=True)]

    def alike(a: Seen, b: Seen) -> bool:
        return a is b or (same(a.law, b.law) and same(a.large, b.large))

    # Only faults that show in the same configurations can do the same in all.
    groups: dict[tuple[bool, ...], list[KnownFault]] = {}
    right = {name: sound(name) for name in CLASSES}
    for fault in KNOWN_FAULTS:
        groups.setdefault(tuple(alike(*pair) for pair in pairs(seen_with(fault), right)), []).append(fault)
    found = [
        (one.name, other.name)
        for group in groups.values()
        for one, other in combinations(group, 2)
        if all(alike(*pair) for pair in pairs(seen_with(one), seen_with(other)))
    ]
    assert found == []


def test_the_bank_is_large_and_real() -> None:
    count = Counter(Path(fault.replacements[0].file).stem for fault in KNOWN_FAULTS)
    assert len(KNOWN_FAULTS) >= 75
    parts = {Path(file).stem for name in CLASSES for file in files_of(name)}
    assert parts - {"noise_levels", "rectified_flow", "flow_process"} == set(count)  # these calculate nothing
    assert (count["edm"] >= 20, count["ddpm"] >= 14, count["ddim"] >= 12) == (True, True, True)
    assert len({one.bug_id for fault in KNOWN_FAULTS for one in fault.happened}) >= 35


def test_names_are_unique_and_in_kebab_case() -> None:
    names = [fault.name for fault in KNOWN_FAULTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", name) for name in names)


@each_fault
def test_an_effect_is_one_plain_sentence(fault: KnownFault) -> None:
    assert fault.effect.endswith(".")
    assert ". " not in fault.effect
    assert "http" not in fault.effect
    assert fault.effect[0].isupper() or fault.effect.startswith(("x0 ", "s_noise "))


def test_citations_are_of_known_bugs() -> None:
    cited = [one for fault in KNOWN_FAULTS for one in fault.happened]
    assert {one.bug_id for one in cited} == BUG_IDS
    for one in cited:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", one.repository)
        assert re.fullmatch(
            rf"https://github\.com/{re.escape(one.repository)}"
            r"/(commit/[0-9a-f]{40}|blob/[0-9a-f]{40}/\S+|issues/\d+|pull/\d+)",
            one.url,
        )


def test_a_bug_is_cited_alike_everywhere() -> None:
    places: dict[str, set[tuple[str, str]]] = {}
    for fault in KNOWN_FAULTS:
        assert len({one.bug_id for one in fault.happened}) == len(fault.happened)
        for one in fault.happened:
            places.setdefault(one.bug_id, set()).add((one.repository, one.url))
    assert all(len(found) == 1 for found in places.values())


def test_the_bank_is_light() -> None:
    code = (
        "import sys, sampler_harness.diagnosis.known_faults\n"
        "heavy = {'numpy', 'torch', 'reference_samplers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
