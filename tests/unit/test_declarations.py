"""A wrong declaration is refused where it is written, with what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from reference_samplers import DDIM, DDPM, EDM, FlowEuler
from sampler_harness import Subject, sampler_under_test
from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.subject import DeclarationError


def right(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    return model(torch.zeros(shape, device=device, dtype=dtype), 1.0)


def declared(reference: Any = EDM, function: Callable[..., Any] = right, **options: Any) -> Subject:
    return sampler_under_test(reference, **options)(function)


def test_a_right_declaration_keeps_what_it_was_given() -> None:
    subject = declared(
        num_steps=st.integers(2, 5),
        sigma_max=5.0,
        shapes=[(2, 3, 4, 4), [1, 1]],
        dtypes=[torch.float32, "float64"],
        output_dtype=torch.float64,
        output_scale=2,
        model_attributes={"sigma_min": 0.0},
        expected_failures={"law/noise": "known since 1.2"},
    )
    assert subject.shapes == ((2, 3, 4, 4), (1, 1))
    assert subject.dtypes == ("float32", "float64")
    assert subject.output_dtype == "float64"
    assert subject.output_scale == 2.0
    assert subject.fields["sigma_max"] == 5.0
    assert subject.name == subject.__name__ == "right"
    assert subject.target.endswith("test_declarations.py:right")
    assert not Path(subject.source[0]).is_absolute()
    assert subject.source[1] == right.__code__.co_firstlineno
    assert subject.is_sampler_under_test


def test_the_declared_function_can_still_be_called() -> None:
    subject = declared()
    given = subject(lambda x, t: x + t, (2,), EDM(), device="cpu", dtype=torch.float32)
    assert given.tolist() == [1.0, 1.0]


def test_defaults_stay_out_of_the_way() -> None:
    subject = declared()
    assert subject.shapes is None
    assert subject.dtypes == ("float32",)
    assert subject.fixture_names == ()
    assert dict(subject.expected_failures) == {}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sigma_maxx": 5.0}, "EDM has no field 'sigma_maxx'; did you mean 'sigma_max'?"),
        ({"shape": [(2, 3)]}, "EDM has no field 'shape'; did you mean 'shapes'?"),
        ({"zzz": 1}, "EDM has no field 'zzz' (fields: num_steps"),
        ({"sigma_max": -1.0}, "EDM refuses this: sigma_max must be"),
        ({"num_steps": 0}, "EDM refuses this: num_steps must be a whole number >= 1, got 0"),
        ({"num_steps": 0, "sigma_max": st.floats(1, 5)}, "EDM refuses this: num_steps"),
        ({"solver": ["heun", "euler"]}, "write solver=st.sampled_from([…])"),
        (
            {"num_steps": st.integers(0, 9)},
            "num_steps must be a whole number >= 1, got 0. Leave it out: a range must end",
        ),
        ({"s_noise": st.floats(0, 1), "s_churn": 2.0}, "s_noise is legal in no configuration of EDM"),
        ({"s_churn": st.floats(0)}, "s_churn must be a finite number >= 0, got inf"),
        ({"solver": st.sampled_from(["heun", "eulr"])}, "one of 'heun', 'euler', got 'eulr'. Leave it out: what your"),
        ({"solver": st.just("heun") | st.none()}, "solver must be one of 'heun', 'euler', got None"),
        ({"rho": st.floats(1, 2), "solver": st.sampled_from(["eulr"])}, "a value of solver is legal in no"),
        ({"model_kind": st.sampled_from(["v", "network"])}, "train_sigmas must be given, or times, for model_kind='v'"),
        ({"expected_failures": {"law/nois": "why"}}, "names 'law/nois', which is no check; did you mean 'law/noise'?"),
        ({"expected_failures": {"law/noise": " "}}, "expected_failures['law/noise'] needs a reason"),
        ({"expected_failures": ["law/noise"]}, "must be a dict of check id to reason"),
        ({"deviations": ["initial-noise-unscaled"]}, 'write deviations={"initial-noise-unscaled": "why it is meant"}'),
        ({"deviations": {"initial-noise-unscaled": ""}}, "deviations['initial-noise-unscaled'] needs a reason"),
        ({"shapes": (2, 3, 16, 16)}, "write shapes=[(2, 3, 16, 16)]"),
        ({"shapes": []}, "shapes is empty"),
        ({"shapes": [(2, 0)]}, "should be whole numbers >= 1"),
        ({"shapes": [(2, 3.5)]}, "should be whole numbers >= 1"),
        ({"shapes": 7}, "shapes must be sample shapes, got 7"),
        ({"dtypes": torch.float32}, "dtypes must be a list"),
        ({"dtypes": "float32"}, "write dtypes=['float32']"),
        ({"dtypes": ["flaot32"]}, "did you mean 'float32'?"),
        ({"dtypes": [torch.int64]}, "is not a dtype that a sampler runs in"),
        ({"dtypes": []}, "dtypes is empty"),
        (
            {"dtypes": [torch.bfloat16], "deviations": {"initial-noise-unscaled": "meant"}},
            "Name float32 too, dtypes=['float32', 'bfloat16']",
        ),
        ({"dtypes": ["float32", torch.float32]}, "names one twice"),
        ({"output_dtype": "float128"}, "output_dtype 'float128' is not a dtype"),
        ({"output_scale": 0}, "output_scale must not be 0"),
        ({"output_scale": float("nan")}, "output_scale must be a finite number"),
        ({"output_shift": "1"}, "output_shift must be a finite number"),
        ({"quantised": 0}, "quantised must be a number of steps"),
        ({"differentiable": "yes"}, "differentiable must be True, False or None"),
        ({"takes_generator": 1}, "takes_generator must be True or False"),
        ({"time_shape": "batches"}, "did you mean 'batch'?"),
        ({"model_returns": "samples"}, "did you mean 'sample'?"),
        ({"model_channels": 3}, "model_channels must be 1, or 2"),
        ({"model_attributes": ["sigma_min"]}, "model_attributes must be a dict"),
        ({"noise": ""}, "noise must be a name"),
        ({"forward": "add_noise"}, "forward must be a function"),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items())[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_option_says_what_to_write(options: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declared(**options)
    assert told in str(caught.value)
    assert "right (" in str(caught.value)
    assert "test_declarations.py:" in str(caught.value)


def test_fixed_values_are_not_refused_for_what_is_drawn() -> None:
    # With the default prediction this is refused; with "v", which is drawn, it is legal.
    with pytest.raises(DeclarationError, match="DDIM refuses this"):
        declared(DDIM, rescale_zero_terminal_snr=True)
    subject = declared(DDIM, rescale_zero_terminal_snr=True, prediction=st.sampled_from(["v", "x0"]))
    assert subject.fields["rescale_zero_terminal_snr"] is True


def test_what_is_legal_with_some_value_of_the_rest_is_declared() -> None:
    """Hypothesis leaves the other combinations out; each value is run in one of these."""
    declared(sigma_min=st.floats(0.002, 5.0), sigma_max=st.floats(1.0, 80.0))
    declared(DDIM, clip_denoised=st.booleans(), threshold=st.none() | st.floats(0.5, 1.0))
    declared(s_churn=st.floats(0.0, 4.0, exclude_min=True))


def test_what_cannot_be_read_off_a_strategy_is_decided_when_it_is_drawn() -> None:
    rho = st.floats(3, 9).map(abs)
    late = declared(rho=rho, solver=st.sampled_from(["heun", "eulr"]))
    with pytest.raises(DeclarationError, match="a value of solver is legal in no configuration of EDM"):
        covering_set(late, BUDGETS["quick"])
    assert covering_set(declared(rho=rho, solver=st.sampled_from(["heun", "euler"])), BUDGETS["quick"]).configurations


@dataclass(frozen=True)
class Counted:
    """A sampler that has no usual number of steps."""

    num_steps: int

    def sample(self, model: Any, noise: Any) -> Any:
        return model(noise(), self.num_steps)


def test_a_required_field_must_be_named() -> None:
    with pytest.raises(DeclarationError, match="Counted needs num_steps"):
        declared(Counted)
    assert declared(Counted, num_steps=3).fields == {"num_steps": 3}


@pytest.mark.parametrize("fields", [{}, {"shift": 3.0}, {"shift": st.floats(1, 3)}])
def test_one_of_two_fields_must_be_named(fields: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="num_steps must be a whole number >= 1 where sigmas is not given"):
        declared(FlowEuler, **fields)
    assert declared(FlowEuler, sigmas=st.sampled_from([(1.0, 0.5, 0.0)])).reference is FlowEuler
    assert declared(FlowEuler, num_steps=st.integers(1, 4)).reference is FlowEuler
    assert declared(FlowEuler, num_steps=3, shift=st.floats(1, 3)).reference is FlowEuler


@dataclass(frozen=True)
class NoSampler:
    """A dataclass that defines no sampler."""

    steps: int = 1


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        (EDM(), "give the class and its fields by name"),
        (right, "was put on right without a reference"),
        ("EDM", "is not one: give a class from reference_samplers"),
        (NoSampler, "is not one: give a class from reference_samplers"),
    ],
    ids=["instance", "bare", "text", "dataclass"],
)
def test_a_wrong_reference_says_what_to_give(reference: Any, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declared(reference)
    assert told in str(caught.value)


def two(model: Any, shape: Any, *, device: Any, dtype: Any) -> None: ...
def four(model: Any, shape: Any, config: Any, more: Any, *, device: Any, dtype: Any) -> None: ...
def no_device(model: Any, shape: Any, config: Any, *, dtype: Any) -> None: ...
def neither(model: Any, shape: Any, config: Any) -> None: ...
def device_first(device: Any, dtype: Any, model: Any, shape: Any, config: Any) -> None: ...
def wants_generator(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any, generator: Any) -> None: ...
async def late(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> None: ...
def yields(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    yield


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (two, "takes 2 positional arguments (model, shape), should take three"),
        (four, "takes 4 positional arguments"),
        (no_device, "does not accept device="),
        (neither, "does not accept device= and dtype="),
        (device_first, "takes device first; model, shape and config come before"),
        (wants_generator, "add takes_generator=True"),
        (late, "is asynchronous"),
        (yields, "is a generator"),
        (EDM, "put it on a function"),
        (3, "put it on a function"),
    ],
    ids=lambda value: getattr(value, "__name__", "") if callable(value) else "",
)
def test_a_wrong_signature_says_what_to_write(function: Any, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declared(EDM, function)
    assert told in str(caught.value)


def test_a_generator_must_be_accepted_where_it_is_declared() -> None:
    with pytest.raises(DeclarationError, match="remove takes_generator=True"):
        declared(takes_generator=True)
    assert declared(EDM, wants_generator, takes_generator=True).takes_generator


def test_a_sampler_is_declared_once() -> None:
    with pytest.raises(DeclarationError, match="declared twice"):
        declared(DDPM, declared())


def test_other_ways_to_take_the_arguments_are_right() -> None:
    def by_place(model: Any, shape: Any, config: Any, device: Any, dtype: Any) -> None: ...
    def anything(*args: Any, **kwargs: Any) -> None: ...
    def more(model: Any, shape: Any, config: Any, extra: int = 1, *, device: Any, dtype: Any) -> None: ...
    def fixtures(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any, net: Any, k: int = 3) -> None: ...

    for function in (by_place, anything, more):
        assert declared(EDM, function).fixture_names == ()
    assert declared(EDM, fixtures).fixture_names == ("net",)


def test_marks_stay_on_a_declared_sampler() -> None:
    subject = pytest.mark.skip(reason="slow")(declared())
    assert isinstance(subject, Subject)
    assert [mark.name for mark in subject.pytestmark] == ["skip"]  # type: ignore[attr-defined]
