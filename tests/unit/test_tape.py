"""The tap on randomness: every eager form of drawing is seen, and what it returns is ours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch

from sampler_harness.observe.probes import RunStopped, scattered
from sampler_harness.observe.tape import NoiseTap, UnknownDraw

SHAPE = (2, 3)


def given_values(index: int, shape: tuple[int, ...]) -> torch.Tensor:
    count = int(torch.tensor(shape).prod()) if shape else 1
    return (torch.arange(count, dtype=torch.float64) + 1 + 100 * index).reshape(shape)


def tapped(function: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, NoiseTap]:
    tap = NoiseTap(given_values, lambda: 0, 100, RunStopped)
    with tap:
        result = function()
    return result, tap


def distribution(mean: Any, std: Any) -> Any:
    """A normal distribution of torch's."""
    return torch.distributions.Normal(mean, std)


def out_form() -> torch.Tensor:
    out = torch.empty(SHAPE)
    torch.randn(SHAPE, out=out)
    return out


GAUSSIAN: dict[str, Callable[[], torch.Tensor]] = {
    "randn": lambda: torch.randn(SHAPE),
    "randn sizes": lambda: torch.randn(*SHAPE),
    "randn generator": lambda: torch.randn(SHAPE, generator=torch.Generator()),
    "randn float64": lambda: torch.randn(SHAPE, dtype=torch.float64),
    "randn_like": lambda: torch.randn_like(torch.zeros(SHAPE)),
    "normal_": lambda: torch.empty(SHAPE).normal_(),
    "normal_ arguments": lambda: torch.empty(SHAPE).normal_(0.0, 1.0),
    "normal size": lambda: torch.normal(0.0, 1.0, SHAPE),
    "normal tensor": lambda: torch.normal(torch.zeros(SHAPE), torch.ones(SHAPE)),
    "normal mean": lambda: torch.normal(torch.zeros(SHAPE), 1.0),
    "normal std": lambda: torch.normal(0.0, torch.ones(SHAPE)),
    "out": out_form,
    "init": lambda: torch.nn.init.normal_(torch.empty(SHAPE)),
    "distribution": lambda: distribution(torch.zeros(SHAPE), torch.ones(SHAPE)).sample(),
    "rsample": lambda: distribution(torch.zeros(SHAPE), torch.ones(SHAPE)).rsample(),
    "strided": lambda: torch.empty(SHAPE[::-1]).t().normal_(),
}


@pytest.mark.parametrize("form", GAUSSIAN)
@pytest.mark.parametrize("mode", ["plain", "no_grad", "inference"])
def test_every_gaussian_form_is_replaced(form: str, mode: str) -> None:
    contexts = {"plain": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}
    with contexts[mode]():
        result, tap = tapped(GAUSSIAN[form])
    assert len(tap.draws) == 1
    assert tap.draws[0].gaussian
    assert tap.draws[0].shape == SHAPE
    assert torch.equal(result.double().reshape(-1), given_values(0, SHAPE).reshape(-1))


@pytest.mark.parametrize(
    "form",
    [
        lambda: torch.normal(2.0, 3.0, SHAPE),
        lambda: torch.empty(SHAPE).normal_(2.0, 3.0),
        lambda: torch.empty(SHAPE).normal_(mean=2.0, std=3.0),
        lambda: torch.normal(torch.full(SHAPE, 2.0), torch.full(SHAPE, 3.0)),
        lambda: torch.normal(torch.full(SHAPE, 2.0), 3.0),
        lambda: torch.normal(2.0, torch.full(SHAPE, 3.0)),
        lambda: distribution(2.0, 3.0).sample(torch.Size(SHAPE)),
    ],
)
def test_the_calls_own_mean_and_std_are_kept(form: Callable[[], torch.Tensor]) -> None:
    result, _ = tapped(form)
    assert torch.allclose(result.double(), 2 + 3 * given_values(0, SHAPE))


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (lambda: torch.rand(SHAPE), 0.5),
        (lambda: torch.empty(SHAPE).uniform_(2.0, 4.0), 3.0),
        (lambda: torch.randint(3, 9, SHAPE), 3),
        (lambda: torch.randint(9, SHAPE), 0),
        (lambda: torch.bernoulli(torch.full(SHAPE, 0.5)), 1),
    ],
)
def test_other_draws_get_a_legal_value_and_are_told(form: Callable[[], torch.Tensor], value: float) -> None:
    result, tap = tapped(form)
    assert not tap.draws[0].gaussian
    assert bool((result == value).all())


def test_randperm_is_the_identity() -> None:
    result, _ = tapped(lambda: torch.randperm(5))
    assert result.tolist() == [0, 1, 2, 3, 4]


def test_an_unknown_random_operator_is_refused() -> None:
    with pytest.raises(UnknownDraw, match="cauchy"):
        tapped(lambda: torch.empty(SHAPE).cauchy_())


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_dropout_drops_nothing_and_is_told(mode: Callable[[], AbstractContextManager[None]]) -> None:
    x = torch.ones(1000)
    with mode():
        result, tap = tapped(lambda: torch.nn.functional.dropout(x, 0.5, training=True))
    assert bool((result == result[0]).all())
    assert bool(result[0] > 0)
    assert [d.gaussian for d in tap.draws] == [False]


def test_the_generator_is_told_and_moves() -> None:
    generator = torch.Generator().manual_seed(77)
    before = generator.get_state().clone()
    _, tap = tapped(lambda: torch.randn(SHAPE, generator=generator))
    assert tap.draws[0].generator_seed == 77
    assert not torch.equal(before, generator.get_state())


def test_too_many_draws_stop_the_run() -> None:
    def endless() -> torch.Tensor:
        x = torch.zeros(1)
        while True:
            try:
                x = x + torch.randn(1)
            except Exception:
                continue

    with pytest.raises(RunStopped, match="more than 100 random draws"):
        tapped(endless)


@pytest.mark.parametrize("size", [1, 2, 7, 24, 1536])
@pytest.mark.parametrize("phase", [0, 1, 2, 4])
def test_scattered_places_are_distinct(size: int, phase: int) -> None:
    places = scattered(size, size, phase)
    assert sorted(places) == list(range(size))
    if size > 2:
        assert places != list(range(size))
