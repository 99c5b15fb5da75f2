"""Samplers in the idioms of NVlabs/edm and guided-diffusion: nothing is written but the name of what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sampler_harness.adapters import guided_diffusion, nvlabs_edm
from sampler_harness.cli import main
from sampler_harness.handing import handed
from sampler_harness.importing import TargetError
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.targets import load_sampler, load_subjects, remarks_of

RELEASED = Path(__file__).parents[2] / "fixtures" / "released"
EDM_FILE, OPENAI_FILE = RELEASED / "edm.py", RELEASED / "guided_diffusion.py"
SLOW = pytest.mark.slow
MAKER = "create_gaussian_diffusion"

#: As EDM2 writes it: a dtype, guidance by a second network, other names.
EDM2 = """
import numpy as np
import torch


def edm_sampler(net, noise, labels=None, gnet=None, num_steps=32, sigma_min=0.002, sigma_max=80, rho=7, guidance=1,
                S_churn=0, S_min=0, S_max=float("inf"), S_noise=1, dtype=torch.float32, randn_like=torch.randn_like):
    def denoise(x, t):
        d = net(x, t, labels).to(dtype)
        return d if guidance == 1 else gnet(x, t).to(dtype).lerp(d, guidance)

    step = torch.arange(num_steps, dtype=dtype, device=noise.device)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    ts = torch.cat([(high + step / (num_steps - 1) * (low - high)) ** rho, torch.zeros(1, dtype=dtype)])
    x_next = noise.to(dtype) * ts[0]
    for i, (t_cur, t_next) in enumerate(zip(ts[:-1], ts[1:])):
        x_hat, t_hat = x_next, t_cur
        if S_churn > 0 and S_min <= t_cur <= S_max:
            t_hat = t_cur + min(S_churn / num_steps, np.sqrt(2) - 1) * t_cur
            x_hat = x_next + (t_hat**2 - t_cur**2).sqrt() * S_noise * randn_like(x_next)
        d_cur = (x_hat - denoise(x_hat, t_hat)) / t_hat
        x_next = x_hat + (t_next - t_hat) * d_cur
        if i < num_steps - 1:
            x_next = x_hat + (t_next - t_hat) * (d_cur + (x_next - denoise(x_next, t_next)) / t_next) / 2
    return x_next


def of_another_idiom(net, latents, steps=3):
    return latents


def with_a_map(net, latents, mask, num_steps=3, sigma_min=0.1, sigma_max=1.0):
    return latents
"""

#: As DiT makes it: the spacing comes first and has no default, the cosine has another name, a learned range is usual.
DIT = """
from fixtures.released.guided_diffusion import create_gaussian_diffusion

NAMES = {"linear": "linear", "squaredcos_cap_v2": "cosine"}


def create_diffusion(timestep_respacing, noise_schedule="linear", predict_xstart=False, sigma_small=False,
                     learn_sigma=True, diffusion_steps=1000):
    if noise_schedule not in NAMES:
        raise NotImplementedError(noise_schedule)
    return create_gaussian_diffusion(
        steps=diffusion_steps, noise_schedule=NAMES[noise_schedule], predict_xstart=predict_xstart,
        sigma_small=sigma_small, learn_sigma=learn_sigma, timestep_respacing=timestep_respacing or "",
    )


def create_fixed(timestep_respacing=""):
    return create_diffusion(timestep_respacing, "squaredcos_cap_v2", predict_xstart=True, learn_sigma=False)


def create_older(timestep_respacing=""):
    made = create_diffusion(timestep_respacing, learn_sigma=False)
    made.model_mean_type = "PREVIOUS_X"
    return made


diffusion = create_diffusion("", sigma_small=True, learn_sigma=False)
spaced = create_diffusion("10", "squaredcos_cap_v2")
prime = create_diffusion("", learn_sigma=False, diffusion_steps=53)
"""


def written(folder: Path, text: str, *changes: tuple[str, str]) -> Path:
    """A file of somebody's own, with something changed in it."""
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path = folder / "theirs.py"
    path.write_text(text, encoding="utf-8")
    return path


def told(verdict: Any) -> list[tuple[str, str]]:
    return [(one.id, one.message) for one in verdict.bad]


# NVlabs/edm


@pytest.mark.parametrize("name", ["edm_sampler", pytest.param("edm_sampler[randn_like]", marks=SLOW)])
def test_a_sound_edm_sampler_conforms(name: str) -> None:
    verdict = check_sampler(load_sampler(f"nvlabs_edm:{EDM_FILE}:{name}"), budget="quick")
    assert verdict.conforms, told(verdict)
    assert verdict.coverage.cases >= 20
    assert verdict.reference == "EDM"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edm_sampler", "edm_sampler[randn_like]"])
def test_a_later_form_conforms(name: str, tmp_path: Path) -> None:
    verdict = check_sampler(load_sampler(f"nvlabs_edm:{written(tmp_path, EDM2)}:{name}"), budget="quick")
    assert verdict.conforms, told(verdict)


@pytest.mark.parametrize(
    ("name", "before", "after", "check"),
    [
        ("edm_sampler", "S_churn / num_steps", "S_churn / (num_steps - 1)", "law/times"),
        pytest.param("edm_sampler", "* S_noise * randn_like", "* randn_like", "law/noise", marks=SLOW),
        pytest.param("edm_sampler", "0.5 * slope + 0.5 *", "0.4 * slope + 0.6 *", "law/outputs", marks=SLOW),
        pytest.param("edm_sampler", "(raised**2 - level**2).sqrt()", "(raised - level)", "law/noise", marks=SLOW),
        pytest.param("edm_sampler", "S_min <= level <= S_max", "level <= S_max", "law/times", marks=SLOW),
        pytest.param("edm_sampler", "if lower > 0:", "if lower > 1:", "law/times", marks=SLOW),
        pytest.param(
            "edm_sampler[randn_like]", "* randn_like(x)", "* torch.randn_like(x)", "noise/generator", marks=SLOW
        ),
    ],
)
def test_a_mistake_in_an_edm_sampler_fails(name: str, before: str, after: str, check: str, tmp_path: Path) -> None:
    path = written(tmp_path, EDM_FILE.read_text(encoding="utf-8"), (before, after))
    verdict = check_sampler(load_sampler(f"nvlabs_edm:{path}:{name}"), budget="quick", diagnose=False)
    assert check in [one.id for one in verdict.bad], told(verdict)


def test_a_file_is_all_that_is_in_the_idiom(tmp_path: Path) -> None:
    path = written(tmp_path, EDM2)
    for target in (f"nvlabs_edm:{path}", f"nvlabs_edm:{path}:all"):
        assert [one.name for one in load_subjects(target)] == ["edm_sampler", "edm_sampler[randn_like]"]
    assert remarks_of(f"nvlabs_edm:{path}") == (
        "edm_sampler: gnet is left at its default: no field stands for it",
        "edm_sampler: guidance is left at its default: no field stands for it",
    )


def test_what_is_said_reaches_function_and_reference_alike(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def sampler(net: Any, latents: Any, num_steps: int = 3, sigma_min: float = 0.1, sigma_max: float = 1.0,
                S_churn: float = 0.0) -> Any:  # fmt: skip
        seen.append({"num_steps": num_steps, "sigma_min": sigma_min, "sigma_max": sigma_max, "S_churn": S_churn})
        return latents

    [subject, _] = nvlabs_edm.subjects(f"{EDM_FILE}:edm_sampler", {"S_churn": "12", "num_steps": "1e1", "rho": "3"})
    assert {name: subject.fields[name] for name in ("s_churn", "num_steps", "rho")} == {
        "s_churn": 12, "num_steps": 10, "rho": 3,
    }  # fmt: skip
    config = subject.reference(num_steps=4, sigma_min=0.5, sigma_max=2.0, s_churn=3.0)
    nvlabs_edm.EdmSampler(sampler)(None, (1, 1), config, device=torch.device("cpu"), dtype=torch.float32)
    assert seen == [{"num_steps": 4, "sigma_min": 0.5, "sigma_max": 2.0, "S_churn": 3.0}]


@pytest.mark.parametrize(
    ("target", "settings", "sentence"),
    [
        ("edm_sampler", {"order": "2"}, "edm_sampler takes no 'order'; it takes labels, gnet, num_steps"),
        ("edm_sampler", {"num_steps": "abc"}, "edm_sampler with num_steps=abc: num_steps must be a whole number"),
        ("edm_sample", {}, "has no function 'edm_sample'; in the idiom it has edm_sampler"),
        ("of_another_idiom", {}, "of_another_idiom is not in the idiom: it takes (net, latents, steps, …) and"),
        ("with_a_map", {}, "with_a_map is not in the idiom: it needs mask, for which it has no default"),
        ("np", {}, "np is not in the idiom: it is a module, not a function"),
    ],
)  # fmt: skip
def test_what_is_no_edm_sampler_is_one_sentence(
    target: str, settings: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(DeclarationError) as caught:
        nvlabs_edm.subjects(f"{written(tmp_path, EDM2)}:{target}", settings)
    assert sentence in str(caught.value)


def test_a_function_needs_its_file() -> None:
    for target in ("nvlabs_edm:edm_sampler", f"guided_diffusion:{MAKER}"):
        with pytest.raises(TargetError, match="write the file or module too"):
            load_subjects(target)


# guided-diffusion


@pytest.mark.parametrize(
    ("loop", "reference"),
    [
        ("p_sample_loop", "DDPM"),
        pytest.param("p_sample_loop[learn_sigma]", "DDPM", marks=SLOW),
        pytest.param("ddim_sample_loop", "DDIM", marks=SLOW),
    ],
)
def test_a_sound_diffusion_conforms(loop: str, reference: str) -> None:
    verdict = check_sampler(load_sampler(f"guided_diffusion:{OPENAI_FILE}:{MAKER}.{loop}"), budget="quick")
    assert verdict.conforms, told(verdict)
    assert verdict.coverage.cases >= 15
    assert verdict.reference == reference


@pytest.mark.slow
@pytest.mark.parametrize("name", ["create_diffusion", "create_fixed", "diffusion", "spaced", "prime"])
def test_other_makers_and_objects_that_are_there_conform(name: str, tmp_path: Path) -> None:
    for subject in guided_diffusion.subjects(f"{written(tmp_path, DIT)}:{name}"):
        verdict = check_sampler(subject, budget="quick")
        assert verdict.conforms, (subject.name, told(verdict))


@pytest.mark.parametrize(
    ("loop", "before", "after", "check"),
    [
        pytest.param("p_sample_loop", "torch.exp(0.5 * out", "torch.exp(out", "law/noise", marks=SLOW),
        pytest.param("p_sample_loop", "_not_last(t, x) * torch.exp", "torch.exp", "law/noise", marks=SLOW),
        pytest.param(
            "p_sample_loop[learn_sigma]", "share = (values + 1) / 2", "share = values", "law/noise", marks=SLOW
        ),
        pytest.param("p_sample_loop", "start.clamp(-1, 1)", "start.clamp(-2, 2)", "clip/replay", marks=SLOW),
        pytest.param(
            "ddim_sample_loop",
            "torch.sqrt(1 - level_next - sigma**2)",
            "torch.sqrt(1 - level_next)",
            "law/outputs",
            marks=SLOW,
        ),
        pytest.param(
            "ddim_sample_loop",
            "eta * torch.sqrt((1 - level_next) / (1 - level))",
            "eta * (1 - level_next) / (1 - level)",
            "law/noise",
            marks=SLOW,
        ),
    ],
)
def test_a_mistake_in_a_diffusion_fails(loop: str, before: str, after: str, check: str, tmp_path: Path) -> None:
    path = written(tmp_path, OPENAI_FILE.read_text(encoding="utf-8"), (before, after))
    verdict = check_sampler(load_sampler(f"guided_diffusion:{path}:{MAKER}.{loop}"), budget="quick", diagnose=False)
    assert check in [one.id for one in verdict.bad], told(verdict)


def test_what_an_object_fixes_is_read_off_it(tmp_path: Path) -> None:
    path = written(tmp_path, DIT)
    [ddpm, ddim] = guided_diffusion.subjects(f"{path}:diffusion")
    assert (ddpm.fields["variance"], ddpm.fields["prediction"]) == ("fixed_small", "epsilon")
    assert ddim.fields["timestep_spacing"] == "leading"
    [spaced, _] = guided_diffusion.subjects(f"{path}:spaced")
    assert spaced.model_channels == 2
    assert spaced.fields["timesteps"][0] == 999
    [prime] = guided_diffusion.subjects(f"{path}:prime.ddim_sample_loop")
    assert (len(prime.fields["betas"]), prime.fields["num_steps"]) == (53, 53)
    [fixed, _] = guided_diffusion.subjects(f"{path}:create_fixed")
    assert (fixed.fields["variance"], fixed.fields["prediction"]) == ("fixed_large", "x0")
    assert len(fixed.fields["betas"]) == 1000


@pytest.mark.parametrize(
    ("target", "settings", "sentence"),
    [
        ("create_diffusion", {"noise_schedule": "linear"}, "is what the reference's beta_schedule says"),
        ("create_diffusion", {"learn_sigma": "true"}, "is a target of its own: create_diffusion.p_sample"),
        ("create_diffusion", {"order": "2"}, "create_diffusion.p_sample_loop has no option 'order'; it has"),
        ("create_diffusion.sample", {}, "sample is none of the loops that are known: p_sample_loop, ddim_sample_loop"),
        ("create_fixed.p_sample_loop[learn_sigma]", {}, "create_fixed has no option learn_sigma"),
        ("create_older", {}, "has no reference: model_mean_type is PREVIOUS_X"),
        ("diffusion", {"beta_schedule": "cosine"}, "beta_schedule is the object's own"),
        ("NAMES", {}, "NAMES is no diffusion (an object with p_sample_loop and ddim_sample_loop) and no function"),
        ("no_such", {}, "has no 'no_such'"),
    ],
)  # fmt: skip
def test_what_is_no_diffusion_is_one_sentence(
    target: str, settings: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(DeclarationError) as caught:
        guided_diffusion.subjects(f"{written(tmp_path, DIT)}:{target}", settings)
    assert sentence in str(caught.value)


# Both


def test_nothing_is_claimed_where_it_is_asked_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert handed(f"nvlabs_edm:{EDM_FILE}:edm_sampler", {"S_churn": 0}).how == "given unit normals"
    target = f"guided_diffusion:{OPENAI_FILE}:{MAKER}"
    assert handed(f"{target}.ddim_sample_loop", {}).how == "given timestep_respacing=num_steps"
    with pytest.raises(TargetError, match="name the loop too"):
        handed(target, {})
    assert main(["--identify", f"nvlabs_edm:{EDM_FILE}:edm_sampler"]) == 0
    assert "Heun" in capsys.readouterr().out
