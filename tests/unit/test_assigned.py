"""What own lines assign is told, and what a visitor gives instead stands: every name of a line, every argument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sampler_harness.observe.assigned import KEPT, Assigned, assigning
from sampler_harness.observe.statements import Line, called_by, only_reader
from sampler_harness.observe.walk import Walk


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


def _file(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_value_that_one_line_alone_reads_may_be_read_wrongly_there(tmp_path: Path) -> None:
    file = _file(tmp_path, "def f(x):\n    std = x\n    y = 2\n    z = y + y\n    return std**2 + y\n")
    assert only_reader(Line(file, 2, "f"), "std") == Line(file, 5, "f")
    assert only_reader(Line(file, 3, "f"), "y") is None


def test_one_of_several_values_of_a_call_is_handed_on_and_a_method_that_writes_nothing_assigns_nothing(
    tmp_path: Path,
) -> None:
    file = _file(tmp_path, "def f(x):\n    s = g(x)[1]\n    x.train(False)\n    x.add_(1)\n    return s\n")
    assert called_by(Line(file, 2, "f")) == "g"
    lines = [Line(file, number, "f") for number in (2, 3, 4, 5)]
    assert Walk([lines]).returned(lines[0]) == lines[0]
