"""Samplers whose coefficients cannot be read at one element, or from two runs alike: one check tells why, no other.

What a law says of such a sampler is not true: a rotation of atoms would be "items are treated differently by position",
noise of numpy's "the input holds 60 times what the model returns later".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sampler_harness.law.bundle import Bundle
from sampler_harness.law.dense import dense_values
from sampler_harness.law.mixed import Mixing, mixing
from sampler_harness.law.places import is_uneven
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import is_half
from sampler_harness.observe.global_state import OF_TORCH, with_others_at
from sampler_harness.observe.probes import Dense, Impulses
from sampler_harness.observe.trace import Problem, Run

from .replayed import where

if TYPE_CHECKING:
    from .evidence import Evidence

__all__ = [
    "OTHER_STATES",
    "Unreadable",
    "answers_of_each",
    "idle_calls",
    "in_words",
    "is_hidden",
    "turns_with_draws",
    "unreadable",
]

#: What tells of hidden randomness, and what is right all the same.
_BESIDE_HIDDEN = ("law/times", "noise/generator", "state/side-effects")
#: The same of a model that is asked several times at one input, or once for nothing.
_BESIDE_GUIDED = ("law/times", "noise/shape", "noise/generator", "shape/batch", "state/rerun", "state/side-effects")
#: The same of places that are mixed.
_BESIDE_MIXED = ("shape/any", "law/times", "noise/generator", "state/rerun", "state/side-effects")


#: The same of a model that is called in half precision alone.
_BESIDE_NARROW = ("law/times", "noise/generator", "shape/batch", "state/rerun", "state/side-effects")
#: The same of outputs that draws multiply.
_BESIDE_TURNED = ("clip/replay", "law/times", "noise/generator", "state/rerun", "state/side-effects")
_TURNED = (
    "draws multiply what the model returns",
    "with other draws the model's outputs are weighed otherwise: draws multiply them (a random rotation of each item, "
    "a random mask), so there are no coefficients to read. If that is intended, leave it out of the function under "
    "test, and everything else can be checked",
)
#: States of Python's and numpy's generators in which a run is made: whether a value follows from them shows in these.
OTHER_STATES = range(6)
#: Share of a row's size by which two runs may differ that are one.
NEAR = 1e-3


@dataclass(frozen=True)
class Unreadable:
    """Why coefficients of a sampler cannot be read.

    Attributes:
        check: that tells of it.
        why: in half a sentence, for checks that do not judge.
        judged: checks that do without coefficients.
        told: what the check says of it; empty where it says that by itself.
        is_wrong: False where the sampler may well be right, and nothing is said against it.
        idle: the first model call whose answer is used nowhere, where that is why.
    """

    check: str
    why: str
    judged: tuple[str, ...]
    told: str = ""
    is_wrong: bool = True
    idle: int | None = None


def unreadable(evidence: Evidence) -> Unreadable | None:
    """Why coefficients cannot be read; None where they can.

    Args:
        evidence: of the sampler.
    """
    bundle = evidence.bundle(evidence.base)
    if bundle.problem is not None or not bundle.is_affine or bundle.unread:
        return None
    if is_hidden(bundle):
        why = "two runs with the same draws and the same model outputs differ, so nothing can be read off them"
        return Unreadable("noise/generator", why, _BESIDE_HIDDEN)
    from .evidence import expected_calls

    expected = expected_calls(bundle.case.config)
    asked = answers_of_each(bundle, expected)
    if asked > 1:
        why = f"there are {asked} answers of the model for each input"
        return Unreadable("law/times", why, _BESIDE_GUIDED, _guided(asked, bundle), is_wrong=False)
    idle = idle_calls(bundle, expected)
    if idle:
        return Unreadable("law/times", _idle_alone(idle), _BESIDE_GUIDED, _idle(idle, bundle, expected), idle=idle[0])
    narrow = narrowed_calls(evidence)
    if narrow:
        return Unreadable("precision/dtype", f"the model is called in {narrow}", _BESIDE_NARROW, _narrow(narrow), False)
    leaks = bundle.layout is None or bundle.first.leaks or bundle.second.leaks
    if not leaks and not is_uneven(bundle):
        return None
    found = mixing(bundle)
    if found is None:
        return Unreadable("clip/replay", _TURNED[0], _BESIDE_TURNED, _TURNED[1]) if turns_with_draws(bundle) else None
    told = in_words(found, bundle)
    return Unreadable("shape/any", "the sampler mixes the places of an item", _BESIDE_MIXED, told)


def is_hidden(bundle: Bundle) -> bool:
    """Whether runs with the same draws and outputs differ each time: what is random in them is not torch's.

    Of an earlier run one in which all draws and outputs are 0 leaves the next nothing: a sum that goes on grows by 0.
    Where such runs differ from one another along one line it is something that counts them, and not random.

    Args:
        bundle: of a case that is affine.
    """
    if any(name not in OF_TORCH for name in bundle.zero.generators_moved):
        found = []
        for seed in OTHER_STATES:
            with with_others_at(seed):
                found.append(bundle.run_dense())
        if any(isinstance(one, Problem) for one in found):
            return True
        told = [one.run for one in found if not isinstance(one, Problem)]
        return not all(_are_one(told[0], other) for other in told)
    first, again = bundle.dense, bundle.run_dense()
    if isinstance(first, Problem) or isinstance(again, Problem) or _are_one(first.run, again.run):
        return False
    runs = [bundle.execute(Impulses()) for _ in range(3)]
    if any(run.problem is not None for run in runs):
        return False
    if any(_are_one(runs[i], runs[j]) for i, j in ((0, 1), (0, 2), (1, 2))):
        return False
    return len({run.rows().shape for run in runs}) > 1 or not _is_line([run.rows() for run in runs])


def _is_line(rows: list[Array]) -> bool:
    """Whether three runs lie on one line: each is off from the one before by a multiple of the same."""
    one, other = rows[1] - rows[0], rows[2] - rows[1]
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return abs(float((one * other).sum())) >= (1 - NEAR) * size


def answers_of_each(bundle: Bundle, expected: int) -> int:
    """How many times the model is asked at each input and time, where that is why there are more calls; else 1.

    Args:
        bundle: of a case that could be measured.
        expected: model calls that there should be.
    """
    times, over = divmod(bundle.num_calls, max(1, expected))
    dense = bundle.dense
    if over or times < 2 or isinstance(dense, Problem) or dense.rows.shape[0] != bundle.num_calls + 1:
        return 1
    inputs = dense.rows[:-1].reshape(-1, times, dense.rows.shape[1])
    told = bundle.reader.times.reshape(-1, times)
    return times if bool((inputs == inputs[:, :1]).all() and (told == told[:, :1]).all()) else 1


def narrowed_calls(evidence: Evidence) -> str:
    """The half precision that the model is called in, where all else is of more digits; else nothing.

    What the state loses by such a cast shows in the returned sample, whose coefficients are then off too.

    Args:
        evidence: of the sampler.
    """
    bundle = evidence.bundle(evidence.base)
    dtypes = {str(call.x.dtype).removeprefix("torch.") for call in bundle.zero.calls}
    if evidence.in_half_alone or len(dtypes) != 1 or not all(is_half(one) for one in dtypes):
        return ""
    compared = evidence.compared(evidence.base)
    last = [one for one in compared if one.row == bundle.num_calls and one.term != "time"]
    return dtypes.pop() if last and all(one.ratio <= 1.0 for one in last) else ""


def _narrow(dtype: str) -> str:
    return (
        f"the model is called in {dtype}, and the rest has more digits: what it is given is read to two or three. Cast "
        f"inside the model that you pass to the sampler, and everything can be checked"
    )


def _guided(times: int, bundle: Bundle) -> str:
    often = "twice" if times == 2 else f"{times} times"
    in_one = all(call.parts == times for call in bundle.zero.calls)
    how = f"the model is given each sample {often} in one batch" if in_one else f"the model is called {often}"
    return (
        f"{how} at each input and time, as guidance does: how the answers are combined is not part of the reference. "
        "Move the guidance into the model that you pass to the sampler, and everything else can be checked"
    )


def idle_calls(bundle: Bundle, expected: int) -> tuple[int, ...]:
    """Model calls whose answers are used nowhere, where there are more calls than there should be by just these.

    Args:
        bundle: of a case that could be measured.
        expected: model calls that there should be.
    """
    if bundle.num_calls <= expected or bundle.layout is None:
        return ()
    read = (bundle.first.response.outputs, bundle.second.response.outputs)
    idle = tuple(call for call in range(bundle.num_calls) if not any(outputs[:, call].any() for outputs in read))
    return idle if len(idle) == bundle.num_calls - expected else ()


def _idle(idle: tuple[int, ...], bundle: Bundle, expected: int) -> str:
    return (
        f"the model is called {bundle.num_calls} times in a run, should be {expected}: {_idle_alone(idle)}. Drop "
        f"{'that call' if len(idle) == 1 else 'those calls'} (a warm-up belongs outside the function under test), and "
        "everything else can be checked"
    )


def _idle_alone(idle: tuple[int, ...]) -> str:
    if len(idle) == 1:
        return f"the model's answer to call {idle[0]} is used nowhere"
    return f"the model's answers to calls {', '.join(map(str, idle[:-1]))} and {idle[-1]} are used nowhere"


def _are_one(first: Run, other: Run) -> bool:
    return len(first.calls) == len(other.calls) and np.array_equal(first.rows(), other.rows())


def turns_with_draws(bundle: Bundle) -> bool:
    """Whether a run is affine in the model's outputs for any given draws, and draws decide how they are weighed.

    Args:
        bundle: of a case that is affine in its reference.
    """
    size = bundle.case.numel
    if bundle.case.config.is_clipped:
        return False  # values that are large enough to be told beside draws are clamped

    def rows(kind: int, *outputs: int) -> Array | None:
        def draws(index: int, shape: tuple[int, ...]) -> Array:
            return dense_values(0, 97 * kind + index, math.prod(shape)).reshape(shape)

        def answers(call: int, shape: tuple[int, ...]) -> Array:
            values = [dense_values(1, 89 * one + call, size) for one in outputs]
            total: Array = np.sum([np.zeros(size), *values], axis=0)
            return total.reshape(shape)

        run = bundle.execute(Dense(draws=draws, outputs=answers))
        return None if run.problem is not None or len(run.calls) != bundle.num_calls else run.rows()

    wanted = [(0,), (0, 1), (0, 2), (0, 1, 2), (1,), (1, 1)]
    found = [rows(*one) for one in wanted]
    told = [one for one in found if one is not None]
    if len(told) < len(wanted):
        return False
    none, first, second, both, other, other_first = told
    largest = max(float(np.abs(first - none).max()), 1e-300)
    is_affine = float(np.abs(both - first - second + none).max()) <= NEAR * largest
    return is_affine and float(np.abs((other_first - other) - (first - none)).max()) > 0.1 * largest


def in_words(found: Mixing, bundle: Bundle) -> str:
    """How places are mixed, in one sentence.

    Args:
        found: how.
        bundle: of the case in which they are.
    """
    shape = bundle.case.shape
    along = " and ".join(f"axis {axis} ({_axis_name(axis, shape)})" for axis in found.axes)
    if found.others is None:
        what = "by a fixed map, the same for all items"
    else:
        what = f"each holds {found.others:.4g} times what is sent to any other, and {found.kept:.4g} times its own"
    return (
        f"in {where(found.row, bundle.num_calls)} places of one item are mixed along {along}: {what}. If that is "
        f"intended, leave it out of the function under test, and everything else can be checked"
    )


def _axis_name(axis: int, shape: tuple[int, ...]) -> str:
    return "channels" if axis == 1 and len(shape) > 3 else f"of length {shape[axis]}"
