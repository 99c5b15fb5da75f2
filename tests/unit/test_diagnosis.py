"""The diagnosis: the wrong line as a diff, the field that has another value, and silence where nothing is wrong."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from fixtures.faulty_samplers import diamond
from fixtures.faulty_samplers.other_values import OTHER_VALUES, OtherValue
from fixtures.faulty_samplers.parts import FEW_STEPS
from fixtures.sound_samplers import unusual
from fixtures.torch_samplers import under_test
from reference_samplers import DDIM, DDPM, EDM
from sampler_harness import sampler_under_test
from sampler_harness.cli import main
from sampler_harness.diagnosis.edited_text import edited_text
from sampler_harness.diagnosis.known_faults import Replacement
from sampler_harness.diagnosis.mutations import mutations
from sampler_harness.diagnosis.search import Search
from sampler_harness.diagnosis.target import run_program
from sampler_harness.law.program import Program, Trace
from sampler_harness.plugin.told import Told
from sampler_harness.report.json import to_json
from sampler_harness.report.terminal import diagnosis_lines
from sampler_harness.runner import check_sampler
from sampler_harness.subject import Subject
from sampler_harness.targets import load_sampler
from sampler_harness.verdict import Diagnosis, Verdict
from tests import small_samplers

pytest_plugins = ["pytester"]

INITIAL = "reference_samplers/edm.py", "x: Array = self.initial_std * noise()  # line 2", "x: Array = noise()  # line 2"
TOLD = (
    "reference_samplers/edm.py",
    "d_cur = (x_hat - denoised(x_hat, sigma_hat)) / sigma_hat  # line 7",
    "d_cur = (x_hat - denoised(x_hat, sigma_cur)) / sigma_hat  # line 7",
)


def diagnosed(subject: Subject, **options: Any) -> tuple[Verdict, Diagnosis]:
    verdict = check_sampler(subject, budget="quick", **options)
    assert verdict.diagnosis is not None, verdict
    assert "failed with" not in verdict.diagnosis.searched
    return verdict, verdict.diagnosis


def edits(diagnosis: Diagnosis) -> set[tuple[str, str, str]]:
    return {(edit.file, edit.reference, edit.sampler) for edit in diagnosis.answers[0].edits}


# DIAMOND's released sampler


def released(**fields: Any) -> Subject:
    """The transcription under other declarations."""
    declared = {"num_steps": FEW_STEPS, "sigma_max": 5.0, "solver": "heun", "s_churn": 2.0, **fields}
    return sampler_under_test(EDM, **declared)(diamond.diamond.function)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {INITIAL, TOLD}),
        ({"solver": "euler"}, {INITIAL, TOLD}),
        ({"solver": st.sampled_from(["euler", "heun"]), "s_churn": st.floats(0, 4)}, {INITIAL, TOLD}),
        ({"s_churn": 0.0}, {INITIAL}),
        ({"solver": "euler", "s_churn": 0.0}, {INITIAL}),
        ({"expected_failures": {"law/initial-noise": "intentional"}}, {TOLD}),
    ],
    ids=["heun", "euler", "both", "no-churn", "euler-no-churn", "first-declared"],
)
@pytest.mark.slow
def test_diamonds_lines_are_named(fields: dict[str, Any], expected: set[tuple[str, str, str]]) -> None:
    _, diagnosis = diagnosed(released(**fields))
    assert diagnosis.exact
    assert edits(diagnosis) == expected
    declared = {(e.file, e.reference, e.sampler) for one in diagnosis.declared for e in one.edits}
    assert declared == ({INITIAL} if "expected_failures" in fields else set())


@pytest.mark.slow
def test_the_same_diagnosis_every_time() -> None:
    one, other = (diagnosed(released())[1] for _ in range(2))
    assert dataclasses.replace(one, seconds=0) == dataclasses.replace(other, seconds=0)


# Another value of a field


@pytest.mark.parametrize("other", OTHER_VALUES[::3], ids=lambda other: other.name)
@pytest.mark.sampled(every=20)
def test_a_field_with_another_value_is_named(other: OtherValue) -> None:
    _, diagnosis = diagnosed(other.subject())
    assert diagnosis.exact
    assert names(diagnosis, other), diagnosis.summary


def names(diagnosis: Diagnosis, other: OtherValue) -> bool:
    """Whether the first answer is this field with this value, continuous ones to three digits."""
    answer = diagnosis.answers[0]
    if answer.edits and other.field != "initial_scale":
        return False
    if other.field == "initial_scale" and other.value == 1.0:
        return bool(answer.edits) or answer.config == {"initial_scale": 1.0}
    if set(answer.config) != {other.field}:
        return False
    value = answer.config[other.field]
    if other.is_shift:
        return f"declared + {other.value}" == str(value)
    if isinstance(value, str) and " to " in value:  # a window's edge lies between two levels
        low, high = (float(part) for part in value.split(" to "))
        return bool(low <= other.value <= high)
    if isinstance(other.value, float):
        return abs(float(value) - other.value) <= 5e-4 * abs(other.value)
    return repr(value) == repr(other.value)


@pytest.mark.slow
def test_another_reference_is_named() -> None:
    """Declared DDPM, and DDIM is run."""

    @sampler_under_test(DDPM, num_train_timesteps=40, num_steps=st.integers(2, 6))
    def implicit(model: Any, shape: Any, config: DDPM, *, device: Any, dtype: Any) -> Any:
        shared = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name != "variance"}
        return under_test.ddim.function(model, shape, DDIM(**shared, eta=0.5), device=device, dtype=dtype)

    _, diagnosis = diagnosed(implicit)
    assert diagnosis.exact
    assert diagnosis.answers[0].reference == "DDIM"
    assert diagnosis.answers[0].config["eta"] == 0.5


# Silence


def test_a_conforming_sampler_has_no_diagnosis() -> None:
    """Of all that is sound this is asked in ``tests/bank``."""
    for subject in (small_samplers.sound, unusual.declared_output_clip):
        verdict = check_sampler(subject, budget="quick")
        assert verdict.conforms
        assert verdict.diagnosis is None


@pytest.mark.slow
def test_a_declared_deviation_alone_has_no_diagnosis() -> None:
    verdict = check_sampler(
        released(
            s_churn=0.0,
            num_steps=st.integers(1, 6),
            expected_failures={"law/initial-noise": "intentional"},
        ),
        budget="quick",
    )
    assert verdict.diagnosis is None or not verdict.conforms


@pytest.mark.slow
def test_no_diagnosis_against_another_sampler_and_where_it_is_not_wanted() -> None:
    asked: dict[str, Any] = {"budget": "quick", "checks": ["law/initial-noise"]}
    for unwanted in ({"diagnose": False}, {"against": small_samplers.sound}):
        verdict = check_sampler(small_samplers.unscaled, **asked, **unwanted)
        assert not verdict.conforms
        assert verdict.diagnosis is None


# What no edit expresses


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("fixtures.faulty_samplers.edm:nan_into_zero", "mul is given nan as operand 1"),
        ("fixtures.faulty_samplers.ddpm:log_variance_square_rooted", "sqrt makes NaN out of numbers"),
        ("fixtures.faulty_samplers.clip:quantised_by_truncation", "truncates to steps of"),
        ("fixtures.faulty_samplers.ddpm:noise_shared_by_batch", "after model call 0): items 0, 1 share it"),
        ("fixtures.faulty_samplers.shape:divided_by_batch_spread", "items of a batch are coupled"),
        ("fixtures.faulty_samplers.state:running_sum_survives", "something is left over from the earlier run"),
        ("fixtures.faulty_samplers.ddim:add_noise_ignores_noise", "noise"),
    ],
)
@pytest.mark.sampled(every=7)
def test_what_no_edit_expresses_is_told_from_its_own_evidence(path: str, words: str) -> None:
    _, diagnosis = diagnosed(load_sampler(path))
    assert not diagnosis.exact
    assert not diagnosis.answers
    assert words in " ".join(diagnosis.observed)


# How it is told


@pytest.mark.slow
def test_the_diff_stands_in_terminal_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict, diagnosis = diagnosed(released())
    text = "\n".join(line.text for line in diagnosis_lines(diagnosis))
    for row in ("-            d_cur = (x_hat - denoised(x_hat, sigma_hat)) / sigma_hat  # line 7", "Sure:", "variance"):
        assert row in text
    data = json.loads(json.dumps(to_json(verdict)))["diagnosis"]
    assert data["exact"] is True
    assert {edit["equation"] for edit in data["edits"]} == {"line 2", "line 7"}
    assert all(edit["line"] > 0 for edit in data["edits"])
    file = tmp_path / "verdict.json"
    target = str(Path("fixtures/faulty_samplers/edm.py").resolve()) + ":initial_noise_unscaled"
    assert main([target, "--budget", "quick", "--json", str(file)]) == 1
    assert "What your sampler does instead" in capsys.readouterr().out
    assert json.loads(file.read_text())[0]["diagnosis"]["exact"] is True


def test_without_its_budget_a_search_says_that_it_ended_early() -> None:
    from sampler_harness.checks.evidence import Evidence
    from sampler_harness.diagnosis.diagnose import targets_of

    evidence = Evidence(load_sampler("fixtures.faulty_samplers.edm:denoiser_at_sigma_after_churn"), budget="quick")
    targets = [t for t in targets_of(evidence) if t.reference_ratio > 1]
    found = Search(EDM, targets, budget=40, faults=()).run()
    assert not found.ended
    assert not found.exact


@pytest.mark.slow
def test_the_page_shows_the_diff_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    target = str(Path("fixtures/faulty_samplers/edm.py").resolve()) + ":denoiser_at_sigma_after_churn"
    page = tmp_path / "page.html"
    assert main([target, "--budget", "quick", "--html", str(page)]) == 1
    text = page.read_text(encoding="utf-8")
    assert '<span class="gone">-            d_cur = (x_hat - denoised(x_hat, sigma_hat))' in text
    assert '<span class="come">+            d_cur = (x_hat - denoised(x_hat, sigma_cur))' in text
    assert "It happened before" in text
    assert "<script" not in text
    assert "<link" not in text
    assert main([target, "--budget", "quick", "--no-diagnosis", "--html", str(page)]) == 1
    assert "What your sampler does instead" not in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_page_of_a_sound_and_a_faulty_sampler(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    folder = Path("fixtures").resolve()
    targets = [f"{folder}/torch_samplers/under_test.py:flow", f"{folder}/faulty_samplers/edm.py:nan_into_zero"]
    page = tmp_path / "page.html"
    assert main([*targets, "--budget", "quick", "--html", str(page)]) == 1
    text = page.read_text(encoding="utf-8")
    assert "1 of 2 conform" in text
    assert "mul is given nan as operand 1" in text


# The program that is edited


@pytest.mark.parametrize(
    "config",
    [
        EDM(num_steps=4, s_churn=2.0),
        DDPM(num_train_timesteps=50, num_steps=4),
        DDIM(num_train_timesteps=50, num_steps=4, eta=0.5, prediction="v"),
    ],
    ids=lambda config: type(config).__name__,
)
@pytest.mark.sampled(every=3)
def test_an_edit_in_the_text_is_the_edit_that_was_measured(config: Any) -> None:
    """Every seventh edit, written out, read again and measured again."""
    program, trace = Program(type(config)), Trace()
    limits: dict[str, Any] = {"max_calls": 24, "max_draws": 24}
    with np.errstate(all="ignore"):
        program.traced(lambda: run_program(program.configured(config), **limits), trace)
        seen = 0
        for number, mutation in enumerate(mutations(program, trace)):
            if number % 7:
                continue
            file = mutation.function.place.file
            before = ast.dump(mutation.function.node)
            with mutation.applied():
                try:
                    with program.edited(mutation.function):
                        measured = run_program(program.configured(config), **limits).response
                except (SyntaxError, ValueError, TypeError, AttributeError):
                    continue
            assert ast.dump(mutation.function.node) == before
            text = edited_text(program.text(file), mutation)
            assert text != program.text(file)
            again = run_program(Program(type(config), texts={file: text}).configured(config), **limits).response
            assert (measured is None) == (again is None)
            if measured is not None and again is not None:
                assert np.array_equal(measured.outputs, again.outputs)
                assert np.array_equal(measured.times, again.times)
                assert np.array_equal(measured.noise, again.noise)
            seen += 1
        assert seen > 50


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ramp = np.linspace(0.0, 1.0, num_steps)  # i / (N - 1)", "ramp = np.linspace(0.0, 1.0, 10**9)"),
        ("ramp = np.linspace(0.0, 1.0, num_steps)  # i / (N - 1)", "ramp = np.linspace(0.0, 1.0, num_steps * 50)"),
        ("return np.append(sigmas, 0.0)", "return np.append(sigmas, float('nan'))"),
        ("return np.append(sigmas, 0.0)", "raise SystemError"),
    ],
    ids=["billions", "too-many-calls", "nan", "raises"],
)
def test_a_program_that_runs_wild_has_no_law(before: str, after: str) -> None:
    edit = Replacement("reference_samplers/grids/sigmas.py", before, after)
    program = Program(EDM, [edit])
    with np.errstate(all="ignore"):
        outcome = run_program(program.configured(EDM(num_steps=5)), max_calls=28, max_draws=28)
    assert outcome.response is None


def test_what_is_edited_leaves_everybody_elses_references_alone() -> None:
    edit = Replacement("reference_samplers/grids/sigmas.py", "return np.append(sigmas, 0.0)", "return sigmas")
    program = Program(EDM, [edit])
    assert len(program.configured(EDM(num_steps=5)).sigma_grid) == 5
    assert len(EDM(num_steps=5).sigma_grid) == 6
    with pytest.raises(ValueError, match="stands 0 times"):
        Program(EDM, [dataclasses.replace(edit, before="no such text")])
    with pytest.raises(ValueError, match="no reference whose source"):
        Program(Path)


# In pytest


@pytest.mark.slow
def test_a_diagnosis_survives_the_way_between_processes() -> None:
    verdict, diagnosis = diagnosed(released())
    verdict = dataclasses.replace(verdict, findings=())
    assert verdict.diagnosis == diagnosis
    assert Told.from_text(Told("node", "law/times", verdict).as_text()).verdict == verdict


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two-workers"])
@pytest.mark.slow
def test_pytest_tells_the_diagnosis_once(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(
        """
        import torch
        from itertools import pairwise
        from hypothesis import strategies as st
        from reference_samplers import EDM
        from sampler_harness import sampler_under_test

        @sampler_under_test(EDM, num_steps=st.integers(1, 8), solver="euler")
        def mine(model, shape, config, *, device, dtype):
            x = torch.randn(shape, device=device, dtype=dtype)
            for sigma, after in pairwise(config.sigma_grid.tolist()):
                x = x + (after - sigma) * (x - model(x, torch.full((shape[0],), sigma, dtype=dtype))) / sigma
            return x
        """
    )
    options = ("-p", "no:randomly", *workers)
    told = pytester.runpytest_subprocess(*options).stdout.str()
    assert told.count("What your sampler does instead") == 1
    assert "-        x: Array = self.initial_std * noise()  # line 2" in told
    silent = pytester.runpytest_subprocess(*options, "--sampler-no-diagnosis").stdout.str()
    assert "What your sampler does instead" not in silent
