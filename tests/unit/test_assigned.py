"""What own lines assign is told, and what a visitor gives instead stands: every name of a line, every argument."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch

from sampler_harness.observe.assigned import KEPT, Assigned, assigning
from sampler_harness.observe.problems import RunStopped
from sampler_harness.observe.statements import (
    Line,
    assigned_by,
    called_by,
    calls_an_object,
    counts,
    only_reader,
    readers,
)
from sampler_harness.observe.walk import Walk, walk_of


def _halved(first: float, second: float) -> tuple[float, float]:
    return first / 2, second / 2


def _sampler() -> tuple[float, float]:
    a, b = _halved(2.0, 4.0)
    return a, b


def _replacing(names: dict[str, float]) -> Any:
    def visit(one: Assigned) -> Any:
        return names.get(one.name, KEPT)

    return assigning(_sampler, visit)()


def test_each_name_of_a_line_is_replaced() -> None:
    assert _replacing({}) == (1.0, 2.0)
    assert _replacing({"a": 7.0}) == (7.0, 2.0)
    assert _replacing({"b": 8.0}) == (1.0, 8.0)
    assert _replacing({"a": 7.0, "b": 8.0}) == (7.0, 8.0)


def test_each_argument_of_a_call_is_replaced_not_the_last_alone() -> None:
    assert _replacing({"_halved(first)": 6.0}) == (3.0, 2.0)
    assert _replacing({"_halved(second)": 6.0}) == (1.0, 3.0)


def _twice_read() -> list[float]:
    found = []
    for i in range(3):
        found.append(i + 0.0)
        found.append(10.0 * i)
    return found


def test_a_name_is_another_one_in_one_line_that_reads_it_alone() -> None:
    told: list[Assigned] = []

    def visit(one: Assigned) -> Any:
        told.append(one)
        return one.value + 1 if one.name == "i" else KEPT

    def first(one: Assigned) -> Any:
        told.append(one)
        return KEPT

    assigning(_twice_read, first)()
    loop = next(one.line for one in told if one.name == "i")
    second = Line(loop.file, loop.line + 2, loop.function)
    assert assigning(_twice_read, visit, only=(loop, "i"), at=second)() == [0.0, 10.0, 1.0, 20.0, 2.0, 30.0]
    assert assigning(_twice_read, visit, only=(loop, "i"))() == [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]


def test_a_count_of_turns_and_an_object_that_is_called_are_told(tmp_path: Path) -> None:
    text = (
        "def f(x):\n    for i, y in enumerate(x):\n        z = f(y)\n    for k in range(3):\n        z = f(k).g()\n"
        "    for y in x:\n        z = self.net(y)[0]\n    return z\n"
    )
    file = _file(tmp_path, text)
    lines = [Line(file, number, "f") for number in range(9)]
    assert [counts(lines[2], "i"), counts(lines[2], "y"), counts(lines[4], "k"), counts(lines[6], "y")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert [calls_an_object(lines[3]), calls_an_object(lines[5]), calls_an_object(lines[7])] == [True, False, True]
    assert readers(lines[3], "z") == ()  # other lines give it a value too
    assert readers(lines[4], "k") == (lines[5],)


class _Keyed:
    """Holds a number that it fills anew only where it is asked for another one."""

    def __init__(self) -> None:
        self.size, self.scale = 0, 0.0

    def of(self, size: int) -> float:
        if self.size != size:
            self.size = size
            self.scale = 2.0
        return self.scale


def test_an_attribute_that_was_replaced_has_its_own_value_behind_the_run() -> None:
    held = _Keyed()

    def sampler() -> float:
        return held.of(3)

    def visit(one: Assigned) -> Any:
        return 99.0 if one.name == "self.scale" else KEPT

    assert assigning(sampler, visit)() == 99.0
    assert held.scale == 2.0
    assert sampler() == 2.0


def _grid(step: float) -> list[float]:
    grid, t = [], 1.0
    while t > 1e-9:
        grid.append(t)
        t = t - step
    return grid


def test_a_loop_that_a_value_keeps_from_its_end_is_stopped() -> None:
    def sampler() -> list[float]:
        step = 0.25
        return _grid(step)

    told: list[Assigned] = []

    def visit(one: Assigned) -> Any:
        told.append(one)
        return KEPT

    def backwards(one: Assigned) -> Any:
        return -1.0 if one.name == "_grid(step)" else KEPT

    assert len(assigning(sampler, visit)()) == 4
    with pytest.raises(RunStopped):
        assigning(sampler, backwards)()
    line = next(one.line for one in told if one.name == "_grid(step)")
    with pytest.raises(RunStopped):
        assigning(sampler, backwards, only=(line, "_grid(step)"))()


def _file(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_value_that_one_line_alone_reads_may_be_read_wrongly_there(tmp_path: Path) -> None:
    file = _file(tmp_path, "def f(x):\n    std = x\n    y = 2\n    z = y + y\n    return std**2 + y\n")
    assert only_reader(Line(file, 2, "f"), "std") == Line(file, 5, "f")
    assert only_reader(Line(file, 3, "f"), "y") is None


def test_in_a_loop_the_lines_above_read_a_value_too_a_turn_later(tmp_path: Path) -> None:
    text = "def f(x):\n    for k in x:\n        y = std + k\n        std = k\n        z = std**2\n    return z\n"
    assert only_reader(Line(_file(tmp_path, text), 4, "f"), "std") is None


def test_a_function_within_reads_a_value_wherever_it_stands(tmp_path: Path) -> None:
    text = "def f(x):\n    def g():\n        return std\n    std = x\n    y = std + 1\n    return g() + y\n"
    assert only_reader(Line(_file(tmp_path, text), 4, "f"), "std") is None
    alone = "def f(x):\n    def g():\n        return std\n    std = x\n    return g()\n"
    folder = tmp_path / "alone"
    folder.mkdir()
    assert only_reader(Line(file := _file(folder, alone), 4, "f"), "std") == Line(file, 3, "f")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("levels.sort()", ["levels"]),
        ("levels.reverse()", ["levels"]),
        ("self.past.pop(0)", ["self.past"]),
        ("sigma = levels.pop()", ["sigma", "levels"]),
        ("kept.clear()", ["kept"]),
        ("x = levels.index(2)", ["x"]),
        ("levels.index(2)", []),
    ],
)
def test_a_method_that_changes_what_it_is_called_on_assigns_it(line: str, names: list[str]) -> None:
    assert list(assigned_by(ast.parse(line).body[0])) == names


def test_one_of_several_values_of_a_call_is_handed_on_and_a_method_that_writes_nothing_assigns_nothing(
    tmp_path: Path,
) -> None:
    file = _file(tmp_path, "def f(x):\n    s = g(x)[1]\n    x.train(False)\n    x.add_(1)\n    return s\n")
    assert called_by(Line(file, 2, "f")) == "g"
    lines = [Line(file, number, "f") for number in (2, 3, 4, 5)]
    assert Walk([lines]).returned(lines[0]) == lines[0]


@pytest.mark.parametrize("layer", [torch.nn.Dropout(0.5), torch.nn.Dropout2d(0.5), torch.nn.AlphaDropout(0.5)])
def test_a_dropout_is_found_by_the_draw_that_torch_makes_of_it(layer: torch.nn.Module) -> None:
    def run() -> None:
        layer(torch.ones(2, 3, 4, 4))

    line = walk_of(run).line_of_other("bernoulli_")
    assert line is not None
    assert "layer(torch.ones" in line.text
