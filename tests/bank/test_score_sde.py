"""Predictor-corrector sampling of score SDEs: the reference by hand, the released program wrapped, its faults."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.faulty_samplers import FAULTY_SCORE_SDE, Faulty
from fixtures.released import score_sde as released
from fixtures.wraps import score_sde as wraps
from reference_samplers import ScoreSDE
from reference_samplers.denoisers import GaussianData
from reference_samplers.openings import Array
from sampler_harness.law.response import Response, respond_reference
from sampler_harness.measuring import respond
from sampler_harness.runner import check_sampler
from sampler_harness.subject import Subject, sampler_under_test
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Finding, Verdict
from scripts.kill_matrix import failing, margin, verdict_of

#: Levels 1, 3 behind 0, and variances 0.1, 0.5: small enough to follow by hand.
VE: dict[str, Any] = {"sde": "ve", "num_steps": 2, "sigma_min": 1.0, "sigma_max": 3.0}
VP: dict[str, Any] = {"sde": "vp", "num_steps": 2, "beta_min": 0.2, "beta_max": 1.0}


def measured(**fields: Any) -> Response:
    return respond_reference(ScoreSDE(**fields))


def outcome(verdict: Verdict, id: str) -> str:
    return next(f.outcome for f in verdict.findings if f.id == id)


# --- the reference, by hand


def test_variance_exploding_by_hand() -> None:
    run = measured(**VE)
    # Algorithm 2: from 3 to 1 with 9 - 1 = 8, from 1 to 0 with 1.
    np.testing.assert_allclose(run.times, [3.0, 3.0**1e-5], rtol=1e-14)
    np.testing.assert_allclose(run.noise, [[3, 0], [3, np.sqrt(8)], [3, np.sqrt(8)]], rtol=1e-14)
    np.testing.assert_allclose(run.outputs, [[0, 0], [8, 0], [8, 1]], rtol=1e-14)


def test_variance_preserving_by_hand() -> None:
    run = measured(**VP)
    kept, last = 2 - np.sqrt(0.5), 2 - np.sqrt(0.9)  # Algorithm 3, line 3
    np.testing.assert_allclose(run.times, [999, 0.999], rtol=1e-14)
    noise = np.array([[1, 0], [kept, np.sqrt(0.5)], [last * kept, last * np.sqrt(0.5)]])
    np.testing.assert_allclose(run.noise, noise, rtol=1e-14)
    np.testing.assert_allclose(run.outputs, np.array([[0, 0], [0.5, 0], [last * 0.5, 0.1]]))


def test_without_denoising_the_last_step_has_its_noise() -> None:
    np.testing.assert_allclose(measured(**VE, denoise=False).noise[2], [3, np.sqrt(8), 1])
    assert measured(**VE, denoise=False).noise.shape == (3, 3)


def test_ancestral_steps_by_hand() -> None:
    run = measured(**VE, predictor="ancestral_sampling")
    np.testing.assert_allclose(run.noise[1], [3, np.sqrt(1 * 8 / 9)])  # eq. 47: the lower level over the higher
    np.testing.assert_allclose(run.outputs[2], [8, 1])
    run = measured(**VP, predictor="ancestral_sampling")
    np.testing.assert_allclose(run.noise[1], [1 / np.sqrt(0.5), np.sqrt(0.5)])  # eq. 4
    np.testing.assert_allclose(run.outputs[1, 0], 0.5 / np.sqrt(0.5))


def test_euler_maruyama_by_hand() -> None:
    # dt = 1/2; at t = 1 the rate is 1: x + (x/2 + s)/2 and noise of sqrt(1/2).
    run = measured(**VP, predictor="euler_maruyama")
    np.testing.assert_allclose(run.noise[1], [1.25, np.sqrt(0.5)])
    np.testing.assert_allclose(run.outputs[1, 0], 0.5)
    # g^2 = 2 ln(3) sigma^2 at t = 1.
    run = measured(**VE, predictor="euler_maruyama")
    np.testing.assert_allclose(run.outputs[1, 0], 9 * np.log(3))
    np.testing.assert_allclose(run.noise[1], [3, 3 * np.sqrt(np.log(3))])


def test_probability_flow_halves_the_score_and_draws_nothing() -> None:
    for fields in (VE, VP):
        flow, whole = measured(**fields, probability_flow=True), measured(**fields)
        assert flow.noise.shape[1] == 1
        np.testing.assert_allclose(flow.outputs[1], whole.outputs[1] / 2)


def test_the_tables_are_the_papers() -> None:
    config = ScoreSDE(num_steps=5, sigma_min=0.01, sigma_max=100.0)
    np.testing.assert_allclose(config.sigma, [0, 0.01, 0.1, 1, 10, 100])
    vp = ScoreSDE(sde="vp", num_steps=1000)
    np.testing.assert_allclose(vp.beta[[1, 1000]], [1e-4, 0.02])  # those of DDPM
    np.testing.assert_allclose(vp.alpha_bar[2], (1 - vp.beta[1]) * (1 - vp.beta[2]))


def test_what_the_model_is_told() -> None:
    np.testing.assert_array_equal(measured(**VE, labels="discrete").times, [0, 1])
    np.testing.assert_allclose(measured(**VP, labels="discrete").times, [1, 1e-3])
    np.testing.assert_allclose(measured(**VP, labels="time").times, [1, 1e-3])
    np.testing.assert_allclose(measured(**VE, labels="time", eps=0.25).times, [1, 0.25])


def test_epsilon_is_minus_std_times_the_score() -> None:
    for labels in ("continuous", "discrete"):
        score, epsilon = (measured(**VP, labels=labels, prediction=p) for p in ("score", "epsilon"))
        std = np.sqrt(1 - np.exp(-0.6)) if labels == "continuous" else np.sqrt(1 - 0.9 * 0.5)
        np.testing.assert_allclose(epsilon.outputs[1, 0], -score.outputs[1, 0] / std)


@pytest.mark.parametrize("labels", ["time", "continuous", "discrete"])
@pytest.mark.parametrize("fields", [VE, VP], ids=["ve", "vp"])
def test_the_exact_network_is_the_gradient_of_the_log_density(fields: dict[str, Any], labels: Any) -> None:
    mean, variance = 0.5, 0.25
    config = ScoreSDE(**fields, labels=labels)
    data = GaussianData([mean], [[variance]])
    x = np.array([[0.3], [2.0]])
    for i in (1, 2):
        label = config.time(i)
        signal, noise = config.scales_at(config.time_grid[2 - i])
        if labels == "discrete":
            signal, noise = config.forward_scales(2 - i)
        score = -(x - signal * mean) / (signal**2 * variance + noise**2)
        np.testing.assert_allclose(config.network(data)(x, label), score, rtol=1e-12)


def test_the_last_level_is_the_data() -> None:
    assert ScoreSDE(**VE).forward_scales(2) == (1.0, 0.0)
    assert ScoreSDE(**VP).forward_scales(2) == (1.0, 0.0)
    assert ScoreSDE(**VE).forward_scales(0) == (1.0, 3.0)


@pytest.mark.parametrize("norms", ["item", "batch"])
@pytest.mark.parametrize("fields", [VE, VP], ids=["ve", "vp"])
def test_the_corrector_by_hand(fields: dict[str, Any], norms: Any) -> None:
    rng = np.random.default_rng(3)
    shape = (3, 2, 4)
    draws = [rng.normal(size=shape) for _ in range(6)]
    scores = [rng.normal(size=shape) for _ in range(6)]
    seen: list[Array] = []

    def model(x: Array, time: float) -> Array:
        seen.append(np.array(x))
        return scores[len(seen) - 1]

    config = ScoreSDE(**fields, num_corrector_steps=2, snr=0.3, norms=norms)
    drawn = iter(draws)
    config.sample(model, lambda: next(drawn))
    assert len(seen) == config.num_calls == 6
    alpha = 0.5 if fields is VP else 1.0
    for item in range(3):
        z, g = draws[1], scores[0]
        length = [float(np.linalg.norm(z[j])) for j in range(3)], [float(np.linalg.norm(g[j])) for j in range(3)]
        above, below = (length[0][item], length[1][item]) if norms == "item" else (sum(length[0]), sum(length[1]))
        epsilon = 2 * alpha * (0.3 * above / below) ** 2
        moved = seen[0][item] + epsilon * g[item] + (2 * epsilon) ** 0.5 * z[item]
        np.testing.assert_allclose(seen[1][item], moved, rtol=1e-12)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"sde": "subvp"}, "sde"),
        ({"num_steps": 1}, "num_steps"),
        ({"sde": "vp", "num_steps": 20}, "num_steps"),
        ({"num_corrector_steps": -1}, "num_corrector_steps"),
        ({"snr": 0.0}, "snr"),
        ({"norms": "mean"}, "norms"),
        ({"sigma_max": 0.01}, "sigma_max"),
        ({"beta_max": 0.05}, "beta_max"),
        ({"predictor": "none"}, "predictor"),
        ({"labels": "sigma"}, "labels"),
        ({"prediction": "v"}, "prediction"),
        ({"eps": 1.0}, "eps"),
        ({"eps": 0.0}, "eps"),
        ({"denoise": 1}, "denoise"),
        ({"predictor": "ancestral_sampling", "probability_flow": True}, "probability_flow"),
    ],
)
def test_wrong_field_is_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got "):
        ScoreSDE(**fields)


# --- the released program


@pytest.mark.parametrize("num_steps", [2, 3, 37, 232, 1000])
@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_truncated_products_hit_every_entry(num_steps: int, eps: float) -> None:
    sde = released.VESDE(N=num_steps)
    times = torch.linspace(sde.T, eps, num_steps)
    assert sde.timestep(times).tolist() == list(range(num_steps - 1, -1, -1))


def test_more_steps_than_one_over_eps_leave_the_lowest_level_out() -> None:
    sde = released.VESDE(N=2000)
    entries = sde.timestep(torch.linspace(sde.T, 1e-3, 2000)).tolist()
    assert entries[:1000] == list(range(1999, 999, -1))
    assert entries[1000:] == list(range(1000, 0, -1))


def wrapped() -> list[Subject]:
    return [value for value in vars(wraps).values() if isinstance(value, Subject)]


@pytest.mark.parametrize("subject", wrapped(), ids=lambda s: s.name)
@pytest.mark.sampled(every=12)
def test_a_wrap_conforms_and_is_short(subject: Subject) -> None:
    verdict = check_sampler(subject, budget="quick")
    assert verdict.conforms, [(f.id, f.message) for f in verdict.findings if f.outcome in ("failed", "error")]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3
    assert lines_of(subject.name) <= 15


def lines_of(name: str) -> int:
    """From the decorator to the function's end, without its docstring and blank lines."""
    text = Path(inspect.getfile(wraps)).read_text(encoding="utf-8")
    function = next(n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == name)
    first, last = function.decorator_list[0].lineno, function.end_lineno or 0
    docstring = function.body[0]
    skipped = range(docstring.lineno, (docstring.end_lineno or 0) + 1)
    lines = text.splitlines()
    return sum(bool(lines[n - 1].strip()) for n in range(first, last + 1) if n not in skipped)


@pytest.mark.slow
def test_in_the_standard_budget_too() -> None:
    subject = load_subject("fixtures.wraps.score_sde:predictor_vp")
    verdict = check_sampler(
        subject, budget="standard", checks=("law/times", "law/outputs", "law/noise", "limit/gaussian")
    )
    assert verdict.conforms
    # eps = 1e-3 tells the network a later time than the state has: declared, and truly so.
    assert outcome(verdict, "limit/gaussian") == "expected"


@pytest.mark.slow
def test_the_exact_gaussian_is_reached_where_eps_is_small() -> None:
    subject = load_subject("fixtures.wraps.score_sde:predictor_ve")
    verdict = check_sampler(subject, budget="standard", checks=("limit/gaussian",))
    assert outcome(verdict, "limit/gaussian") == "passed"


# --- the corrector, which has no law


def finding(verdict: Verdict, id: str) -> Finding:
    return next(f for f in verdict.findings if f.id == id)


def norms(values: torch.Tensor) -> torch.Tensor:
    return values.square().sum(tuple(range(1, values.ndim)), keepdim=True).sqrt()


def langevin(change: str = "") -> Subject:
    """Algorithm 4 by itself, each item with its own norms, and one thing otherwise."""

    def corrected(
        model: Any, shape: Any, config: ScoreSDE, *, device: torch.device, dtype: torch.dtype
    ) -> torch.Tensor:
        levels = [0.0, *config.sigma.tolist()[1:]]
        x = config.sigma_max * torch.randn(shape, device=device, dtype=dtype)
        kept = torch.randn(shape, device=device, dtype=dtype) if change == "drawn and not used" else None
        for i in range(config.num_steps, 0, -1):
            time = config.time(i)
            for _ in range(config.num_corrector_steps):
                g = model(x, time)
                z = torch.randn_like(x)
                if change == "drawn twice":
                    z = (z + torch.randn_like(x)) / 2**0.5
                step = 2 * (config.snr * norms(z) / norms(g)) ** 2
                if change == "late step" and i == 1:
                    step = 1.01 * step
                x = x + step * g + (2 * step).sqrt() * z
            variance = levels[i] ** 2 - levels[i - 1] ** 2
            if change == "late predictor" and i == 1:
                variance = 1.01 * variance
            x = x + variance * model(x, time)
            if i > 1:
                x = x + variance**0.5 * torch.randn_like(x)
        return x if kept is None else x + 0 * kept

    fields: dict[str, Any] = {"num_steps": 5, "num_corrector_steps": 1, "snr": 0.16}
    return sampler_under_test(ScoreSDE, **fields)(corrected)


def test_a_sound_corrector_is_not_accused_of_having_no_law() -> None:
    verdict = check_sampler(langevin(), budget="quick")
    assert verdict.conforms, [(f.id, f.message) for f in verdict.findings]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3
    for id in ("law/times", "law/initial-noise", "law/noise", "shape/batch", "shape/any", "clip/replay"):
        assert outcome(verdict, id) == "passed", id
    for id in ("law/outputs", "law/offset", "noise/shape"):
        assert outcome(verdict, id) == "skipped", id
        assert "clip/replay decides" in finding(verdict, id).message
    assert "same draws and outputs" in finding(verdict, "clip/replay").message


def test_noise_that_reaches_nothing_is_no_noise() -> None:
    assert check_sampler(langevin("drawn and not used"), budget="quick").conforms


def test_a_second_draw_is_told_with_its_place() -> None:
    verdict = check_sampler(langevin("drawn twice"), budget="quick", diagnose=False)
    assert outcome(verdict, "law/noise") == "failed"
    assert "the reference 10" in finding(verdict, "law/noise").message
    assert "after model call" in finding(verdict, "law/noise").message
    assert finding(verdict, "clip/replay").consequence_of == "law/noise"


@pytest.mark.parametrize("change", ["late step", "late predictor"])
@pytest.mark.sampled(every=2)
def test_one_percent_in_the_last_small_step_is_seen(change: str) -> None:
    # At level 0.01 beside a sample of size 50: only runs in which what came before is silent show it.
    verdict = check_sampler(langevin(change), budget="quick", diagnose=False)
    assert outcome(verdict, "clip/replay") == "failed"
    assert (finding(verdict, "clip/replay").margin or 0) > 3


def test_what_needs_a_law_says_that_there_is_none() -> None:
    with pytest.raises(ValueError, match="not affine in this configuration"):
        respond(langevin(), num_steps=3, num_corrector_steps=1)
    verdict = check_sampler(langevin(), against=langevin(), budget="quick")
    assert not verdict.conforms
    assert "no law to compare with" in finding(verdict, "clip/replay").message
    assert outcome(verdict, "law/outputs") == "skipped"


def test_no_line_of_the_reference_is_named_without_a_law() -> None:
    verdict = check_sampler(langevin("late step"), budget="quick")
    assert verdict.diagnosis is not None
    assert not verdict.diagnosis.exact
    assert verdict.diagnosis.answers == ()
    assert "where the reference has" in verdict.diagnosis.summary


@pytest.mark.slow
def test_a_script_that_shows_the_failure_comes_with_it() -> None:
    verdict = check_sampler(load_subject("fixtures.faulty_samplers.score_sde:step_not_doubled"), budget="quick")
    script = finding(verdict, "clip/replay").reproduction
    assert "check_sampler(load_subject(" in script
    compile(script, "reproduction", "exec")


@pytest.mark.slow
def test_cases_with_a_law_keep_it_beside_cases_without() -> None:
    subject = load_subject("fixtures.sound_samplers.score_sde:corrected_variance_exploding")
    verdict = check_sampler(subject, budget="quick", checks=("law/outputs", "law/noise", "clip/replay"))
    assert outcome(verdict, "law/outputs") == "passed"
    assert "cases are not affine" in finding(verdict, "law/outputs").message


# --- the faults


@pytest.mark.parametrize("faulty", FAULTY_SCORE_SDE, ids=lambda f: f.name)
@pytest.mark.sampled(every=40)
def test_a_faulty_sampler_fails_a_fitting_check(faulty: Faulty) -> None:
    verdict = verdict_of(faulty.subject_path)
    hit = tuple(id for id in faulty.expected if id in failing(verdict))
    assert hit, f"failing: {failing(verdict)}"
    assert margin(verdict, hit) > 3


@pytest.mark.slow
def test_a_draw_ahead_of_its_call_that_ends_unused_is_no_noise() -> None:
    """Euler-Maruyama draws before the score is asked, the reference after: over 63 calls only the last draw is idle."""

    @sampler_under_test(
        ScoreSDE, sde="ve", predictor="euler_maruyama", norms="batch", num_corrector_steps=2, num_steps=21, eps=1e-3
    )
    def euler(model: Any, shape: Any, config: ScoreSDE, *, device: Any, dtype: Any) -> Any:
        sde = released.VESDE(config.sigma_min, config.sigma_max, config.num_steps)
        sample = released.get_pc_sampler(
            sde, shape, released.EulerMaruyamaPredictor, released.LangevinCorrector, lambda x: x, config.snr,
            config.num_corrector_steps, continuous=True, denoise=config.denoise, eps=config.eps or 1e-5, device=device,
        )  # fmt: skip
        return sample(model)[0]

    verdict = check_sampler(euler, budget="quick", diagnose=False, checks=["law/noise", "clip/replay"])
    assert verdict.conforms, [f.message for f in verdict.findings]
