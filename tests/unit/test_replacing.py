"""Which of a sampler's values are taken for the reference's, and by what each may be replaced."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sampler_harness.checks.replacing import Variable, changes, is_held, is_known
from sampler_harness.law.intermediates import Intermediates, Site
from sampler_harness.observe.statements import Line, goes_through_slices, gone_through, hands_its_name, hands_literal
from sampler_harness.observe.walk import Walk

SHAPE = (2, 3, 4, 4)
LINE = Line("/somewhere/mine.py", 3, "sample")


def test_no_number_is_taken_for_an_infinite_one() -> None:
    values = Intermediates(numbers={Site("EDM.gamma", 1): {0: math.inf}})
    variable = Variable(LINE, "std", "")
    assert not is_known(variable, {0: 0.5}, values, SHAPE)
    assert is_known(variable, {0: math.inf}, values, SHAPE)
    tables = Intermediates(tables={Site("EDM.levels", 1): {0: (1.0, math.inf)}})
    assert not is_known(variable, {0: [0.5, 0.25]}, tables, SHAPE)


@pytest.mark.parametrize(
    ("own", "known"),
    [
        ([1.0, 0.5, 0.25], True),
        ([0.25, 0.5, 1.0], True),
        ([1.0, 1.0, 0.5], True),  # one entry late, with a 1 in front
        ([1.0, 0.5], True),  # without its end
        ([1.0, 0.5, 0.125], False),
        ([0.0, 0.0, 0.0], False),
    ],
)
def test_a_table_of_a_references_entries_in_other_places_may_be_right(own: list[float], known: bool) -> None:
    values = Intermediates(tables={Site("EDM.levels", 1): {0: (1.0, 0.5, 0.25)}})
    assert is_known(Variable(LINE, "visited", ""), {0: own}, values, SHAPE) == known


def test_a_flag_is_replaced_by_the_other_one_and_not_again_in_each_step() -> None:
    variable, seen = Variable(LINE, "denoise", ""), {0: False}
    (alike,) = changes(variable, seen, Intermediates(), SHAPE)
    assert [one.kind for one in alike] == ["flags"]
    assert not is_held(variable, seen)
    assert not is_known(variable, seen, Intermediates(), SHAPE)


TEXT = """\
def run(levels, following):
    for level, after in zip(levels, following):
        yield level, after
    for i, level in enumerate(reversed(levels)):
        yield i, level
    for level in levels[1:]:
        yield level

def sample(n):
    levels = [3, 2, 1]
    following = [level - 1 for level in levels]
    return list(run(levels, following))
"""


def _file(folder: Path) -> str:
    path = folder / "mine.py"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


def test_a_loop_that_only_goes_through_a_table_names_it(tmp_path: Path) -> None:
    file = _file(tmp_path)
    assert gone_through(Line(file, 2, "run"), "level") == "levels"
    assert gone_through(Line(file, 2, "run"), "after") == "following"
    assert gone_through(Line(file, 4, "run"), "level") == "levels"
    assert gone_through(Line(file, 4, "run"), "i") is None
    assert gone_through(Line(file, 6, "run"), "level") == "levels"
    assert goes_through_slices(Line(file, 6, "run"))
    assert not goes_through_slices(Line(file, 2, "run"))


def test_the_line_that_made_the_table_is_found_behind_the_call(tmp_path: Path) -> None:
    file = _file(tmp_path)
    lines = [*(Line(file, number, "sample") for number in (10, 11, 12)), Line(file, 2, "run"), Line(file, 3, "run")]
    assert Walk([lines]).gone_through(lines[3], "after") == lines[1]
    assert Walk([lines]).gone_through(lines[3], "level") == lines[0]


def test_a_number_that_is_written_in_a_call_is_told_from_one_that_is_worked_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def f(x, scale):\n    return x * scale\n\ndef g(x, s):\n    return f(x, 1.0) + f(x, s)\n")
    path2 = tmp_path / "two.py"
    path2.write_text("def f(x, scale):\n    return x * scale\n\ndef g(x, s):\n    y = f(x, 1.0)\n    return f(y, s)\n")
    assert hands_literal(Line(str(path2), 5, "g"), "f", "scale")
    assert not hands_literal(Line(str(path2), 6, "g"), "f", "scale")
    assert not hands_literal(Line(str(path), 5, "g"), "f", "scale")  # which of two calls is not known


def test_an_argument_under_its_own_name_is_told_from_another_ones(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def f(x, eta):\n    return x * eta\n\ndef g(x, c):\n    f(x, eta=c.eta)\n    f(x, eta=c.rho)\n")
    assert hands_its_name(Line(str(path), 5, "g"), "f", "eta")
    assert hands_its_name(Line(str(path), 5, "g"), "f", "x")
    assert not hands_its_name(Line(str(path), 6, "g"), "f", "eta")


def test_a_logarithm_of_a_references_number_may_be_right() -> None:
    values = Intermediates(numbers={Site("FlowEuler.levels", 1): {0: 1.5}})
    assert is_known(Variable(LINE, "mu", ""), {0: math.log(1.5)}, values, SHAPE)
    assert is_known(Variable(LINE, "shift", ""), {0: 1.5}, values, SHAPE)
    assert not is_known(Variable(LINE, "mu", ""), {0: 0.5}, values, SHAPE)
