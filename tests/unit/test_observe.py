"""One run under probes: whatever a sampler does becomes part of the run, and everything global is put back."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from reference_samplers import EDM
from sampler_harness.law.bundle import Bundle
from sampler_harness.observe.global_state import restore_settings, settings_now
from sampler_harness.observe.layout import Layout, NoLayout
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import Case, Run, execute
from sampler_harness.subject import Subject

SHAPE = (2, 3, 4, 4)
CASE = Case(EDM(num_steps=2), SHAPE)


def euler(model: Any, shape: tuple[int, ...], config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
    """A sound Euler sampler on two levels."""
    x = 80.0 * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in ((80.0, 2.0), (2.0, 0.0)):
        x = x + (after - sigma) * (x - model(x, sigma)) / sigma
    return x


def run(function: Callable[..., Any], **declared: Any) -> Run:
    return execute(Subject(function, EDM, {}, name="it", **declared), CASE, Impulses(), call_limit=50)


def test_a_sound_run_has_rows_and_no_problem() -> None:
    found = run(euler)
    assert found.problem is None
    assert found.rows().shape == (3, 96)
    assert [d.operator for d in found.draws] == ["randn"]
    assert [c.time for c in found.calls] == [80.0, 2.0]
    assert not found.side_effects
    assert not found.mutated_outputs


@pytest.mark.parametrize(("x", "time"), [("x_noisy", "c_noise"), ("noisy_latents", "timesteps"), ("x", "sigma")])
def test_the_model_may_be_called_by_name(x: str, time: str) -> None:
    def by_name(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        def named(noisy: torch.Tensor, sigma: float) -> Any:
            return model(**{x: noisy, time: sigma})

        return euler(named, shape, config, device=device, dtype=dtype)

    found = run(by_name)
    assert found.problem is None
    assert [c.time for c in found.calls] == [80.0, 2.0]


def returning(value: Any) -> Callable[..., Any]:
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        model(torch.zeros(shape), 1.0)
        return value

    return sampler


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "returned NoneType, should be a torch tensor"),
        ((torch.zeros(SHAPE), []), "returned tuple, should be a torch tensor; return only the sample"),
        (np.zeros(SHAPE), "before it is turned into numpy"),
        (torch.zeros(2, 3, 4), r"shape \(2, 3, 4\), should be \(2, 3, 4, 4\)"),
        (torch.zeros(4, 4, 3, 2), "is it permuted"),
        (torch.zeros(SHAPE, dtype=torch.int64), "should be a floating type"),
        (torch.full(SHAPE, float("nan")), "not finite"),
        (1.0, "returned float"),
    ],
)
def test_a_wrong_return_is_told(value: Any, told: str) -> None:
    problem = run(returning(value)).problem
    assert problem is not None
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(problem.message)


def endless(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    x = torch.randn(shape)
    while True:
        try:
            x = model(x, 1.0)
        except Exception:
            continue


def crashing(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    model(torch.zeros(shape), 1.0)
    raise ZeroDivisionError("division by the last sigma")


def leaving(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    sys.exit(0)


def asking(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    return torch.randn(2, model.channels, 4, 4)


def idle(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    return torch.randn(shape)


def untimed(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    return model(torch.zeros(shape))


@pytest.mark.parametrize(
    ("function", "kind", "told"),
    [
        (endless, "endless", "more than 50 times in one run"),
        (crashing, "raised", r"ZeroDivisionError: division by the last sigma \(in crashing, line"),
        (leaving, "exit", r"sys.exit\(0\)"),
        (asking, "raised", "your sampler asked its model for .channels: add model_attributes="),
        (idle, "returned", "without calling its model once"),
        (untimed, "raised", "without a time"),
    ],
)
def test_what_goes_wrong_is_told(function: Callable[..., Any], kind: str, told: str) -> None:
    problem = run(function).problem
    assert problem is not None
    assert problem.kind == kind
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(problem.message)


def meddling(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    torch.manual_seed(3)
    model.train()
    model(torch.zeros(shape, dtype=torch.float32), 1.0).add_(1.0)
    return torch.zeros(shape, dtype=torch.float32)


def test_global_state_is_told_and_put_back() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    found = run(meddling)
    assert any("default dtype" in text for text in found.side_effects)
    assert any("grad mode" in text for text in found.side_effects)
    assert any("model.training" in text for text in found.side_effects)
    assert found.mutated_outputs == [0]
    assert len(found.generators_moved) == 3
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert torch.equal(before[0], torch.get_rng_state())
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # type: ignore[index]  # noqa: NPY002


def test_output_and_warnings_of_the_sampler_do_not_reach_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    import warnings

    def noisy(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        print("step" * 1000)  # noqa: T201
        warnings.warn("loud", stacklevel=1)
        return euler(model, shape, config, device=device, dtype=dtype)

    assert run(noisy).problem is None
    assert capsys.readouterr().out == ""


def test_guidance_is_several_calls_at_one_time() -> None:
    def guided(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        x = torch.randn(shape)
        with_text, without = model(torch.cat([x, x]), torch.tensor([5.0] * 4)).chunk(2)
        return without + 3.0 * (with_text - without)

    bundle = Bundle(Subject(guided, EDM, {}, name="guided"), CASE)
    assert bundle.problem is None
    assert bundle.law.times.tolist() == [5.0, 5.0]
    assert bundle.law.outputs[2].tolist() == [3.0, -2.0]


def draw(*shape: int, gaussian: bool = True) -> Draw:
    return Draw("randn", shape, "float32", "cpu", gaussian, None, 0)


def test_fields_are_not_calls() -> None:
    size = 24
    assert len(Layout.plain([draw(2, 3, 4)], size).fields) == 1
    assert len(Layout.plain([draw(5, 2, 3, 4)], size).fields) == 5
    assert len(Layout.plain([draw(3, 4), draw(3, 4), draw(2, 3, 4)], size).fields) == 2
    assert len(Layout.plain([draw(7, gaussian=False), draw(2, 3, 4)], size).fields) == 1
    with pytest.raises(NoLayout, match="does not fill"):
        Layout.plain([draw(3, 4), draw(2, 3, 4)], size)
    with pytest.raises(NoLayout, match="are left"):
        Layout.plain([draw(3, 4)], size)


@pytest.mark.parametrize(
    ("noise", "kind"),
    [
        (lambda shape: torch.randn(shape), "plain"),
        (lambda shape: torch.randn(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2), "coded"),
        (lambda shape: torch.stack([torch.randn(shape[1:]) for _ in range(shape[0])]), "plain"),
        (lambda shape: torch.randn(*shape, 2)[..., 1], "trailing"),
        (lambda shape: torch.randn(shape).flip(0), "coded"),
    ],
)
def test_noise_is_found_where_it_arrives(noise: Callable[[tuple[int, ...]], torch.Tensor], kind: str) -> None:
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        x = 80.0 * noise(shape)
        for sigma, after in ((80.0, 2.0), (2.0, 0.0)):
            x = x + (after - sigma) * (x - model(x, sigma)) / sigma
        return x

    bundle = Bundle(Subject(sampler, EDM, {}, name="it"), CASE)
    assert bundle.problem is None
    assert bundle.layout is not None
    assert bundle.layout.kind == kind
    assert bundle.layout.shared == 0
    assert bundle.law.factor[0].tolist() == pytest.approx([80.0])
    assert bundle.law.opened == (0,)


@pytest.mark.parametrize(
    ("shape_of", "reached"),
    [
        (lambda s: (1, *s[1:]), 2),
        (lambda s: (s[0], 1, *s[2:]), 3),
        (lambda s: (s[0], s[1], 1, 1), 16),
    ],
)
def test_shared_noise_is_seen(shape_of: Callable[[tuple[int, ...]], tuple[int, ...]], reached: int) -> None:
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        x = (80.0 * torch.randn(shape_of(shape))).expand(shape).clone()
        return model(x, 80.0)

    layout = Bundle(Subject(sampler, EDM, {}, name="it"), CASE).layout
    assert layout is not None
    assert layout.shared > 0
    assert np.unique(layout.fields[0].offset_of, return_counts=True)[1].max() == reached


@pytest.mark.slow
def test_settings_that_did_not_change_are_left_alone() -> None:
    # Setting them imports torch's compiler, which costs more than a quick verdict.
    code = """
import sys
from fixtures.torch_samplers.under_test import edm
from sampler_harness.runner import check_sampler
assert check_sampler(edm, budget="quick", checks=["law/times"]).findings[0].outcome == "passed"
assert not [name for name in sys.modules if name.startswith(("torch._inductor", "torch._dynamo"))], "the compiler"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_that_changed_are_put_back() -> None:
    before = settings_now()
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float64)
    torch.backends.cudnn.benchmark = not before["cudnn.benchmark"]
    np.seterr(all="raise")
    restore_settings(before)
    assert settings_now() == before
