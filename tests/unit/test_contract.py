"""The contract of references: parts join into flat dataclasses, and a new method costs one file."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import reference_samplers
from reference_samplers import (
    ALL_REFERENCES,
    ALL_TRAINING_REFERENCES,
    DDIM,
    EDM,
    FlowEuler,
    Reference,
    TrainingReference,
)
from reference_samplers.contract import adopted, as_reference
from reference_samplers.processes.process import Process
from sampler_harness.law.comparison import compare
from sampler_harness.law.law import Law
from sampler_harness.law.response import respond_reference
from sampler_harness.law.rounding import rounded_like
from sampler_harness.law.tolerance import reference_law, tolerance_of

from .added_method import ImplicitChain, ImplicitFlow, ImplicitLevels

PAIRS: list[tuple[Any, Any]] = [
    (ImplicitLevels(num_steps=7, sigma_max=5.0), EDM(num_steps=7, sigma_max=5.0, solver="euler")),
    (ImplicitLevels(num_steps=5, model_kind="network"), EDM(num_steps=5, model_kind="network", solver="euler")),
    (ImplicitChain(num_steps=9, prediction="v"), DDIM(num_steps=9, prediction="v")),
    (ImplicitChain(num_steps=4, timestep_spacing="trailing"), DDIM(num_steps=4, timestep_spacing="trailing")),
    (ImplicitFlow(6, shift=3.0), FlowEuler(6, shift=3.0)),
]


@pytest.mark.parametrize(("added", "known"), PAIRS, ids=lambda one: type(one).__name__)
def test_a_new_method_runs_on_every_process(added: Any, known: Any) -> None:
    # With neither churn nor eta it is, on each process, a sampler that is written down already.
    deviations = compare(reference_law(added), reference_law(known), tolerance_of(known, "float64"))
    assert max(one.ratio for one in deviations) <= 1
    assert (added.num_calls, added.order, added.stochasticity) == (known.num_calls, 1, 0.0)
    for index in range(len(added.levels)):
        assert added.forward_scales(index) == known.forward_scales(index)


@pytest.mark.parametrize("added", [pair[0] for pair in PAIRS], ids=lambda one: type(one).__name__)
def test_a_new_method_has_a_derived_tolerance_and_a_perfect_network(added: Any) -> None:
    rounding = Law.of(respond_reference(rounded_like(added)))
    assert rounding.num_calls == added.num_calls
    model = added.network(lambda x, sigma: x / (1 + sigma**2))
    assert np.isfinite(added.sample(model, lambda: np.full((2, 3), 0.5))).all()
    assert added.has_network
    assert added.has_forward


def test_every_reference_keeps_the_contract() -> None:
    reference: Any
    for reference in ALL_REFERENCES:
        assert issubclass(reference, Process)
        text = inspect.getdoc(reference) or ""
        order = [text.index(f"\n    {f.name}: ") for f in dataclasses.fields(reference)]
        assert order == sorted(order), "arguments are told of in the order of the fields"


def test_every_reference_that_is_exported_is_listed() -> None:
    exported = [vars(reference_samplers)[name] for name in reference_samplers.__all__]
    kinds = [one for one in exported if isinstance(one, type) and dataclasses.is_dataclass(one)]
    assert {one for one in kinds if issubclass(one, Reference)} == set(ALL_REFERENCES)
    assert {one for one in kinds if issubclass(one, TrainingReference)} == set(ALL_TRAINING_REFERENCES)


def test_a_dataclass_with_sample_is_adopted() -> None:
    @dataclasses.dataclass(frozen=True)
    class Own:
        """Somebody's own."""

        num_steps: int = 4

        def sample(self, model: Any, noise: Any) -> Any:
            x = noise()
            for step in range(self.num_steps):
                x = model(x, step)
            return x

    kind = adopted(Own)
    assert adopted(kind) is kind
    assert issubclass(kind, Reference)
    assert kind.__name__ == "Own"
    config = kind(num_steps=3)
    assert repr(config) == repr(Own(num_steps=3))
    assert config == dataclasses.replace(config)
    assert config.values() == {"num_steps": 3}
    assert (config.num_calls, config.is_clipped, config.has_network, config.has_forward) == (9, False, False, False)
    assert config.sample(lambda x, time: x + time, lambda: np.zeros(2)).tolist() == [3.0, 3.0]


def test_an_adopted_dataclass_keeps_its_own_answers() -> None:
    @dataclasses.dataclass(frozen=True)
    class Own:
        """Somebody's own, which says how often it calls."""

        num_steps: int = 4

        def __post_init__(self) -> None:
            if self.num_steps < 1:
                raise ValueError("num_steps must be 1 or more")

        def sample(self, model: Any, noise: Any) -> Any:
            return model(noise(), 1.0)

        @property
        def num_calls(self) -> int:
            return 1

        def network(self, denoise: Any) -> Any:
            return denoise

    kind = adopted(Own)
    assert kind(2).num_calls == 1
    assert kind(2).has_network
    with pytest.raises(ValueError, match="1 or more"):
        kind(0)


@pytest.mark.parametrize("file", [None, "<stdin>"])
def test_a_dataclass_without_a_file_keeps_the_floor_of_its_tolerance(
    file: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ModuleType("typed_at_a_prompt")
    if file is not None:
        typed.__file__ = file
    monkeypatch.setitem(sys.modules, typed.__name__, typed)
    text = """
import dataclasses

@dataclasses.dataclass(frozen=True)
class Own:
    num_steps: int = 4

    def sample(self, model, noise):
        x = noise()
        for step in range(self.num_steps):
            x = 0.5 * x + model(x, step)
        return x
"""
    exec(text, vars(typed))
    config = as_reference(vars(typed)["Own"](3))
    assert tolerance_of(config, "float32").wide == 0
