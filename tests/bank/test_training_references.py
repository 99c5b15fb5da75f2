"""The training references against recorded steps of published programs, and their text against their figures."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fixtures.golden.training_configurations import GOLDEN_TRAINING, GoldenTraining
from reference_samplers import DDPMTraining, EDMTraining, FlowTraining
from reference_samplers.openings import Array
from reference_samplers.prediction import c_out

#: Half the distance of 1.0 and the next float32.
UNIT = 2.0**-24
#: Roundings on the way to a figure: table, root, product, difference, reading it off.
ROUNDINGS = 8

STEPS = [
    EDMTraining(),
    EDMTraining(model_kind="network", P_mean=-0.4, sigma_min=0.1, sigma_max=5.0),
    EDMTraining(model_kind="network", weighting="snr", told="sigma", sigma_data=0.7),
    EDMTraining(offset_noise=0.3),
    DDPMTraining(),
    DDPMTraining(prediction="x0", weighting="snr", num_train_timesteps=50),
    DDPMTraining(prediction="v", weighting="min_snr", snr_gamma=2.0, beta_schedule="cosine"),
    DDPMTraining(prediction="v", weighting="objective", offset_noise=0.1),
    DDPMTraining(input_perturbation=0.1, num_train_timesteps=7),
    FlowTraining(),
    FlowTraining(time="logit_normal", logit_mean=0.5, logit_std=0.7, shift=3.0),
]
Training = EDMTraining | DDPMTraining | FlowTraining


def rounding_of_forward(golden: GoldenTraining, level: float) -> float:
    """Absolute error that float32 leaves in the scales of the input."""
    error = ROUNDINGS * UNIT * max(golden.reference.input_scales(level))
    if golden.float32_table:
        # A cumulative product rounds once an entry; what is left of it is taken from 1.
        error += (level + 2) * UNIT / (2 * golden.reference.input_scales(level)[1])
    return error


@pytest.mark.parametrize("golden", GOLDEN_TRAINING, ids=lambda g: g.name)
def test_reference_reproduces_a_published_training_step(golden: GoldenTraining) -> None:
    reference = golden.reference
    items = json.loads(golden.path.read_text(encoding="utf-8"))["items"]
    assert len(items) == 8
    for item in items:
        level = reference.level_of_time(item["time"])
        assert reference.told_time(level) == pytest.approx(item["time"], rel=2 * UNIT)
        forward = rounding_of_forward(golden, level)
        assert (item["a"], item["s"]) == pytest.approx(reference.input_scales(level), rel=0, abs=forward)
        target = forward
        if isinstance(reference, EDMTraining) and reference.model_kind == "network":
            # (x0 - c_skip x) / c_out: terms of size 1 are subtracted, then divided.
            target += ROUNDINGS * UNIT / float(c_out(level, reference.sigma_data))
        assert (item["target_x0"], item["target_noise"]) == pytest.approx(
            reference.target_scales(level), rel=0, abs=target
        )
        assert item["weight"] == pytest.approx(reference.weight(level), rel=ROUNDINGS * UNIT)


def test_every_recorded_step_is_compared() -> None:
    names = {golden.path.name for golden in GOLDEN_TRAINING}
    assert names == {path.name for path in GOLDEN_TRAINING[0].path.parent.glob("*.json")}


def test_the_recorded_draw_of_edm_has_one_value_per_item() -> None:
    golden = next(g for g in GOLDEN_TRAINING if g.name == "edm_EDMLoss")
    data = json.loads(golden.path.read_text(encoding="utf-8"))
    assert data["small_draws"] == [[8, 1, 1, 1]]
    assert golden.reference.time_draw == "normal"


class Impulses:
    """Draws with an impulse in the noise, and a given draw for the time."""

    def __init__(self, level_draw: float, place: int | None, offset_place: int | None = None) -> None:
        self.level_draw = level_draw
        self.place = place
        self.offset_place = offset_place
        self.normals: list[tuple[int, ...]] = []
        self.low_high: tuple[int, int] | None = None

    def normal(self, shape: tuple[int, ...]) -> Array:
        self.normals.append(shape)
        values = np.zeros(shape)
        if len(shape) == 1:
            values[:] = self.level_draw
        elif shape[-1] == 1:
            if self.offset_place is not None:
                values.reshape(-1)[self.offset_place] = 1.0
        elif self.place is not None and sum(len(s) > 1 and s[-1] > 1 for s in self.normals) == 1:
            values.reshape(-1)[self.place] = 1.0
        return values

    def integers(self, low: int, high: int, count: int) -> Any:
        self.low_high = (low, high)
        return np.full(count, int(self.level_draw))

    def uniform(self, count: int) -> Array:
        return np.full(count, self.level_draw)


class Answering:
    """A model that answers with one number at one place, and keeps what it was given."""

    def __init__(self, answer: float, place: int, seen: list[tuple[Array, Array]]) -> None:
        self.answer = answer
        self.place = place
        self.seen = seen

    def __call__(self, x: Array, time: Array) -> Array:
        self.seen.append((x, time))
        output = np.zeros_like(x)
        output.reshape(-1)[self.place] = self.answer
        return output


def some_draws(reference: Training) -> list[float]:
    if reference.time_draw == "integers":
        assert isinstance(reference, DDPMTraining)
        last = reference.num_train_timesteps - 1
        return [0.0, float(last // 3), float(last)]
    return [-1.5, 0.3, 2.0] if reference.time_draw == "normal" else [0.01, 0.4, 0.99]


@pytest.mark.parametrize("reference", STEPS, ids=str)
def test_the_text_and_the_figures_are_one(reference: Training) -> None:
    """The loss is quadratic in the model's output: three values of it give target and weight exactly."""
    shape = (2, 1, 4, 4)
    data_place, noise_place = 3, 9
    x0 = np.zeros(shape)
    x0.reshape(-1)[data_place] = 1.0
    for draw in some_draws(reference):
        level = reference.level(draw)
        seen: list[tuple[Array, Array]] = []

        def loss(answer: float, place: int, *, draw: float = draw, seen: list[tuple[Array, Array]] = seen) -> float:
            model = Answering(answer, place, seen)
            return float(reference.step(model, x0, Impulses(draw, noise_place))[0])

        weight = (loss(1.0, 12) + loss(-1.0, 12) - 2 * loss(0.0, 12)) / 2 * 16
        assert weight == pytest.approx(reference.weight(level), rel=1e-9)
        targets = [(loss(-1.0, place) - loss(1.0, place)) / 4 * 16 / weight for place in (data_place, noise_place)]
        assert targets == pytest.approx(reference.target_scales(level), rel=1e-7, abs=1e-9)
        x, time = seen[0]
        scales = (x.reshape(-1)[data_place], x.reshape(-1)[noise_place])
        assert scales == pytest.approx(reference.input_scales(level), rel=1e-12)
        assert time.shape == (2,)
        assert time[0] == pytest.approx(reference.told_time(level))
        assert reference.level_of_time(time[0]) == pytest.approx(level)


@pytest.mark.parametrize("reference", STEPS, ids=str)
def test_quantiles_are_shares_of_the_draw(reference: Training) -> None:
    shares = (np.arange(2000) + 0.5) / 2000
    levels = np.array([reference.quantile(float(p)) for p in shares])
    assert (np.diff(levels) >= 0).all()
    low, high = reference.level_bounds
    assert levels.min() >= low
    assert levels.max() <= high
    generator = np.random.Generator(np.random.PCG64(1))
    if reference.time_draw == "normal":
        drawn = generator.standard_normal(4000)
    elif reference.time_draw == "uniform":
        drawn = generator.random(4000)
    else:
        assert isinstance(reference, DDPMTraining)
        drawn = np.arange(reference.num_train_timesteps).astype(float)
    sample = np.array([reference.level(float(one)) for one in drawn])
    for p in (0.1, 0.5, 0.9):
        # A continuous level: three standard errors of a share. A timestep: one entry more or less.
        slack = 3 * np.sqrt(p * (1 - p) / sample.size) + (reference.time_draw == "integers") / sample.size
        below = (sample <= reference.quantile(p)).mean()
        clamped = reference.quantile(p) in (low, high)
        assert clamped or abs(below - p) <= slack


def test_offset_noise_and_perturbation_stand_where_they_are_said() -> None:
    x0 = np.zeros((1, 2, 4, 4))
    inputs: list[Array] = []

    def model(x: Array, time: Array) -> Array:
        inputs.append(x)
        return np.zeros_like(x)

    EDMTraining(offset_noise=0.3).step(model, x0, Impulses(0.0, None, offset_place=1))
    level = EDMTraining().level(0.0)
    assert np.allclose(inputs[-1][0, 1], 0.3 * level)
    assert not inputs[-1][0, 0].any()
    draws = Impulses(5.0, 3)
    DDPMTraining(input_perturbation=0.1).step(model, x0, draws)
    assert draws.normals == [x0.shape, x0.shape]
    assert draws.low_high == (0, 1000)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EDMTraining(P_std=0.0), "P_std must be a finite number > 0, got 0.0"),
        (lambda: EDMTraining(sigma_min=2.0, sigma_max=1.0), "sigma_max must be > sigma_min=2.0, got 1.0"),
        (lambda: EDMTraining(told="c_noise"), "told must be"),
        (lambda: EDMTraining(model_kind="epsilon"), "model_kind must be one of 'denoiser', 'network'"),  # type: ignore[arg-type]
        (lambda: DDPMTraining(num_train_timesteps=0), "num_train_timesteps must be a whole number >= 1"),
        (lambda: DDPMTraining(beta_end=1.0), "beta_end must be < 1"),
        (lambda: DDPMTraining(beta_start=0.03), "beta_end must be >= beta_start=0.03"),
        (lambda: DDPMTraining(weighting="p2"), "weighting must be one of"),
        (lambda: FlowTraining(shift=-1.0), "shift must be a finite number > 0"),
        (lambda: FlowTraining(time="cosmap"), "time must be one of"),  # type: ignore[arg-type]
    ],
)
def test_wrong_fields_are_refused_in_words(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        make()
    assert words in str(refused.value)
