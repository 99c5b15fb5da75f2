"""``--identify`` on samplers that nobody declared: how many are named right, and that no wrong name is called exact."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sampler_harness.cli.identify import named
from sampler_harness.handing import handed
from sampler_harness.identity import Identity

from .as_written import AS_WRITTEN, OTHERWISE_CALLED
from .identified import LAST, LATER, ROWS, Row, is_right, is_wrong_and_called_exact

#: Of each kind one that is quick.
QUICK = ("edm[rho=3.0", "euler_ancestral[eta=0.62]", "flow[shift=2.2", "sample_two_histories", "robot", "momentum")


def found(row: Row) -> Identity:
    return named(row.target, handed(row.target, row.settings))[0]


def told(row: Row, one: Identity) -> str:
    return f"{row.name}: {one.outcome} {[name.told for name in one.names]} {one.told}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "count"),
    [(ROWS, 66), (LATER, 51), (LAST, 44), (AS_WRITTEN, 40)],
    ids=["first", "later", "last", "as_written"],
)
def test_samplers_that_nobody_declared_are_named(rows: Sequence[Row], count: int) -> None:
    answers = [(row, found(row)) for row in rows]
    wrong = [told(*pair) for pair in answers if is_wrong_and_called_exact(*pair)]
    assert not wrong
    missed = [told(*pair) for pair in answers if not is_right(*pair)]
    assert (len(answers), len(missed)) == (count, 0), missed


@pytest.mark.parametrize(
    "row", [row for row in ROWS if any(one in row.name for one in QUICK)], ids=lambda row: row.name
)
def test_one_of_each_kind_is_named(row: Row) -> None:
    one = found(row)
    assert is_right(row, one), told(row, one)


@pytest.mark.slow
@pytest.mark.parametrize("row", OTHERWISE_CALLED, ids=lambda row: row.name)
def test_arguments_are_known_by_what_is_done_with_them(row: Row) -> None:
    one = found(row)
    assert is_right(row, one), told(row, one)


def test_two_names_of_one_law_are_both_told() -> None:
    row = next(row for row in ROWS if "kl_optimal" in row.name)
    names = found(row).names
    assert [name.reference for name in names][:2] == ["EDM", "EulerAncestral"]
    assert names[1].fields["eta"] == 0.0


def test_the_same_answer_twice() -> None:
    row = next(row for row in ROWS if "ancestral_loop" in row.name)
    one, other = found(row), found(row)
    assert (one.names, one.told, one.like) == (other.names, other.told, other.like)


NOT_FRESH = (
    "repeated.py:items_share_a_seed",
    "repeated.py:noise_ahead_holds_the_start",
    "not_normal.py:uniform_for_normal",
)


@pytest.mark.parametrize("name", NOT_FRESH)
def test_noise_that_is_no_fresh_normal_noise_is_never_called_exact(name: str) -> None:
    one = found(Row(f"fixtures/faulty_samplers/{name}"))
    assert one.outcome in ("nearest", "none")
    assert any("noise" in text for text in (*one.told, *one.like))
