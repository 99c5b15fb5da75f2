"""Samplers in the idiom of k-diffusion: found by their names in any module, held to the references of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sampler_harness.adapters import k_diffusion as adapter
from sampler_harness.adapters.no_reference import NoReference
from sampler_harness.cli import main
from sampler_harness.importing import TargetError
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.targets import load_sampler, load_subject, load_subjects, remarks_of

ROOT = Path(__file__).parents[2]
FILE = ROOT / "fixtures" / "torch_samplers" / "idiom.py"
TARGET = f"k_diffusion:{FILE}"
NAMES = ("sample_dpm_2", "sample_dpm_2_ancestral", "sample_euler", "sample_euler_ancestral", "sample_heun")


def copied(folder: Path, *changes: tuple[str, str]) -> str:
    """A copy of the module, as user interfaces carry one, with something changed in it."""
    text = FILE.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = folder / "sampling.py"
    path.write_text(text, encoding="utf-8")
    return f"k_diffusion:{path}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(every=5)
def test_a_sound_sampler_conforms(name: str) -> None:
    verdict = check_sampler(load_sampler(f"{TARGET}:{name}"), budget="quick")
    assert verdict.conforms, [(one.id, one.message) for one in verdict.bad]
    assert verdict.coverage.cases >= 20
    expected = {"sample_euler": "EDM", "sample_heun": "EDM"}
    reference = expected.get(name, name.removeprefix("sample_").replace("euler", "Euler").replace("dpm_2", "DPM2"))
    assert verdict.reference.replace("Ancestral", "_ancestral") == reference


@pytest.mark.parametrize(
    ("name", "before", "after", "check"),
    [
        ("sample_heun", "+ _slope(model, ahead, sigmas[i + 1], extra_args)[0]) / 2", "+ slope) / 2", "law/times"),
        ("sample_euler", "(1 + gamma)", "(1 + gamma / 2)", "law/times"),
        ("sample_euler_ancestral", "* s_noise * up", "* s_noise * up**2", "law/noise"),
        ("sample_dpm_2", "(sigma * sigmas[i + 1]).sqrt()", "(sigma + sigmas[i + 1]) / 2", "law/times"),
        ("sample_dpm_2_ancestral", "x + slope * (middle - sigma), middle", "x, middle", "law/outputs"),
        ("sample_euler_ancestral[noise_sampler]", "if noise_sampler is None else", "if True else", "noise/generator"),
        ("sample_euler_ancestral", "torch.randn_like(x) if noise", "torch.rand_like(x) if noise", "noise/shape"),
    ],
)
@pytest.mark.sampled(every=7)
def test_a_copy_with_a_mistake_fails(name: str, before: str, after: str, check: str, tmp_path: Path) -> None:
    verdict = check_sampler(load_sampler(f"{copied(tmp_path, (before, after))}:{name}"), budget="quick", diagnose=False)
    assert check in [one.id for one in verdict.bad], [(one.id, one.message) for one in verdict.bad]


def test_a_module_is_all_that_it_has_a_reference_for(capsys: pytest.CaptureFixture[str]) -> None:
    for target in (TARGET, f"{TARGET}:all", "k_diffusion:fixtures.torch_samplers.idiom:all"):
        handed = [f"{name}[noise_sampler]" for name in NAMES if name.endswith("ancestral")]
        assert sorted(one.name for one in load_subjects(target)) == sorted([*NAMES, *handed])
    assert remarks_of(TARGET) == (
        "not decided (there is no reference of that name yet): sample_two_histories",
        "not decided (it takes (model, x, sigma_min, sigma_max, …) and not (model, x, sigmas, …)): sample_adaptive",
    )
    with pytest.raises(TargetError, match="holds 7 samplers: name one of them"):
        load_subject(TARGET)
    assert main([f"{TARGET}:sample_two_histories"]) == 2
    told = capsys.readouterr().err
    assert "sample_two_histories has no reference: there is no reference of that name yet; hold it against" in told


def test_a_copy_is_held_against_another_where_there_is_no_reference(tmp_path: Path) -> None:
    assert load_sampler(f"{TARGET}:sample_two_histories").reference is NoReference
    name, target = "sample_two_histories", f"{TARGET}:sample_two_histories"
    assert main([f"{copied(tmp_path)}:{name}", "--against", target, "--budget", "quick"]) == 0
    other = tmp_path / "other"
    other.mkdir()
    wrong = copied(other, ("0.5 * before", "0.4 * before"))
    assert main([f"{wrong}:{name}", "--against", target, "--budget", "quick"]) == 1


@pytest.mark.parametrize(
    ("target", "settings", "told"),
    [
        ("sample_heun", {"order": "2"}, "sample_heun has no option 'order'; it has s_churn, s_tmin"),
        ("sample_heun", {"x": "2"}, "sample_heun has no option 'x'"),
        ("sample_heun", {"num_steps": "abc"}, "sample_heun with num_steps=abc: num_steps must be a whole number"),
        ("sample_heun", {"sigma_min": "90"}, "sample_heun with sigma_min=90: "),
        ("sample_heun[noise_sampler]", {}, "sample_heun takes no noise_sampler"),
        ("sample_heun", {"solver": "euler"}, "sample_heun is solver='heun': another function is not"),
        ("sample_hewn", {}, "has no function 'sample_hewn'; it has sample_euler"),
        ("sample_adaptive", {}, "sample_adaptive is not in the idiom"),
        ("all", {"eta": "0.5"}, "--set eta=0.5 is for one function"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(target: str, settings: dict[str, str], told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        adapter.subjects(f"{FILE}:{target}", settings)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("class sample_euler: ...", "it is a class, not a function"),
        ("import functools\nsample_euler = functools.partial(print)", "it is a partial, not a function"),
        ("async def sample_euler(model, x, sigmas): ...", "it does not return a sample but a coroutine"),
        ("def sample_euler(*args, **kw): ...", "it takes (*args, **kw, …) and not (model, x, sigmas, …)"),
        ("def sample_euler(model, x, sigmas, scale): ...", "it needs scale, for which it has no default"),
        ("sample_eule = 3", "has no function 'sample_euler'; it has none whose name begins with sample_"),
    ],
)
def test_what_is_no_function_of_the_idiom_is_told_as_what_it_is(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "odd_sampling.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError) as caught:
        adapter.subjects(f"{path}:sample_euler")
    assert told in str(caught.value)


def test_a_place_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(TargetError, match="there is no module 'no_such_ui'"):
        load_subject("k_diffusion:no_such_ui.sampling:sample_heun")


def test_another_default_is_told(tmp_path: Path) -> None:
    target = copied(tmp_path, ("    eta: float = 1.0,", "    eta: float = 0.5,"))
    told = "sample_euler_ancestral: eta is 0.5 where nobody says it, and 1.0 in k-diffusion"
    assert told in remarks_of(f"{target}:sample_euler_ancestral")


def test_options_reach_function_and_reference_alike() -> None:
    seen: list[dict[str, Any]] = []

    def sample_euler_ancestral(model: Any, x: Any, sigmas: Any, eta: float = 1.0, s_noise: float = 1.0) -> Any:
        seen.append({"eta": eta, "s_noise": s_noise, "sigmas": sigmas.tolist()})
        return x

    subject = load_sampler(f"{TARGET}:sample_euler_ancestral", {"eta": "0.25", "num_steps": "2"})
    assert {subject.fields["eta"], subject.fields["num_steps"]} == {0.25, 2}
    config = subject.reference(eta=0.25, num_steps=2, sigma_min=0.5, sigma_max=2.0)
    run = adapter.IdiomSampler(sample_euler_ancestral, ("eta", "s_noise"))
    run(None, (1, 1, 2, 2), config, device=torch.device("cpu"), dtype=torch.float32)
    assert seen == [{"eta": 0.25, "s_noise": 1.0, "sigmas": [2.0, 0.5, 0.0]}]
