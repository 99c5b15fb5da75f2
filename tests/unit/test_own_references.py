"""References that somebody else wrote: dataclasses of any make, with an algorithm, are held against as they stand."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from reference_samplers.contract import adopted
from sampler_harness import sampler_under_test
from sampler_harness.judging import short
from sampler_harness.runner import check_sampler
from sampler_harness.subject.functions import DeclarationError


def _grid(num_steps: int) -> list[float]:
    return [float(sigma) for sigma in np.linspace(10.0, 0.0, num_steps + 1)]


def _walk(grid: Any, x: Any, model: Any) -> Any:
    for sigma, sigma_next in pairwise(grid):
        x = x + (sigma_next - sigma) * (x - model(x, sigma)) / sigma
    return x


class Walks:
    """Euler's method from sigma = 10, in equal steps."""

    num_steps: int

    def sample(self, model: Any, noise: Any) -> Any:
        return _walk(_grid(self.num_steps), 10.0 * noise(), model)


@dataclass(frozen=True)
class Plain(Walks):
    """As most write it."""

    num_steps: int = 4


@dataclass(frozen=True, slots=True)
class Slots(Walks):
    """Whose instances have no dictionary."""

    num_steps: int = 4


@dataclass(frozen=True)
class Prepared:
    """Whose grid is made with it."""

    num_steps: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid_of_mine", _grid(self.num_steps))

    def sample(self, model: Any, noise: Any) -> Any:
        grid: Any = self.__dict__["grid_of_mine"]
        return _walk(grid, 10.0 * noise(), model)


@dataclass(frozen=True)
class Inheriting(Prepared):
    """Whose parent makes the grid."""

    extra: float = 0.0


@dataclass(frozen=True)
class Derived:
    """With a field that nobody gives."""

    num_steps: int = 4
    g: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "g", tuple(_grid(self.num_steps)))

    def sample(self, model: Any, noise: Any) -> Any:
        return _walk(self.g, 10.0 * noise(), model)


@dataclass(frozen=True)
class CountsCalls(Walks):
    """That means a method by the name of a property."""

    num_steps: int = 4

    def num_calls(self) -> int:
        return self.num_steps


@dataclass(frozen=True)
class SaysItsOrder(Walks):
    """With a field by the name of a property."""

    order: int
    num_steps: int


@dataclass(frozen=True, eq=False)
class ComparedByIdentity(Walks):
    """Of which two are equal only where they are one."""

    num_steps: int = 4


@dataclass(frozen=True)
class SaysItsLevels(Walks):
    """That means a method by the name of a property, which a run is counted by."""

    num_steps: int = 4

    def levels(self) -> list[float]:
        return _grid(self.num_steps)


@dataclass(frozen=True)
class HoldsAnArray(Walks):
    """With a field that has no equal, and is not compared."""

    num_steps: int = 4
    weights: Any = field(default_factory=lambda: np.ones(3), compare=False)


def _torch(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    def told(x: Any, sigma: float) -> Any:
        return model(x, torch.tensor(sigma, device=device, dtype=dtype))

    return _walk(_grid(config.num_steps), 10.0 * torch.randn(shape, device=device, dtype=dtype), told)


def _faulty(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    return 1.01 * _torch(model, shape, config, device=device, dtype=dtype)


def _pickled(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
    return _torch(model, shape, pickle.loads(pickle.dumps(config)), device=device, dtype=dtype)


KINDS: list[Any] = [Plain, Slots, Prepared, Inheriting, Derived, CountsCalls, SaysItsOrder]
KINDS += [ComparedByIdentity, SaysItsLevels, HoldsAnArray]


def _declared(kind: Any, run: Any) -> Any:
    order: dict[str, Any] = {"order": st.just(1)} if kind is SaysItsOrder else {}
    return sampler_under_test(kind, num_steps=st.integers(1, 6), **order)(run)


@pytest.mark.parametrize("run", [_torch, _pickled])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sampled(every=4)
def test_an_own_reference_is_held_against(kind: Any, run: Any) -> None:
    verdict = check_sampler(_declared(kind, run), budget="quick")
    assert verdict.conforms, verdict


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sampled(every=4)
def test_a_deviation_from_an_own_reference_is_seen(kind: Any) -> None:
    verdict = check_sampler(_declared(kind, _faulty), budget="quick", diagnose=False)
    assert not verdict.conforms
    assert "1.01 times" in str(verdict)


def test_the_grid_s_entries_are_counted_by_the_calls_where_nothing_else_says_them() -> None:
    @dataclass(frozen=True)
    class Own:
        n: int = 4

        def forward_scales(self, index: int) -> tuple[float, float]:
            return 1.0, _grid(self.n)[index]

        def sample(self, model: Any, noise: Any) -> Any:
            return _walk(_grid(self.n), 10.0 * noise(), model)

    def forward(x0: Any, draw: Any, config: Any, index: int, *, device: Any, dtype: Any) -> Any:
        return x0 + _grid(config.n)[index] * draw

    def too_loud(x0: Any, draw: Any, config: Any, index: int, *, device: Any, dtype: Any) -> Any:
        return x0 + 1.01 * _grid(config.n)[index] * draw

    def run(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        return _walk(
            _grid(config.n),
            10.0 * torch.randn(shape, device=device, dtype=dtype),
            lambda x, sigma: model(x, torch.tensor(sigma, device=device, dtype=dtype)),
        )

    for add_noise, conforms in ((forward, True), (too_loud, False)):
        declare = sampler_under_test(Own, n=st.integers(1, 6), forward=add_noise)
        verdict = check_sampler(declare(run), budget="quick")
        found = next(one for one in verdict.findings if one.id == "law/forward")
        assert (found.outcome == "passed") is conforms, found


def test_configurations_of_an_own_reference_are_equal_as_its_author_has_it() -> None:
    kind = adopted(Derived)
    assert kind(3) == Derived(3)
    assert kind(3) != kind(4)
    assert hash(kind(3)) == hash(Derived(3))
    assert [one.name for one in fields(kind)] == ["num_steps", "g"]


def test_a_field_by_the_name_of_something_else_is_refused() -> None:
    @dataclass(frozen=True)
    class Own(Walks):
        num_steps: int = 4
        levels: int = 1_000

    with pytest.raises(DeclarationError, match="Own has a field 'levels'"):
        sampler_under_test(Own, num_steps=st.integers(1, 6))(_torch)


@pytest.mark.parametrize("name", ["values", "has_forward", "has_network", "refuse_beside"])
def test_a_method_that_only_the_contract_can_answer_is_refused(name: str) -> None:
    kind: Any = dataclass(frozen=True)(type("Own", (Plain,), {name: lambda self: None}))
    with pytest.raises(DeclarationError, match=f"Own has its own '{name}'"):
        sampler_under_test(kind, num_steps=st.integers(1, 6))(_torch)


def test_configurations_that_may_change_are_refused() -> None:
    @dataclass
    class Own(Walks):
        num_steps: int = 4

    with pytest.raises(DeclarationError, match=r"write @dataclass\(frozen=True\) above class Own"):
        sampler_under_test(Own, num_steps=st.integers(1, 6))(_torch)


@dataclass(frozen=True)
class HoldsAList(Walks):
    """With a field of which no configuration has a hash."""

    num_steps: int = 4
    weights: Any = field(default_factory=lambda: [1.0, 2.0])


@dataclass(frozen=True)
class MakesATuple(HoldsAList):
    """That prepares what it is given."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(self.weights))


@pytest.mark.parametrize("fields", [{}, {"weights": [1.0]}, {"weights": st.sampled_from([(1.0,), [1.0]])}])
def test_configurations_that_cannot_be_told_apart_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="weights of HoldsAList holds a list"):
        sampler_under_test(HoldsAList, num_steps=st.integers(1, 6), **fields)(_torch)
    sampler_under_test(MakesATuple, num_steps=st.integers(1, 6), **fields)(_torch)


def test_what_is_told_of_a_configuration_can_be_pasted() -> None:
    assert short(adopted(Derived)(3)) == "Derived(num_steps=3)"
    assert short(adopted(HoldsAnArray)(3)) == "HoldsAnArray(num_steps=3)"
    assert short(adopted(MakesATuple)(3)) == "MakesATuple(num_steps=3, weights=(1.0, 2.0))"
