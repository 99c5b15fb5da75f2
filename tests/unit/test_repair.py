"""The single edit of a sampler's own lines that makes it right: found, told as it is written, and never made up."""

from __future__ import annotations

import contextlib
import functools
import gc
import linecache
import shutil
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from reference_samplers import EDM
from sampler_harness import check_sampler, sampler_under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.repair.search import repairs_of
from sampler_harness.report.json import to_json
from sampler_harness.report.terminal import diagnosis_lines
from sampler_harness.subject import Subject
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Diagnosis, Repair

DECLARED: dict[str, Any] = {"num_steps": st.integers(1, 6), "sigma_max": 5.0, "solver": "euler"}
TEXT = Path(__file__).read_text(encoding="utf-8").splitlines()


def levels(config: EDM) -> list[float]:
    """The Karras grid."""
    n, r = config.num_steps, 1 / config.rho
    top, bottom = config.sigma_max**r, config.sigma_min**r
    return [(top + i / max(n - 1, 1) * (bottom - top)) ** config.rho for i in range(n)] + [0.0]


def told(sigma: float) -> torch.Tensor:
    return torch.tensor(sigma, dtype=torch.float64)


@sampler_under_test(EDM, **DECLARED)
def _sound(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x + (after - sigma) * (x - model(x, told(sigma))) / sigma
    return x


@sampler_under_test(EDM, **DECLARED)
def _another_sign(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        slope = (x + model(x, told(sigma))) / sigma
        x = x + (after - sigma) * slope
    return x


def bent_levels(config: EDM) -> list[float]:
    n, r = config.num_steps, 1 / config.rho
    top, bottom = config.sigma_max**r, config.sigma_min**r
    return [(top + i / max(n - 1, 1) * (bottom - top)) ** config.rho for i in range(n)] + [0.0101]


@sampler_under_test(EDM, **DECLARED)
def _another_end(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = bent_levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x + (after - sigma) * (x - model(x, told(sigma))) / sigma
    return x


@sampler_under_test(EDM, **DECLARED)
def _steps_from_the_first_level(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    table = torch.tensor(grid)
    steps = table[1:] - table[:1]
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, step in zip(grid, steps, strict=False):
        x = x + step.to(dtype) * (x - model(x, told(sigma))) / sigma
    return x


@sampler_under_test(EDM, **DECLARED)
def _twice_wrong(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    x = grid[0] * 1.3 * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x + (after - sigma) * (x - 0.9 * model(x, told(sigma))) / sigma
    return x


@sampler_under_test(EDM, **DECLARED)
def _in_a_loop_with_a_condition(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    step = 0
    while step < config.num_steps:
        sigma, after = grid[step], grid[step + 1]
        x = x - (after - sigma) * (x - model(x, told(sigma))) / sigma
        step += 1
    return x


@functools.lru_cache
def kept_levels(config: EDM) -> tuple[float, ...]:
    n, r = config.num_steps, 1 / config.rho
    top, bottom = config.sigma_max**r, config.sigma_min**r
    return (*((top - i / max(n - 1, 1) * (bottom - top)) ** config.rho for i in range(n)), 0.0)


@sampler_under_test(EDM, **DECLARED)
def _with_a_table_that_is_kept(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = kept_levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x + (after - sigma) * (x - model(x, told(sigma))) / sigma
    return x


class Base:
    """What a step goes by."""

    def slope(self, x: torch.Tensor, denoised: torch.Tensor, sigma: float) -> torch.Tensor:
        return (x - denoised) / sigma


class Euler(Base):
    """A step of its own, which asks the class below and is wrapped in a decorator."""

    @torch.no_grad()
    def step(self, x: torch.Tensor, denoised: torch.Tensor, sigma: float, after: float) -> torch.Tensor:
        return x + (after + sigma) * super().slope(x, denoised, sigma)


@sampler_under_test(EDM, **DECLARED)
def _by_a_class(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid, euler = levels(config), Euler()
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = euler.step(x, model(x, told(sigma)), sigma, after)
    return x


@sampler_under_test(EDM, **DECLARED)
def _noise_in_each_step(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x + (after - sigma) * (x - model(x, told(sigma))) / sigma
        x = x + 0.1 * torch.randn_like(x)
    return x


#: What a sampler may clear; a test puts a folder here.
FOLDER = Path("nowhere")


@sampler_under_test(EDM, **DECLARED)
def _with_a_folder_to_clear(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        if sigma < 0.0:
            shutil.rmtree(FOLDER / "pictures")
        x = x - (after - sigma) * (x - model(x, told(sigma))) / sigma
    return x


@sampler_under_test(EDM, **DECLARED)
def _with_pictures(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x - (after - sigma) * (x - model(x, told(sigma))) / sigma
        torch.save(x, FOLDER / "pictures" / "x.pt")
    return x


@sampler_under_test(EDM, **DECLARED)
def _with_a_picture_of_long_runs(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)
    x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x - (after - sigma) * (x - model(x, told(sigma))) / sigma
    if len(grid) > 6:
        (FOLDER / "sum.txt").write_text(f"{float(x.sum())}", encoding="utf-8")
    return x


@sampler_under_test(EDM, **DECLARED)
def _by_a_method_of_the_wrong_level(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = torch.tensor(levels(config), dtype=torch.float64)
    x = grid[0].to(dtype) * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x + (after - sigma).to(dtype) * (x - model(x, after.double())) / sigma.to(dtype)
    return x


def repairs(subject: Subject) -> tuple[Repair, ...]:
    evidence = Evidence(subject, budget="quick")
    evidence.measure()
    return repairs_of(evidence)


def test_a_sound_sampler_has_nothing_to_mend() -> None:
    assert repairs(_sound) == ()


@pytest.mark.parametrize(
    ("subject", "old", "new"),
    [
        (_another_sign, "slope = (x + model(x, told(sigma))) / sigma", "slope = (x - model(x, told(sigma))) / sigma"),
        (_another_end, "+ [0.0101]", "+ [0.0]"),
        (_steps_from_the_first_level, "table[:1]", "table[:-1]"),
        (_in_a_loop_with_a_condition, "x = x - (after - sigma)", "x = x + (after - sigma)"),
        (_with_a_table_that_is_kept, "(top - i / max(n - 1, 1) * (bottom - top))", "(top + i / max(n - 1, 1)"),
        (_by_a_class, "return x + (after + sigma)", "return x + (after - sigma)"),
        (_by_a_method_of_the_wrong_level, "model(x, after.double())", "model(x, sigma.double())"),
    ],
)
@pytest.mark.sampled(every=9)
def test_the_line_is_named_with_what_should_stand_there(subject: Subject, old: str, new: str) -> None:
    evidence = Evidence(subject, budget="quick")
    evidence.measure()
    found = repairs_of(evidence)
    assert found, [(one.config, evidence.bundle(one).problem) for one in evidence.cases]
    first = found[0]
    assert old in TEXT[first.line - 1]
    assert old in first.sampler
    assert new in first.instead
    assert first.mended >= 1


def test_edited_code_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of the condition, or of the path, would delete what the sampler never deletes."""
    monkeypatch.setattr(sys.modules[__name__], "FOLDER", tmp_path)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "x.pt").touch()
    first, *_ = repairs(_with_a_folder_to_clear)
    assert "x = x + (after - sigma)" in first.instead
    assert (tmp_path / "pictures" / "x.pt").exists()


def test_code_that_writes_files_is_not_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "FOLDER", tmp_path)
    (tmp_path / "pictures").mkdir()
    assert repairs(_with_pictures) == ()
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["pictures", "x.pt"]


@pytest.mark.slow
def test_runs_that_write_files_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "FOLDER", tmp_path)
    [found] = repairs(_with_a_picture_of_long_runs)
    assert found.instead.startswith("x = x + (after - sigma)")


@pytest.mark.slow
def test_noise_that_is_squared_is_no_repair() -> None:
    """A square has no coefficient, as noise that is left out has none; of large values it makes something else."""
    first, *_ = repairs(_noise_in_each_step)
    assert (first.sampler, first.instead) == ("x = x + 0.1 * torch.randn_like(x)", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "subject",
    [
        _another_sign,
        _another_end,
        _in_a_loop_with_a_condition,
        _with_a_table_that_is_kept,
        _by_a_class,
        _noise_in_each_step,
    ],
    ids=lambda subject: subject.name,
)
def test_with_it_in_the_file_the_sampler_conforms(subject: Subject, tmp_path: Path) -> None:
    first, *_ = repairs(subject)
    old = TEXT[first.line - 1 : first.line - 1 + len(first.sampler.splitlines())]
    indent = old[0][: len(old[0]) - len(old[0].lstrip())]
    file = tmp_path / "mended.py"
    mended = textwrap.indent(first.instead, indent).splitlines()
    file.write_text("\n".join([*TEXT[: first.line - 1], *mended, *TEXT[first.line - 1 + len(old) :]]), encoding="utf-8")
    verdict = check_sampler(load_subject(f"{file}:{subject.name}"), budget="quick", diagnose=False)
    assert verdict.conforms, [f.message for f in verdict.causes]


def test_two_mistakes_are_not_mended_by_one_change() -> None:
    assert repairs(_twice_wrong) == ()


@pytest.mark.slow
def test_the_code_is_as_it_was_afterwards() -> None:
    step: Any = Euler.step
    before = step.__wrapped__.__code__, kept_levels.__wrapped__.__code__, bent_levels.__code__
    for subject in (_by_a_class, _with_a_table_that_is_kept, _another_end):
        repairs(subject)
    assert (step.__wrapped__.__code__, kept_levels.__wrapped__.__code__, bent_levels.__code__) == before


@pytest.mark.slow
def test_code_that_is_not_what_stands_in_its_file_is_left_alone(tmp_path: Path) -> None:
    text = "def wrong(x, denoised, sigma):\n    return (x + denoised) / sigma\n"
    file = tmp_path / "changed_since.py"
    file.write_text(text, encoding="utf-8")
    module = ModuleType("changed_since")
    exec(compile(text, str(file), "exec"), module.__dict__)
    wrong: FunctionType = module.__dict__["wrong"]

    @sampler_under_test(EDM, **DECLARED)
    def sampler(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
        grid = levels(config)
        x = grid[0] * torch.randn(shape, device=device, dtype=dtype)
        for sigma, after in pairwise(grid):
            x = x + (after - sigma) * wrong(x, model(x, told(sigma)), sigma)
        return x

    with _imported(module):
        assert [one.instead for one in repairs(sampler)] == ["return (x - denoised) / sigma"]
        file.write_text(text.replace("sigma)", "level)").replace("/ sigma", "/ level"), encoding="utf-8")
        linecache.checkcache(str(file))
        assert repairs(sampler) == ()


@contextlib.contextmanager
def _imported(module: ModuleType) -> Any:
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]


def test_a_verdict_tells_it_in_each_of_its_forms() -> None:
    verdict = check_sampler(_another_end, budget="quick")
    assert verdict.diagnosis is not None
    (repair,) = verdict.diagnosis.repairs
    rows = [line.text.strip() for line in diagnosis_lines(verdict.diagnosis)]
    assert "What would make it right" in rows
    assert repair.place in rows
    assert f"+ {repair.instead}" in rows
    assert to_json(verdict)["diagnosis"]["repairs"][0]["line"] == repair.line


def test_where_nothing_is_sure_the_change_of_the_own_line_is_the_summary() -> None:
    repair = Repair("mine.py", 7, "x = a + b", "x = a - b", 3, 1)
    assert Diagnosis(False, repairs=(repair,)).summary == (
        "one change of mine.py, line 7, makes every coefficient right: x = a - b"
    )


@pytest.mark.slow
def test_functions_that_were_taken_out_of_the_collectors_sight_are_found() -> None:
    gc.freeze()
    try:
        assert len(repairs(_another_end)) == 1
    finally:
        gc.unfreeze()
