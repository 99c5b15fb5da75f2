"""What an edit may be: formulas joined otherwise, in several places, in one use of a name; where a mistake is."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from reference_samplers import DDIM, DDPM
from sampler_harness.diagnosis.arithmetic import rejoined, roots_within
from sampler_harness.diagnosis.edited_text import edited_texts
from sampler_harness.diagnosis.everywhere import everywhere
from sampler_harness.diagnosis.target import run_program
from sampler_harness.diagnosis.where import wheres
from sampler_harness.law.program import Program, Trace


def formulas(text: str) -> set[str]:
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.BinOp)
    return {ast.unparse(ast.fix_missing_locations(one)) for one in rejoined(node, ast.Expression(node))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + d * s", {"x - d * s", "d * s - x"}),
        ("a * b / c", {"a * b * c", "a / b / c", "b / a / c", "a * c / b", "c / a / b"}),
        ("a**2 - b**2", {"a - b"}),
        ("a * np.sqrt(b)", {"np.sqrt(a * b)"}),
        ("a - b", {"np.sqrt(a - b)", "(a - b) ** 2"}),
    ],
)
def test_a_formula_is_joined_otherwise(text: str, expected: set[str]) -> None:
    found = formulas(text)
    assert expected <= found
    assert text not in found


def test_a_one_is_never_turned_over() -> None:
    assert formulas("1 / rho") == {"rho", "np.sqrt(1 / rho)", "(1 / rho) ** 2"}


def test_a_root_may_end_too_early() -> None:
    under = ast.parse("1 / a - b", mode="eval").body
    assert [ast.unparse(ast.fix_missing_locations(one)) for one in roots_within(under)] == [
        "np.sqrt(1 / a) - b",
        "1 / a - np.sqrt(b)",
        "np.sqrt(1 / a) - np.sqrt(b)",
    ]


def edited(config: Any, files: set[str]) -> list[dict[str, str]]:
    """The texts of all edits that change these files, and no others."""
    program, trace = Program(type(config)), Trace()
    with np.errstate(all="ignore"):
        program.traced(lambda: run_program(program.configured(config), max_calls=12, max_draws=12), trace)
    found = everywhere(program, trace)  # in place, so that each is written while it is there
    return [edited_texts(program, edit) for edit in found if {one.function.place.file for one in edit} == files]


def test_one_mistake_stands_in_several_files() -> None:
    """``1 - alpha_bar``, which a program computes once for x0 and for epsilon."""
    chain, step = "reference_samplers/processes/table_chain.py", "reference_samplers/ddim.py"
    config = DDIM(num_train_timesteps=20, num_steps=3, eta=0.5)
    assert any(
        "np.sqrt(alpha_bar), np.sqrt(1 + alpha_bar))" in one.get(chain, "")
        and "np.sqrt(alpha_bar), np.sqrt(1 + alpha_bar)\n" in one.get(step, "")
        for one in edited(config, {chain, step})
    )


@pytest.mark.slow
def test_one_use_of_a_name_is_edited_alone() -> None:
    """``beta``, which a program computes twice: for the mean, and for the variance."""
    file = "reference_samplers/ddpm.py"
    texts = [one[file] for one in edited(DDPM(num_train_timesteps=20, num_steps=3), {file})]
    assert any("self.std(alpha_bar, alpha_bar_next, 1 + alpha_bar / alpha_bar_next, v)" in text for text in texts)


@dataclass(frozen=True)
class _Config:
    prediction: str
    eta: float
    handling: str = "new"
    sigmas: tuple[float, ...] | None = None

    def values(self) -> dict[str, Any]:
        return vars(self)


def test_where_a_mistake_is() -> None:
    fields = {"prediction", "eta"}
    wrong = [_Config("v", 0.5), _Config("v", 1.0)]
    right = [_Config("epsilon", 0.5), _Config("v", 0.0), _Config("epsilon", 0.0)]
    told = [str(where) for where in wheres(wrong, right, fields)]
    assert told[0] == "where prediction='v'"
    assert "where eta is above 0" in told
    assert "where prediction='v' and eta is above 0" in told
    of_a_library = wheres([_Config("v", 0.5)], [_Config("v", 0.5, "unset")], fields)
    assert [str(where) for where in of_a_library] == ["where handling='new'", "where handling is not 'unset'"]
    assert wheres(wrong, [], fields) == []


def test_a_mistake_may_be_in_what_is_run_without_levels_of_ones_own() -> None:
    by_hand = _Config("v", 0.5, sigmas=(1.0, 0.0))
    assert [str(where) for where in wheres([_Config("v", 0.5)], [by_hand], set())] == ["where sigmas is not given"]
    assert [str(where) for where in wheres([by_hand], [_Config("v", 0.5)], set())] == ["where sigmas is given"]
    found = wheres([_Config("v", 0.5)], [by_hand, _Config("v", 0.5, "unset")], set())
    assert "where handling is not 'unset' and sigmas is not given" in [str(where) for where in found]
