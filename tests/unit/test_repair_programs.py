"""Repairs of programs as people write them: what is told is true, and nothing of theirs is another afterwards."""

from __future__ import annotations

import ast
import gc
import itertools
import linecache
import resource
import sys
import threading
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from reference_samplers import EDM
from sampler_harness import sampler_under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.mutation import Mutation
from sampler_harness.law.program import Function
from sampler_harness.law.program import Place as FunctionPlace
from sampler_harness.repair.importing import has_made_what_is_kept
from sampler_harness.repair.own_code import Noted, OwnFunction
from sampler_harness.repair.search import repairs_of
from sampler_harness.repair.told import repair
from sampler_harness.subject import Subject

DECLARED: dict[str, Any] = {"num_steps": st.integers(1, 4), "sigma_max": 5.0, "solver": "euler"}
FOUR_STEPS: dict[str, Any] = {"num_steps": 4, "sigma_max": st.floats(5.0, 20.0), "solver": "euler"}
#: What a sampler may write over by mistake.
RAMP = torch.linspace(0, 1, 4, dtype=torch.float64)


def told(sigma: float) -> torch.Tensor:
    return torch.tensor(sigma, dtype=torch.float64)


def levels(config: EDM) -> list[float]:
    n, r = config.num_steps, 1 / config.rho
    top, bottom = config.sigma_max**r, config.sigma_min**r
    return [(top + i / max(n - 1, 1) * (bottom - top)) ** config.rho for i in range(n)] + [0.0]


@sampler_under_test(EDM, **DECLARED)
def _by_an_inner_function(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    grid = levels(config)

    def walk(x: torch.Tensor, i: int) -> torch.Tensor:
        if i == config.num_steps:
            return x
        x = x - (grid[i + 1] - grid[i]) * (x - model(x, told(grid[i]))) / grid[i]
        return walk(x, i + 1)

    return walk(grid[0] * torch.randn(shape, device=device, dtype=dtype), 0)


@sampler_under_test(EDM, **FOUR_STEPS)
def _from_a_table(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    r = 1 / config.rho
    top, bottom = config.sigma_max**r, config.sigma_min**r
    ramp = 1.01 - RAMP
    ramp *= top - bottom
    ramp += bottom
    grid = [*(ramp**config.rho).tolist(), 0.0]
    x: torch.Tensor = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x + (after - sigma) * (x - model(x, told(sigma))) / sigma
    return x


@sampler_under_test(EDM, **DECLARED)
def _that_counts(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    n, r = config.num_steps, 1 / config.rho
    top, bottom = config.sigma_max**r, config.sigma_min**r
    grid = []
    for i in itertools.count():
        if i >= n:
            break
        grid.append((top + i / max(n - 1, 1) * (bottom - top)) ** config.rho)
    grid.append(0.0)
    table = [0.0] * (sum(range(9 * n)) + 1)
    x: torch.Tensor = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        x = x - (after - sigma) * (x - model(x, told(sigma))) / sigma
    return x + table[-1]


def repairs(subject: Subject) -> list[str]:
    evidence = Evidence(subject, budget="quick")
    evidence.measure()
    return [one.instead for one in repairs_of(evidence)]


@pytest.mark.slow
def test_what_edited_code_leaves_behind_is_not_in_the_way_of_the_next_search() -> None:
    """A function within one holds itself: with other code it is there until the collector comes."""
    gc.collect()
    gc.disable()
    try:
        first = repairs(_by_an_inner_function)
        assert first == ["x = x + (grid[i + 1] - grid[i]) * (x - model(x, told(grid[i]))) / grid[i]"]
        assert repairs(_by_an_inner_function) == first
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_table_that_an_edit_writes_over_is_as_it_was_and_other_threads_write_meanwhile(tmp_path: Path) -> None:
    """``ramp = RAMP`` is one of the edits, and the next line writes into it; the right edit comes after that one."""
    before, stop, failed = RAMP.clone(), threading.Event(), []

    def write() -> None:
        while not stop.wait(0.001):
            try:
                (tmp_path / "log.txt").write_text("a line")
            except Exception as error:
                failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert repairs(_from_a_table) == ["ramp = 1.0 - RAMP"]
    finally:
        stop.set()
        thread.join()
    assert torch.equal(before, RAMP)
    assert failed == []


@pytest.mark.slow
def test_edits_that_count_for_ever_or_fill_the_memory_are_none() -> None:
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert repairs(_that_counts) == ["x = x + (after - sigma) * (x - model(x, told(sigma))) / sigma"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < largest + (1 << 20)


# What is told of an edit is what was run


def _edits(tmp_path: Path, text: str) -> tuple[ast.FunctionDef, Function]:
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    linecache.checkcache(str(file))
    tree = ast.parse(text)
    (node,) = (one for one in tree.body if isinstance(one, ast.FunctionDef))
    return node, Function(FunctionPlace(str(file), node.name), node, ModuleType("mine"), False)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (
            "def f(σ, δ):\n    α = σ - 1; β = α * (σ - δ)  # Δ\n    return β\n",
            "α = σ - 1; β = α * (σ - δ)  # Δ",
            "α = σ - 1; β = α * (σ + δ)  # Δ",
        ),
        (
            "# page one\n\x0c\ndef f(σ, δ):\n    α = 'a\u2028b'; β = α * (σ - δ)\n    return β\n",
            "α = 'a\u2028b'; β = α * (σ - δ)",
            "α = 'a\u2028b'; β = α * (σ + δ)",
        ),
        (
            'def f(σ, δ):\n    α = """σ\n    σ"""; β = (σ -\n    δ)\n    return β\n',
            'α = """σ\n    σ"""; β = (σ -\n    δ)',
            None,
        ),
    ],
)
def test_an_edit_is_told_where_it_is_whatever_alphabet_it_is_written_in(
    tmp_path: Path, text: str, old: str, new: str | None
) -> None:
    node, function = _edits(tmp_path, text)
    part = next(one for one in ast.walk(node) if isinstance(one, ast.BinOp) and ast.unparse(one) == "σ - δ")
    told = repair(Mutation(function, (part, "op", None), part.op, ast.Add()), mended=1, kept=0)
    assert told is not None
    if new is not None:
        assert (told.sampler, told.instead) == (old, new)
    rows = text.split("\n")
    at = told.line - 1
    rows[at : at + len(told.sampler.split("\n"))] = told.instead.split("\n")
    assert "σ + δ" in ast.unparse(ast.parse("\n".join(rows).replace("\nα", "\n    α").replace("\nβ", "\n    β")))


@pytest.mark.parametrize(
    ("line", "without", "swapped"),
    [
        ("a = 1; b = 2; c = 3", "a = 1; c = 3", "a = 1; c = 3; b = 2"),
        ("a = 1; b = 2 ;  c = 3  # σ", "a = 1; c = 3  # σ", "a = 1; c = 3 ;  b = 2  # σ"),
        ("a = 'σ'\n    b = 2; c = 3", "c = 3", "c = 3; b = 2"),
        ("a = 'σ'; b = 2\n    c = 3", "a = 'σ'", None),
    ],
)
def test_one_of_several_statements_of_a_line_is_left_out_or_changes_places(
    tmp_path: Path, line: str, without: str, swapped: str | None
) -> None:
    node, function = _edits(tmp_path, f"def f():\n    {line}\n    return a, b, c\n")
    a, b, c, end = node.body
    told = repair(Mutation(function, (node, "body", None), node.body, [a, c, end]), mended=1, kept=0)
    assert told is not None
    assert told.instead == without
    told = repair(Mutation(function, (node, "body", None), node.body, [a, c, b, end]), mended=1, kept=0)
    if swapped is not None:
        assert told is not None
        assert told.instead == swapped


def test_an_edit_whose_text_says_something_else_is_not_told(tmp_path: Path) -> None:
    node, function = _edits(tmp_path, "def f(a):\n    a = 1\n    return a\n")
    (first, last) = node.body
    elsewhere = Mutation(function, (ast.Module([], []), "body", None), [first, last], [last])
    assert repair(elsewhere, mended=1, kept=0) is None


def test_a_line_that_stands_alone_in_its_block_is_not_told_as_left_out(tmp_path: Path) -> None:
    node, function = _edits(tmp_path, "def f(x):\n    for _ in range(2):\n        x = x * 0.9\n    return x\n")
    loop = node.body[0]
    assert isinstance(loop, ast.For)
    (line,) = loop.body
    assert isinstance(line, ast.Assign)
    told = repair(Mutation(function, (line, "value", None), line.value, ast.Name("x", ast.Load())), mended=1, kept=0)
    assert told is not None
    assert told.instead == "x = x"


# What a function made when its module was imported


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def load(text: str) -> dict[str, OwnFunction]:
        file = tmp_path / "own_tables.py"
        file.write_text(text, encoding="utf-8")
        linecache.checkcache(str(file))
        module = ModuleType("own_tables")
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, "own_tables", module)
        found: dict[str, OwnFunction] = {}
        for node in ast.walk(ast.parse(text)):
            for owner, one in (
                [("", node), *((node.name, one) for one in getattr(node, "body", ()))]
                if isinstance(node, ast.ClassDef)
                else [("", node)]
            ):
                if isinstance(one, ast.FunctionDef):
                    place = FunctionPlace(str(file), one.name)
                    found.setdefault(
                        f"{owner}.{one.name}".strip("."), OwnFunction(Function(place, one, module, False), owner, {}, 0)
                    )
        return found

    return load


def _all_lines(own: dict[str, OwnFunction], without: tuple[int, ...] = ()) -> Noted:
    noted = Noted()
    files = {one.function.place.file for one in own.values()}
    noted.lines = {(file, line) for file in files for line in range(1, 100) if line not in without}
    return noted


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        ("TABLE.append(share(x))", True),
        ("TABLE[0] = share(x)", True),
        ("x.table = share(x)", True),
        ("KEPT = share(x)", True),
        ("own = share(x)", False),
    ],
)
def test_what_a_function_made_in_an_earlier_run_is_known(imported: Any, line: str, is_kept: bool) -> None:
    own = imported(
        f"def share(v): return v / 2\ndef f(x):\n    global KEPT\n    if not KEPT:\n        {line}\n    return 1\n"
    )
    assert not has_made_what_is_kept(own["share"], [*own.values()], _all_lines(own), "f")
    assert has_made_what_is_kept(own["share"], [*own.values()], _all_lines(own, (5,)), "f") == is_kept


@pytest.mark.parametrize(
    ("text", "runs", "runs_not"),
    [
        ("def share(v): return v / 2\ndef f(x): return x * TOP\nTOP = share(10.0)\n", ["share"], ["f"]),
        ("def share(v): return v / 2\ndef f(x): return x\nTOP = share(10.0)\n", [], ["share", "f"]),
        (
            "def share(v): return v / 2\ndef g(): return share(1)\ndef f(x): return x * TOP\n_A = g()\nTOP = _A + 1\n",
            ["share", "g"],
            ["f"],
        ),
        ("def share(v): return v / 2\nTABLE = list(map(share, (1, 2)))\ndef f(x): return TABLE[x]\n", ["share"], ["f"]),
        ("def share(v): return v / 2\ndef f(x, top=share(10)): return x * top\n", ["share"], ["f"]),
        (
            "class A:\n    def __init__(self): self.t = 1\n    def step(self, x): return x\n"
            "class B:\n    def __init__(self): self.t = 1\nONE = A()\ndef f(x): return ONE.step(x) + B().t\n",
            ["A.__init__"],
            ["A.step", "B.__init__", "f"],
        ),
        ("def share(v): return v / 2\nclass A:\n    top = share(10)\n", ["share"], []),
        ("def share(v): return v / 2\nif __name__ == '__main__':\n    print(share(2))\n", [], ["share"]),
        (
            "def share(v): return v / 2\ndef sampler(x): return share(x)\ncheck_sampler(sampler)\n",
            [],
            ["share", "sampler"],
        ),
        ("def share(v): return v / 2\nmine = sampler_under_test(EDM)(share)\ndef f(x): return mine\n", [], ["share"]),
    ],
)
def test_functions_that_ran_at_import_are_known(imported: Any, text: str, runs: list[str], runs_not: list[str]) -> None:
    own = imported(text)
    assert [
        name
        for name in (*runs, *runs_not)
        if has_made_what_is_kept(own[name], [*own.values()], _all_lines(own), "sampler")
    ] == runs


def half(v: float) -> float:
    return v * 0.5


TOP = half(10.0)  # 5, as it should be


@sampler_under_test(EDM, **DECLARED)
def _with_a_constant(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
    n, r = config.num_steps, 1 / config.rho
    top, bottom = TOP**r, config.sigma_min**r
    grid = [(top + i / max(n - 1, 1) * (bottom - top)) ** config.rho for i in range(n)] + [0.0]
    x: torch.Tensor = grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in pairwise(grid):
        slope = (x - model(x, told(sigma))) / sigma
        x = x + half((after - sigma) * slope)
    return x


@pytest.mark.slow
def test_a_function_that_made_a_constant_too_is_no_repair() -> None:
    """``v * 1.0`` makes every coefficient right here, and 10 of the 5 when the file is imported again."""
    assert all("v * 1.0" not in one for one in repairs(_with_a_constant))
