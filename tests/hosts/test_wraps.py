"""Released samplers, wrapped: fifteen lines each, the true verdict, and red for a changed line of the release."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reference_samplers import DDIM, DDPM
from sampler_harness import sampler_under_test
from sampler_harness.adapters.diffusers_deviations import KNOWN_DEVIATIONS
from sampler_harness.runner import check_sampler
from sampler_harness.subject import Subject
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Verdict
from scripts import mutations, release_mutants

from . import findings

FOLDER = Path(__file__).parents[2] / "fixtures" / "wraps"
FILES = sorted(path for path in FOLDER.glob("*.py") if path.stem != "__init__")
LINES = 15

#: Check ids that are declared to fail, or follow from one that is; all other wraps conform without reserve.
EXPECTED = {
    "denoising_diffusion_ddpm": {"state/side-effects"},
}
SOUND = (
    "denoising_diffusion_ddim",
    "denoising_diffusion_ddpm",
    "diamond",
    "edm",
    "flux_flow",
    "guided_ddim",
    "guided_ddpm",
    "guided_ddpm_learned",
    "lcm_pipeline",
    "policy_ddim",
    "policy_ddpm",
    "policy_flow",
    "sd3_flow",
)
#: Those that run a scheduler of diffusers.
WITH_DIFFUSERS = {"flux_flow", "lcm_pipeline", "policy_ddim", "policy_ddpm", "sd3_flow"}

#: One changed line of each release, and the check that must see it: wrap, release, before, after, check.
PLANTS = (
    ("edm", "edm", "S_churn / num_steps", "S_churn / (num_steps - 1)", "law/times"),
    ("edm", "edm", "0.5 * slope + 0.5 * slope_at_end", "slope_at_end", "law/outputs"),
    ("diamond", "diamond", "/ sigma_next) / 2", "/ sigma_next)", "law/outputs"),
    # What is declared of DIAMOND hides nothing else, in the same checks neither.
    ("diamond", "diamond", "** (1 / rho), sigma_max", "** rho, sigma_max", "law/times"),
    ("diamond", "diamond", "if cfg.order != 1 and", "if False and", "law/times"),
    ("diamond", "diamond", "sigma_next * x.new_ones", "sigma_hat * x.new_ones", "law/times"),
    ("diamond", "diamond", "torch.randn(batch, *size", "0.9 * torch.randn(batch, *size", "law/initial-noise"),
    ("diamond", "diamond", "- sigma**2) ** 0.5", "- sigma**2) ** 0.55", "law/noise"),
    ("diamond", "diamond", "return x, trajectory", "return x.bfloat16().float(), trajectory", "precision/dtype"),
    ("guided_ddpm", "guided_diffusion", "_not_last(t, x) * torch.exp", "torch.exp", "law/noise"),
    ("guided_ddpm", "guided_diffusion", "start.clamp(-1, 1)", "start.tanh()", "clip/replay"),
    ("guided_ddpm_learned", "guided_diffusion", "(values + 1) / 2", "values", "law/noise"),
    ("guided_ddim", "guided_diffusion", "sigma = eta * ", "sigma = eta**2 * ", "law/noise"),
    ("denoising_diffusion_ddpm", "denoising_diffusion_pytorch", "if t > 0 else 0.0", "if t > 1 else 0.0", "law/noise"),
    ("denoising_diffusion_ddpm", "denoising_diffusion_pytorch", "(x + 1) * 0.5", "(x + 1) * 0.499", "law/outputs"),
    ("denoising_diffusion_ddim", "denoising_diffusion_pytorch", "noise=True)", "noise=False)", "clip/replay"),
    ("denoising_diffusion_ddim", "denoising_diffusion_pytorch", "if time_next < 0", "if time_next < 20", "law/outputs"),
    ("policy_ddpm", "diffusion_policy", "generator=generator, **kwargs", "**kwargs", "noise/generator"),
    ("policy_ddim", "diffusion_policy", "self.model(trajectory, t,", "self.model(trajectory, t + 1,", "law/times"),
    ("policy_flow", "flow_policy", "i / self.num_steps, 1", "(i + 1) / self.num_steps, 1", "law/times"),
    ("policy_flow", "flow_policy", "x + dt * velocity", "x - dt * velocity", "law/outputs"),
)  # fmt: skip


def wrap_of(name: str) -> tuple[ModuleType, Subject]:
    """The module of a wrap and what it declares."""
    if name in WITH_DIFFUSERS:
        pytest.importorskip("diffusers")
    module = importlib.import_module(f"fixtures.wraps.{name}")
    subject = getattr(module, name)
    assert isinstance(subject, Subject)
    return module, subject


def outcome_of(verdict: Verdict, id: str) -> str:
    """What became of one check."""
    return next(finding.outcome for finding in verdict.findings if finding.id == id)


def put_in(monkeypatch: pytest.MonkeyPatch, module: ModuleType, names: dict[str, Any]) -> None:
    """Let a wrap use another program's names in place of those that it imported."""
    taken = [name for name in names if name in vars(module)]
    assert taken, f"{module.__name__} uses none of {', '.join(names)}"
    for name in taken:
        monkeypatch.setattr(module, name, names[name])


def changed(monkeypatch: pytest.MonkeyPatch, release: str, before: str, after: str) -> dict[str, Any]:
    """The public names of a release with one place of its source changed."""
    original = importlib.import_module(f"fixtures.released.{release}")
    source = inspect.getsource(original)
    assert source.count(before) == 1
    copy = ModuleType(f"{release}_with_a_change")
    monkeypatch.setitem(sys.modules, copy.__name__, copy)  # dataclasses look their module up
    exec(compile(source.replace(before, after), copy.__name__, "exec"), vars(copy))
    return {name: vars(copy)[name] for name in original.__all__}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_wrap_is_short(path: Path) -> None:
    """Everything counts but imports, docstrings, comments, blank lines, and the list of a file's public names."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    uncounted: set[int] = set()
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_list = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if isinstance(node, (ast.Import, ast.ImportFrom)) or is_text or is_list:
            assert isinstance(node, ast.stmt)
            uncounted |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))

    def lines_of(nodes: Sequence[ast.stmt]) -> list[str]:
        places: set[int] = set()
        for node in nodes:
            above = [one.lineno for one in getattr(node, "decorator_list", [])]
            places |= set(range(min([node.lineno, *above]), (node.end_lineno or node.lineno) + 1))
        lines = [text.splitlines()[place - 1].strip() for place in sorted(places - uncounted)]
        return [line for line in lines if line and not line.startswith("#")]

    wraps = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    shared = lines_of([node for node in tree.body if node not in wraps])
    assert wraps
    for wrap in wraps:
        written = [*shared, *lines_of([wrap])]
        assert len(written) <= LINES, "\n".join(written)


def test_every_wrap_of_this_file_is_there_and_told_of() -> None:
    assert {path.stem for path in FILES} >= set(SOUND)
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"{name}.py" in page for name in SOUND)


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.sampled(every=8)
def test_its_verdict_is_true(name: str) -> None:
    _, subject = wrap_of(name)
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
    assert {f.id for f in verdict.findings if f.outcome == "expected"} == EXPECTED.get(name, set())


@pytest.mark.parametrize(("name", "release", "before", "after", "id"), PLANTS)
@pytest.mark.sampled(every=24)
def test_a_changed_line_turns_it_red(
    monkeypatch: pytest.MonkeyPatch, name: str, release: str, before: str, after: str, id: str
) -> None:
    module, subject = wrap_of(name)
    put_in(monkeypatch, module, changed(monkeypatch, release, before, after))
    verdict = check_sampler(subject, budget="quick", diagnose=False, checks=[id])
    assert outcome_of(verdict, id) == "failed"


@pytest.mark.parametrize(
    ("before", "after", "id"),
    [
        ("device=prev_obs.device)  #", "device=prev_obs.device) * self.sigmas[0]  #", "law/initial-noise"),
        ("denoise(x, sigma, stacked", "denoise(x, sigma_hat, stacked", "law/times"),
    ],
)
@pytest.mark.sampled(every=2)
def test_a_repair_of_diamond_is_noticed(monkeypatch: pytest.MonkeyPatch, before: str, after: str, id: str) -> None:
    module, subject = wrap_of("diamond")
    put_in(monkeypatch, module, changed(monkeypatch, "diamond", before, after))
    verdict = check_sampler(subject, budget="quick", diagnose=False, checks=[id])
    found = next(finding for finding in verdict.findings if finding.id == id)
    assert found.outcome == "failed"
    gone = {"law/initial-noise": "initial-noise-unscaled", "law/times": "denoiser-told-level-before-rise"}[id]
    assert found.message.startswith(f"'{gone}' is no longer there: remove it from deviations\n")


def test_a_cosine_schedule_with_eta_one_is_nan_in_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding ``ddp-ddim-eta-one-cosine``, in the stand-in; five steps likewise, ten not."""
    _finding(importlib.import_module("fixtures.released.denoising_diffusion_pytorch"))


def _finding(program: Any) -> None:
    for steps, conforms in ((2, False), (5, False), (10, True)):

        @sampler_under_test(
            DDIM,
            beta_schedule="cosine",
            num_steps=steps,
            timestep_spacing="trailing",
            eta=1.0,
            clip_denoised=True,
            output_scale=0.5,
            output_shift=0.5,
            model_attributes={"channels": 3, "out_dim": 3, "self_condition": False},
            shapes=[(2, 3, 16, 16)],
        )
        def cosine(model: Any, shape: Any, config: DDIM, *, device: Any, dtype: Any) -> Any:
            kind = {"objective": "pred_noise", "beta_schedule": "cosine"}
            spread = {"sampling_timesteps": config.num_steps, "ddim_sampling_eta": config.eta}
            return program.GaussianDiffusion(model, image_size=shape[2:], **kind, **spread).to(device).sample(shape[0])

        verdict = check_sampler(cosine, budget="quick", diagnose=False, checks=["law/times"])
        assert verdict.conforms is conforms
        if not conforms:
            assert "not finite" in verdict.findings[0].message


def test_every_finding_of_a_wrapped_release_has_a_command_that_shows_it() -> None:
    """A command names a target that declares its deviation, or installs the release and runs a test of this file."""
    told = findings.sections()
    for name in set(told) - {deviation.name for deviation in KNOWN_DEVIATIONS}:
        command = findings.command_of(told[name])
        if command[0] == "check-sampler":
            declared: Any = load_subject(command[1])
            assert declared.expected_failures or declared.deviations, name
        else:
            assert command[:2] == ["pip", "install"]
            assert command[-4:] == ["pytest", "tests/hosts/test_wraps.py", "-k", "finding"]


def test_an_always_on_clamp_and_a_shift_hide_no_digit_of_a_sound_sampler() -> None:
    """Noise at the end of a cosine chain is divided by 5e-5, small impulses are added to 1: neither is a mistake."""
    program = importlib.import_module("fixtures.released.denoising_diffusion_pytorch")

    @sampler_under_test(
        DDPM,
        num_train_timesteps=50,
        beta_schedule="cosine",
        clip_denoised=True,
        output_scale=0.5,
        output_shift=0.5,
        model_attributes={"channels": 3, "out_dim": 3, "self_condition": False},
        shapes=[(2, 3, 16, 16)],
    )
    def cosine(model: Any, shape: Any, config: DDPM, *, device: Any, dtype: Any) -> Any:
        kind = {"objective": "pred_noise", "beta_schedule": "cosine", "timesteps": 50}
        return program.GaussianDiffusion(model, image_size=shape[2:], **kind).to(device).sample(shape[0])

    verdict = check_sampler(cosine, budget="quick", diagnose=False)
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]


@pytest.mark.parametrize("name", ["denoising_diffusion_ddpm", "denoising_diffusion_ddim"])
def test_the_real_denoising_diffusion_pytorch_has_the_same_verdict(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = pytest.importorskip("denoising_diffusion_pytorch")
    module, subject = wrap_of(name)
    put_in(monkeypatch, module, {"GaussianDiffusion": real.GaussianDiffusion})
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
    assert {f.id for f in verdict.findings if f.outcome == "expected"} == EXPECTED.get(name, set())


def test_the_real_denoising_diffusion_pytorch_has_the_finding() -> None:
    _finding(pytest.importorskip("denoising_diffusion_pytorch"))


@pytest.mark.parametrize("name", ["guided_ddpm", "guided_ddpm_learned", "guided_ddim"])
def test_the_real_guided_diffusion_has_the_same_verdict(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real = pytest.importorskip("guided_diffusion.gaussian_diffusion")
        respace = pytest.importorskip("guided_diffusion.respace")

    def create(
        *,
        learn_sigma: bool = False,
        sigma_small: bool = False,
        noise_schedule: str = "linear",
        predict_xstart: bool = False,
        rescale_timesteps: bool = False,
        timestep_respacing: str = "",
    ) -> Any:
        fixed = real.ModelVarType.FIXED_SMALL if sigma_small else real.ModelVarType.FIXED_LARGE
        return respace.SpacedDiffusion(
            use_timesteps=respace.space_timesteps(1000, timestep_respacing),
            betas=real.get_named_beta_schedule(noise_schedule, 1000),
            model_mean_type=real.ModelMeanType.START_X if predict_xstart else real.ModelMeanType.EPSILON,
            model_var_type=real.ModelVarType.LEARNED_RANGE if learn_sigma else fixed,
            loss_type=real.LossType.MSE,
            rescale_timesteps=rescale_timesteps,
        )

    module, subject = wrap_of(name)
    put_in(monkeypatch, module, {"create_gaussian_diffusion": create})
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]


def test_each_line_that_runs_is_changed_in_every_way() -> None:
    """What ``make mutants`` tries; lines that do not run are left alone."""
    source = "def step(x, last):\n    if last < 1:\n        return x.clamp(min=-1.0)\n    return 2 * x\n"
    found = {(line, told): ast.unparse(tree) for line, told, tree in mutations.mutants(source, {2, 3})}
    assert "if last <= 1:" in found[2, "Lt is LtE: last < 1"]
    assert "if True:" in found[2, "always: if last < 1:"]
    assert "if last < 2:" in found[2, "1 is 2: 1"]
    assert "min=+1.0" in found[3, "without its minus: -1.0"]
    assert "x.clamp()" in found[3, "without min=: x.clamp(min=-1.0)"]
    assert {line for line, _ in found} == {2, 3}


@pytest.mark.slow
def test_a_change_that_counts_does_not_survive() -> None:
    module, subject = wrap_of("edm")
    release = importlib.import_module("fixtures.released.edm")
    before = release.edm_sampler
    source = inspect.getsource(release)
    changed = ast.parse(source.replace("0.5 * slope +", "0.4 * slope +"))
    assert release_mutants.survives(module, subject, release, ast.parse(source))
    assert not release_mutants.survives(module, subject, release, changed)
    assert vars(module)["edm_sampler"] is before
    lines = release_mutants.lines_that_run(subject, str(release.__file__))
    assert {line for line, text in enumerate(source.splitlines(), 1) if "slope_at_end =" in text} <= lines
