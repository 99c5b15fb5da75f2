"""The engine: verdicts, declared deviations, comparisons with other samplers and with saved laws."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from fixtures.torch_samplers import under_test
from reference_samplers import DDIM, EDM
from sampler_harness import Subject, check_sampler, judging, respond, sampler_under_test
from sampler_harness.catalogue import check_ids
from sampler_harness.judging import Failure, Judged
from sampler_harness.report.terminal import render, summary_lines
from sampler_harness.runner import Assessment, save_law
from sampler_harness.saved_laws import load_law
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Finding
from tests import small_samplers


def finding(subject: Subject, check: str, **options: Any) -> Finding:
    return Assessment(subject, budget="quick", **options).run(check)


def test_a_sound_sampler_conforms_and_all_is_told() -> None:
    verdict = check_sampler(small_samplers.sound, budget="quick")
    assert verdict.conforms
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3
    assert verdict.count("passed") + verdict.count("skipped") == len(verdict.findings) == len(check_ids())
    assert all(f.message for f in verdict.findings)
    assert verdict.coverage.fields == {"num_steps": "5/5"}
    assert "rho" in verdict.coverage.not_varied
    assert 0 < verdict.coverage.model_calls <= 3000


def test_a_fault_is_named_with_figures_and_the_rest_follows_from_it() -> None:
    verdict = check_sampler(small_samplers.unscaled, budget="quick", diagnose=False)
    assert not verdict.conforms
    causes = [f for f in verdict.findings if f.outcome == "failed" and f.consequence_of is None]
    assert [f.id for f in causes] == ["law/initial-noise"]
    assert causes[0].evidence["got"] == pytest.approx(1.0)
    assert causes[0].evidence["should_be"] == pytest.approx(5.0)
    assert causes[0].evidence["configuration"] == "EDM(num_steps=1, sigma_max=5.0, solver='euler')"
    assert causes[0].margin is not None
    assert causes[0].margin > 3
    follow = [f for f in verdict.findings if f.outcome == "failed" and f.consequence_of is not None]
    assert {f.consequence_of for f in follow} == {"law/initial-noise"}


@pytest.mark.slow
def test_a_reproduction_runs_and_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    root = Path(__file__).parents[2]
    script = finding(small_samplers.unscaled, "law/initial-noise").reproduction
    assert 0 < len(script.splitlines()) <= 15
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert "[1.]" in done.stdout


@pytest.mark.parametrize("blur", [1.0, 1.001])
def test_a_long_chain_is_not_read_where_there_is_no_room_for_it(blur: float) -> None:
    """To read 200 steps from one element takes 160,000 model calls: one run against the reference decides there."""

    @sampler_under_test(EDM, num_steps=200, solver="euler", shapes=[(2, 3, 16, 16), (1, 1, 1, 1)])
    def long(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        return small_samplers.euler(model, shape, config, device, dtype, blur=blur if shape[-1] == 1 else 1.0)

    verdict = check_sampler(long, budget="quick", checks=["shape/any"], diagnose=False)
    [found] = verdict.findings
    assert found.outcome == ("passed" if blur == 1.0 else "failed"), found.message
    assert found.margin is not None
    assert found.margin < 1 / 3 if blur == 1.0 else found.margin > 3
    assert verdict.coverage.model_calls < 5_000
    if blur != 1.0:
        assert "with shape (1, 1, 1, 1)" in found.message


@pytest.mark.parametrize("one_step_fails", [False, True])
def test_grids_that_are_given_entry_by_entry_vary_the_steps_too(one_step_fails: bool) -> None:
    @sampler_under_test(DDIM, timesteps=st.sampled_from([(999, 500, 0), (750, 250), (100,)]))
    def listed(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        if one_step_fails and len(config.timesteps) == 1:
            raise IndexError("index 1 is out of bounds")
        sample: torch.Tensor = under_test.ddim.function(model, shape, config, device=device, dtype=dtype)
        return sample

    [found] = check_sampler(listed, budget="quick", checks=["steps/any"], diagnose=False).findings
    if one_step_fails:
        assert found.outcome == "failed"
        assert found.message.startswith("with 1 step: ")
    else:
        assert (found.outcome, found.message) == ("passed", "holds for 1, 2, 3 steps")


def test_a_long_table_is_told_by_its_ends() -> None:
    betas = tuple(1e-4 + 1e-5 * i for i in range(200))

    @sampler_under_test(DDIM, betas=betas, num_steps=st.integers(1, 5))
    def halved(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        sample: torch.Tensor = under_test.ddim.function(model, shape, config, device=device, dtype=dtype)
        return 0.5 * sample

    [found] = check_sampler(halved, budget="quick", checks=["law/outputs"], diagnose=False).findings
    assert found.outcome == "failed"
    assert "betas=(0.0001, 0.00011, … 0.00209: 200 entries)" in found.message
    assert f"betas={betas!r}" in found.evidence["configuration"]
    assert "betas=tuple(subject.fields['betas'])" in found.reproduction
    assert len(found.message) < 2_000


def test_a_declared_deviation_is_told_and_not_held_against_it() -> None:
    verdict = check_sampler(small_samplers.declared, budget="quick")
    assert verdict.conforms
    expected = [f for f in verdict.findings if f.outcome == "expected"]
    assert "law/initial-noise" in {f.id for f in expected}
    told = {f.id: f.message.splitlines()[0] for f in expected}
    assert told.pop("law/initial-noise") == "declared: intentional, says its author"
    assert set(told.values()) == {"follows from law/initial-noise (declared)"}


def test_a_declared_deviation_that_is_gone_is_a_failure() -> None:
    found = finding(small_samplers.repaired, "law/initial-noise")
    assert found.outcome == "failed"
    assert "remove 'law/initial-noise' from expected_failures" in found.message


def test_a_declared_deviation_does_not_hide_what_a_shape_changes() -> None:
    """The first noise is declared; that one shape has other weights is not."""

    @sampler_under_test(
        EDM,
        **small_samplers.DECLARED,
        shapes=[(2, 3, 16, 16), (2, 3, 8, 8)],
        expected_failures={"law/initial-noise": "intentional, says its author"},
    )
    def square_of_eight(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        blur = 1.01 if shape[-1] == 8 else 1.0
        return small_samplers.euler(model, shape, config, device, dtype, start=0.2, blur=blur)

    found = {f.id: f for f in check_sampler(square_of_eight, budget="quick", diagnose=False).findings}
    assert found["law/initial-noise"].outcome == "expected"
    assert found["shape/any"].outcome == "failed"
    assert "with shape (2, 3, 8, 8)" in found["shape/any"].message


def test_a_declared_deviation_must_not_move() -> None:
    """Held against its past, a sampler is excused for nothing: what is declared is declared of the paper."""
    assert check_sampler(small_samplers.declared_and_moved, budget="quick").conforms
    same = check_sampler(small_samplers.declared, budget="quick", against=small_samplers.declared)
    assert same.conforms
    assert not [f.id for f in same.findings if f.outcome == "expected"]
    found = finding(small_samplers.declared_and_moved, "law/initial-noise", against=small_samplers.declared)
    assert found.outcome == "failed"
    assert found.evidence["got"] == pytest.approx(1.25, rel=1e-5)
    assert found.evidence["should_be"] == pytest.approx(1.0, rel=1e-5)


def test_against_another_implementation() -> None:
    assert check_sampler(small_samplers.sound, budget="quick", against=small_samplers.rewritten).conforms
    found = finding(small_samplers.blurred, "law/outputs", against=small_samplers.rewritten)
    assert found.outcome == "failed"
    assert found.evidence["got"] == pytest.approx(0.05, rel=1e-4)
    assert found.evidence["should_be"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("clip", ["sound", "missing"])
def test_a_clamp_is_held_against_the_reference_where_the_law_is_its_own(clip: str) -> None:
    """A law does not say where a clamp bites: a sampler that clamps is no fault of its own past."""
    fields: dict[str, Any] = {"num_steps": st.integers(1, 5), "clip_denoised": st.booleans()}

    @sampler_under_test(DDIM, **fields)
    def past(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        sample: torch.Tensor = under_test.ddim.function(model, shape, config, device=device, dtype=dtype)
        return sample

    @sampler_under_test(DDIM, **fields)
    def now(model: Any, shape: Any, config: DDIM, *, device: Any, dtype: Any) -> torch.Tensor:
        config = config if clip == "sound" else dataclasses.replace(config, clip_denoised=False)
        sample: torch.Tensor = under_test.ddim.function(model, shape, config, device=device, dtype=dtype)
        return sample

    verdict = check_sampler(now, budget="quick", against=past)
    assert [f.id for f in verdict.findings if f.outcome == "failed"] == ([] if clip == "sound" else ["clip/replay"])


def test_clamps_of_another_law_are_left_out_and_told() -> None:
    @sampler_under_test(DDIM, num_steps=st.integers(1, 5), clip_denoised=st.booleans())
    def halved(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        sample: torch.Tensor = under_test.ddim.function(model, shape, config, device=device, dtype=dtype)
        return 0.5 * sample

    verdict = check_sampler(halved, budget="quick", against=halved)
    assert verdict.conforms
    [replay] = [f for f in verdict.findings if f.id == "clip/replay"]
    assert "with a clamp are left out" in replay.message


def test_a_saved_law_reads_back_to_the_bit_and_is_compared_with(tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    assessment = Assessment(small_samplers.sound, budget="quick")
    assert assessment.verdict().conforms
    save_law(assessment, path)
    saved = load_law(path)
    for entry in saved["cases"]:
        case = next(
            c
            for c in assessment.sampler_evidence.cases
            if repr(c.config) == entry["configuration"]
            and list(c.shape) == entry["shape"]
            and c.dtype == entry["dtype"]
        )
        assert assessment.sampler_evidence.bundle(case).law.to_json() == entry["law"]
    assert json.loads(path.read_text()) == saved
    assert check_sampler(small_samplers.rewritten, budget="quick", against=saved).conforms
    assert finding(small_samplers.unscaled, "law/initial-noise", against=saved).outcome == "failed"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not a saved law"),
        ("[]", "it has no cases"),
        ('{"sampler": "x", "cases": [], "schema_version": 99}', "has schema 99"),
    ],
)
def test_a_broken_law_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "law.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=told):
        load_law(path)
    with pytest.raises(ValueError, match="cannot read"):
        load_law(tmp_path / "none.json")


def test_respond_gives_the_coefficients() -> None:
    response = respond(small_samplers.sound, num_steps=2, sigma_max=5.0, solver="euler")
    assert response.times.tolist() == pytest.approx([5.0, 0.002])
    assert response.noise[:, 0].tolist() == pytest.approx([5.0, 0.002, 0.0], abs=1e-6)
    assert response.outputs[1].tolist() == pytest.approx([1 - 0.002 / 5, 0.0])
    assert np.allclose(response.outputs[2], [0.0, 1.0], atol=1e-6)


def test_respond_tells_what_went_wrong() -> None:
    @sampler_under_test(EDM, num_steps=2)
    def broken(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        return None

    with pytest.raises(ValueError, match="returned NoneType"):
        respond(broken, num_steps=2)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize(
    "target",
    [
        "fixtures.torch_samplers.under_test:flow",
        "fixtures.faulty_samplers.diamond:diamond",
        "fixtures.faulty_samplers.shape:item_one_never_updated",
        "fixtures.faulty_samplers.ddpm:draw_reused",
    ],
)
def test_the_verdict_does_not_depend_on_the_order_of_checks(target: str) -> None:
    forward = Assessment(load_subject(target), budget="quick")
    backward = Assessment(load_subject(target), budget="quick")
    one = [forward.run(i) for i in forward.planned()]
    two = [backward.run(i) for i in reversed(backward.planned())][::-1]
    told = [[(f.id, f.outcome, f.message, f.margin, f.consequence_of) for f in found] for found in (one, two)]
    assert told[0] == told[1]


def test_an_unknown_check_is_refused() -> None:
    with pytest.raises(KeyError):
        Assessment(small_samplers.sound).run("law/everything")


def test_notes_are_told_once_and_fail_nothing() -> None:
    noted = dataclasses.replace(check_sampler(under_test.edm, budget="quick", checks=["law/times"]), beside=("b",))
    findings = tuple(dataclasses.replace(finding, notes=("a", "b")) for finding in noted.findings)
    noted = dataclasses.replace(noted, findings=findings)
    assert noted.conforms
    assert noted.notes == ("a", "b")
    text = [line.text for line in render(noted)]
    assert text[text.index("Worth knowing, although no check fails for it:") + 1 :][:2] == ["  - a", "  - b"]
    assert [line.text for line in summary_lines(noted)].count("  note: a") == 1
    assert "To know" not in " ".join(line.text for line in render(dataclasses.replace(noted, findings=(), beside=())))


def test_a_check_that_passes_may_have_notes() -> None:
    passed = judging.conclude("law/times", [Judged(0.5)], passed="well", tell=fail, why_nothing="", notes=["a"])
    failed = judging.conclude("law/times", [Judged(2.0)], passed="well", tell=fail, why_nothing="", notes=["a"])
    assert (passed.outcome, failed.outcome) == ("passed", "failed")
    assert passed.notes == failed.notes == ("a",)


def fail(failing: list[Judged]) -> Failure:
    return Failure(failing[0].message, {})


@pytest.mark.parametrize("check", ["law/noise", "law/outputs", "law/offset"])
def test_where_the_number_of_calls_differs_no_row_is_said_to_be_right(check: str) -> None:
    @sampler_under_test(EDM, num_steps=3, solver="euler", sigma_max=5.0)
    def once_more(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
        more = dataclasses.replace(config, num_steps=config.num_steps + 1)
        return small_samplers.euler(model, shape, more, device, dtype)

    assert finding(once_more, "law/times").outcome == "failed"
    found = finding(once_more, check)
    assert found.outcome == "error"
    assert found.consequence_of == "law/times"


def test_a_check_that_was_stopped_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's timeout, or Ctrl-C, leaves no finding behind: it must not count as known from then on."""
    subject = dataclasses.replace(small_samplers.sound, expected_failures={"law/times": "known"})
    assessment = Assessment(subject, budget="quick")
    evidence = assessment.evidence
    with monkeypatch.context() as patched:

        def stopped() -> None:
            raise KeyboardInterrupt

        patched.setattr(evidence, "measure", stopped)
        with pytest.raises(KeyboardInterrupt):
            assessment.run("law/times")
    assert assessment._outcome("law/times") == assessment.run("law/times").outcome
