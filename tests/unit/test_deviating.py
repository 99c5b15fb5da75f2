"""Deviations that are meant: a sampler is held against the reference with these in it, and nothing else may differ."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from fixtures.faulty_samplers import diamond as released
from fixtures.torch_samplers import under_test
from reference_samplers import DDIM, EDM
from sampler_harness import Subject, check_sampler, sampler_under_test
from sampler_harness.cli import main
from sampler_harness.diagnosis.deviating import deviating_standard
from sampler_harness.report.json import to_json
from sampler_harness.report.terminal import render
from sampler_harness.subject import DeclarationError
from sampler_harness.verdict import Verdict
from tests import small_samplers

BOTH = {"initial-noise-unscaled": "says its author", "denoiser-told-level-before-rise": "off by default"}
ONE = {"initial-noise-unscaled": "says its author"}


def meant(subject: Subject, deviations: dict[str, str]) -> Subject:
    return dataclasses.replace(subject, deviations=deviations)


def failed(verdict: Verdict) -> list[str]:
    return [f.id for f in verdict.findings if f.outcome in ("failed", "error") and f.consequence_of is None]


def unscaled(**changes: Any) -> Subject:
    """Euler's method from a first noise that is not scaled; what may be wrong beside it is planted."""

    @sampler_under_test(EDM, **small_samplers.DECLARED, deviations=ONE)
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> torch.Tensor:
        return small_samplers.euler(model, shape, config, device, dtype, **{"start": 1 / config.sigma_max, **changes})

    return sampler


def test_the_released_sampler_is_the_paper_with_both() -> None:
    verdict = check_sampler(meant(released.diamond, BOTH), budget="quick")
    assert verdict.conforms
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3
    assert verdict.deviations == BOTH
    assert not [f.id for f in verdict.findings if f.outcome == "expected"]
    text = "\n".join(line.text for line in render(verdict))
    assert text.startswith("diamond conforms to EDM, but for 2 declared deviations\n")
    assert "initial-noise-unscaled\n      says its author\n" in text
    assert to_json(verdict)["deviations"] == BOTH


@pytest.mark.slow
def test_one_of_two_is_not_enough() -> None:
    verdict = check_sampler(meant(released.diamond, ONE), budget="quick")
    assert failed(verdict) == ["law/times"]
    assert verdict.diagnosis is not None
    assert "denoiser-told-level-before-rise" in verdict.diagnosis.summary
    text = "\n".join(line.text for line in render(verdict))
    assert "diamond does not conform to EDM with 1 declared deviation: " in text


@pytest.mark.slow
def test_the_diagnosis_says_what_to_declare() -> None:
    text = " ".join(line.text.strip() for line in render(check_sampler(released.diamond, budget="quick")))
    assert (
        "If this is intended, and nothing else may differ, declare it: "
        'deviations={"initial-noise-unscaled": "why", "denoiser-told-level-before-rise": "why"}'
    ) in text


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"start": 0.25}, "law/initial-noise"),  # another first noise than the declared one
        ({"blur": 1.001}, "law/outputs"),
    ],
)
def test_it_hides_nothing_else(changes: dict[str, float], check: str) -> None:
    assert check_sampler(unscaled(), budget="quick").conforms
    verdict = check_sampler(unscaled(**changes), budget="quick", diagnose=False)
    assert failed(verdict) == [check]
    [found] = [f for f in verdict.findings if f.id == check]
    assert found.margin is not None
    assert found.margin > 3
    assert "(what it should be has initial-noise-unscaled in it)" in found.message


def test_one_that_is_mended_is_to_be_removed() -> None:
    verdict = check_sampler(unscaled(start=1.0), budget="quick", diagnose=False)
    assert failed(verdict) == ["law/initial-noise"]
    [found] = [f for f in verdict.findings if f.id == "law/initial-noise"]
    assert found.message.startswith("'initial-noise-unscaled' is no longer there: remove it from deviations\n")


def test_against_its_own_past_it_is_of_no_account() -> None:
    verdict = check_sampler(unscaled(), budget="quick", against=unscaled())
    assert verdict.conforms
    assert verdict.deviations == {}


def test_clamps_are_left_out_and_told() -> None:
    """The law of an edited reference does not say where its clamps bite."""

    @sampler_under_test(
        DDIM,
        num_steps=st.integers(1, 5),
        eta=st.floats(0, 1),
        clip_denoised=st.booleans(),
        deviations={"eta-squared": "an example"},
    )
    def squared(model: Any, shape: Any, config: DDIM, *, device: Any, dtype: Any) -> torch.Tensor:
        config = dataclasses.replace(config, eta=config.eta**2)
        sample: torch.Tensor = under_test.ddim.function(model, shape, config, device=device, dtype=dtype)
        return sample

    verdict = check_sampler(squared, budget="quick")
    assert verdict.conforms, failed(verdict)
    [replay] = [f for f in verdict.findings if f.id == "clip/replay"]
    assert "with a clamp are left out" in replay.message


@pytest.mark.parametrize(
    ("deviations", "told"),
    [
        ({"initial-noise-unscald": "x"}, "no known fault of EDM: did you mean 'initial-noise-unscaled'?"),
        ({"posterior-variance-not-divided": "x"}, "which is no known fault of EDM"),
        # A corrector, where none is declared.
        ({"slopes-added": "x"}, "'slopes-added', which changes nothing in the configurations that are declared"),
        ({**ONE, "initial-noise-scaled-twice": "x"}, "which changes a line that another of them changes"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(deviations: dict[str, str], told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        deviating_standard(meant(small_samplers.sound, deviations))
    assert told in str(caught.value)


def test_a_wrong_name_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sound_file: str
) -> None:
    with pytest.raises(DeclarationError, match="did you mean 'initial-noise-unscaled'"):
        check_sampler(meant(small_samplers.sound, {"initial-noise-unscald": "x"}), budget="quick")
    monkeypatch.chdir(tmp_path)
    wrong = sound_file.replace("**GRID)", '**GRID, deviations={"initial-noise-unscald": "x"})')
    Path("wrong.py").write_text(wrong, encoding="utf-8")
    assert main(["wrong.py", "--budget", "quick"]) != 0
    told = capsys.readouterr()
    assert "did you mean 'initial-noise-unscaled'?" in told.out + told.err
    assert "Traceback" not in told.out + told.err


def test_pytest_tells_a_wrong_name_without_a_traceback(pytester: pytest.Pytester, sound_file: str) -> None:
    wrong = sound_file.replace("**GRID)", '**GRID, deviations={"initial-noise-unscald": "x"})')
    pytester.makepyfile(test_sampler=wrong)
    result = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:xdist", "-k", "law/times")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*did you mean 'initial-noise-unscaled'?*"])
    assert "deviating.py" not in result.stdout.str()
