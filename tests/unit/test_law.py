"""The law: what the row-echelon factor sees, what it does not care about, and that it is kept to the bit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reference_samplers import DDIM, DDPM, EDM, DDPMTraining, EDMTraining
from sampler_harness.law.comparison import compare
from sampler_harness.law.law import Law, row_echelon
from sampler_harness.law.replay import innovations, is_affine, replay
from sampler_harness.law.response import Response, respond_reference
from sampler_harness.law.rounding import ROUNDING_NUMPY, rounded_like, rounding
from sampler_harness.law.tolerance import reference_law, tolerance_between, tolerance_of

matrices = st.tuples(st.integers(2, 7), st.integers(1, 6)).flatmap(
    lambda s: arrays(np.float64, s, elements=st.floats(-10, 10).map(lambda v: round(v, 3)))
)


def rotation(size: int, seed: int) -> np.ndarray:
    """A fixed orthogonal matrix."""
    k = np.arange(1, size * size + 1).reshape(size, size) + seed
    q, _ = np.linalg.qr(np.sin(k * 1.7) + np.eye(size))
    return q


@given(matrices)
def test_factor_times_rotation_is_the_noise(noise: np.ndarray) -> None:
    factor, opened, basis = row_echelon(noise)
    assert np.allclose(factor @ basis, noise, atol=1e-6 * max(1.0, np.abs(noise).max()))
    assert np.allclose(basis @ basis.T, np.eye(len(opened)), atol=1e-9)
    assert list(opened) == sorted(opened)
    for column, row in enumerate(opened):
        assert factor[row, column] > 0
        assert not factor[:row, column].any()


@given(matrices, st.integers(0, 5))
def test_the_order_of_draws_does_not_matter(noise: np.ndarray, seed: int) -> None:
    shuffled = noise[:, np.argsort(np.sin(np.arange(noise.shape[1]) * 12.9 + seed))]
    factor, opened, _ = row_echelon(noise)
    again, opened_again, _ = row_echelon(shuffled)
    assert opened == opened_again
    assert np.allclose(factor, again, atol=1e-7 * max(1.0, np.abs(noise).max()))


def test_noise_that_a_later_row_magnifies_a_billionfold_opens_its_column() -> None:
    factor, opened, basis = row_echelon(np.array([[1.0], [500.0], [4e8]]))
    assert opened == (0,)
    np.testing.assert_allclose(factor[:, 0], [1, 500, 4e8], rtol=1e-12)
    np.testing.assert_allclose(basis, [[1.0]])


def test_many_draws_may_make_one_column() -> None:
    """A Brownian tree draws often; its law has the columns of what arrives."""
    response = respond_reference(EDM(num_steps=6, s_churn=4.0))
    tree = np.concatenate([response.noise, np.zeros_like(response.noise)], axis=1) @ rotation(
        2 * response.noise.shape[1], 3
    )
    plain, opened, _ = row_echelon(response.noise)
    factor, opened_tree, _ = row_echelon(tree)
    assert opened == opened_tree
    assert np.allclose(plain, factor, rtol=1e-9, atol=1e-9)


def test_late_noise_is_seen_where_the_covariance_hides_it() -> None:
    """DDPM without its last noise: nothing in A A^T (float32), all of it in L."""
    response = respond_reference(DDPM(num_steps=50))
    missing = response.noise.copy()
    last = int(np.flatnonzero(np.abs(missing).max(axis=0) > 0)[-1])
    missing[:, last] = 0
    gram, broken = response.noise @ response.noise.T, missing @ missing.T
    assert np.abs(gram - broken).max() < 1e-6 * np.abs(gram).max()
    law = Law.of(response)
    faulty = Law.of(Response(response.times, response.offset, missing, response.outputs))
    found = compare(faulty, law, tolerance_of(DDPM(num_steps=50), "float32"))
    wrong = [d for d in found if d.ratio > 1]
    assert wrong
    assert wrong[0].term == "noise"
    assert wrong[0].got == 0
    assert wrong[0].ratio > 3


@pytest.mark.parametrize(
    "reference",
    [EDM(num_steps=5, s_churn=3.0), DDPM(num_steps=10), DDIM(num_steps=10, eta=0.3)],
    ids=lambda r: type(r).__name__,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_promised_to_be_flagged_is_flagged(reference: object, dtype: str) -> None:
    """Any entry of B or L that is off by 0.1 % (float64: 1e-6), or twice its tolerance, is a difference."""
    law = reference_law(reference)
    tolerance = tolerance_of(reference, dtype)
    step = 1e-3 if dtype == "float32" else 1e-6
    assert not [d for d in compare(law, law, tolerance) if d.ratio > 0]
    for name in ("outputs", "factor"):
        values, allowed = getattr(law, name), getattr(tolerance, name)
        for row, column in np.argwhere(np.abs(values) > 1e-6 * np.abs(values).max(axis=1, keepdims=True)):
            changed = values.copy()
            changed[row, column] += max(step * abs(values[row, column]), 2.001 * allowed[row, column])
            parts = {"outputs": law.outputs, "factor": law.factor, name: changed}
            moved = Law(law.times, law.offset, parts["outputs"], parts["factor"], law.opened)
            assert [d for d in compare(moved, law, tolerance) if d.ratio > 1], (name, row, column)


def test_a_first_difference_explains_those_that_follow() -> None:
    reference = EDM(num_steps=4, sigma_max=5.0)
    response = respond_reference(reference)
    law = Law.of(response)
    unscaled = Law.of(Response(response.times, response.offset, response.noise / 5.0, response.outputs))
    wrong = [d for d in compare(unscaled, law, tolerance_of(reference, "float32")) if d.ratio > 1]
    assert {d.term for d in wrong} == {"initial-noise"}
    assert wrong[0].got == pytest.approx(1.0)
    assert wrong[0].should_be == pytest.approx(5.0)


def test_nan_never_passes() -> None:
    law = reference_law(EDM(num_steps=3))
    broken = Law(law.times, law.offset, np.full_like(law.outputs, np.nan), law.factor, law.opened)
    assert max(d.ratio for d in compare(broken, law, tolerance_between(law, "float32"))) == np.inf


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
def test_a_saved_law_reads_back_to_the_bit(values: list[float]) -> None:
    law = Law(
        np.array(values),
        np.array([*values, 1.0]),
        np.outer([*values, 0.1], [1.0, 0.3, 0.7]),
        np.array([[v] for v in [*values, 1 / 3]]),
        (0,),
        1e-9,
    )
    again = Law.from_json(json.loads(json.dumps(law.to_json())))
    for name in ("times", "offset", "outputs", "factor"):
        assert getattr(law, name).tobytes() == getattr(again, name).tobytes()
    assert again.opened == law.opened


@pytest.mark.parametrize("broken", [{}, {"times": [1.0]}, {"times": [1.0], "offset": [0.0], "outputs": [[1.0], [0.0]]}])
def test_a_file_that_is_no_law_is_told(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a saved law"):
        Law.from_json(broken)


@given(st.floats(0.5, 2.0))
def test_amplitude_cancels(scale: float) -> None:
    """The law of a reference does not depend on how large the impulses are."""
    reference = EDM(num_steps=3, s_noise=scale)
    law = reference_law(reference)
    assert law.column(0)[0] == pytest.approx(reference.sigma_max)


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        (DDPM(num_steps=10), lambda one: one.forward_scales(9)),
        (DDPMTraining(beta_schedule="cosine", weighting="min_snr"), lambda one: one.weight(0.0)),
        (EDMTraining(model_kind="network"), lambda one: one.input_scales(0.3)),
    ],
    ids=["forward", "chain", "preconditioned"],
)
def test_rounding_reaches_all_that_a_tolerance_is_asked_for(config: Any, asked: Callable[[Any], Any]) -> None:
    with rounding(24, 3):
        rounded = np.asarray(asked(rounded_like(config)), dtype=np.float64)
    exact = np.asarray(asked(config), dtype=np.float64)
    assert 0 < np.abs(rounded / exact - 1).max() < 1e-2


def test_rounding_is_a_function_of_the_value() -> None:
    values = ROUNDING_NUMPY.sqrt(np.array([2.0, 3.0, 2.0]))
    with rounding(24, 1):
        once, again = (np.asarray(ROUNDING_NUMPY.sqrt(np.array([2.0, 3.0, 2.0]))) for _ in range(2))
    with rounding(24, 2):
        others = [np.asarray(ROUNDING_NUMPY.sqrt(np.arange(2.0, 40.0)))]
    with rounding(24, 1):
        others.append(np.asarray(ROUNDING_NUMPY.sqrt(np.arange(2.0, 40.0))))
    np.testing.assert_array_equal(once, again)
    assert once[0] == once[2]
    assert (others[0] != others[1]).any()
    assert np.abs(once / np.asarray(values) - 1).max() <= 2.0**-23


def test_a_field_stands_in_the_place_of_a_method_by_its_name_where_source_rounds() -> None:
    # A field hides what its parts say by that name; compiled as well, that would round another sampler.
    config = EDM(num_steps=3, sigma_max=5.0, s_churn=0.42, model_kind="network", sigma_data=0.5)
    assert tolerance_of(config, "float32").wide == 0


@pytest.mark.parametrize(
    "config",
    [
        EDM(num_steps=4, solver="euler", s_churn=2.0),
        EDM(num_steps=3, s_churn=2.0, s_tmax=20.0),
        DDPM(num_steps=4),
        DDIM(num_steps=4, eta=0.5),
    ],
)
def test_a_replay_on_the_fresh_noise_of_a_run_is_that_run(config: Any) -> None:
    """Also where a row has two draws: EDM draws its start, and churns before the first call."""
    response = respond_reference(config)
    generator = np.random.Generator(np.random.PCG64(3))
    fields = generator.standard_normal((response.noise.shape[1], 6))
    outputs = generator.standard_normal((response.num_calls, 6))
    rows = response.offset[:, None] + response.noise @ fields + response.outputs @ outputs
    again = replay(config, (6,), outputs, innovations(response, fields, 2.0**-53))
    assert again is not None
    assert np.allclose(again, rows, rtol=1e-9, atol=1e-9)


def test_noise_that_enters_by_several_draws_is_handed_to_all_of_them() -> None:
    """Churn raises the first level: its draw and the first one arrive together, and together are one unit normal."""
    config = EDM(num_steps=3, s_churn=2.0)
    response = respond_reference(config)
    law = Law.of(response)
    assert response.noise.shape[1] == len(law.opened) + 1
    generator = np.random.default_rng(0)
    fresh = {row: generator.normal(size=6) for row in law.opened}
    outputs = generator.normal(size=(config.num_calls, 6))
    rows = replay(config, (2, 3), outputs, fresh)
    assert rows is not None
    should_be = law.outputs @ outputs + law.factor @ np.stack([fresh[row] for row in law.opened])
    assert rows is not None
    np.testing.assert_allclose(rows, should_be, rtol=1e-9, atol=1e-9)


@dataclass(frozen=True)
class _Powered:
    """A model's output to a power, added to the noise."""

    power: int

    def sample(self, model: Any, noise: Any) -> Any:
        x = noise()
        return x + model(x, 1.0) ** self.power


def test_what_is_not_affine_has_a_response_to_impulses_and_is_told_from_it_by_large_values() -> None:
    plain, squared = respond_reference(_Powered(1)), respond_reference(_Powered(2))
    np.testing.assert_array_equal(plain.outputs[-1], 1)
    assert np.abs(squared.outputs).max() < 1e-7
    assert is_affine(_Powered(1), plain)
    assert not is_affine(_Powered(2), squared)
    for config in (EDM(num_steps=4, s_churn=2.0), DDPM(num_steps=4, variance="learned_range")):
        learned = config.model_channels == 2
        assert is_affine(config, respond_reference(config, learned_variance=learned), learned_variance=learned)


def test_rows_beyond_all_measure_warn_of_nothing() -> None:
    """A host may turn warnings into errors: a fault that diverges is then still told as one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        factor, opened, _ = row_echelon(np.array([[1.0, 0.0], [1e200, 1e190]]))
    assert opened[0] == 0
    assert factor[1, 0] == 1e200
