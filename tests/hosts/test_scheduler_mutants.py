"""``make mutants TARGET=diffusers:NAME``: what a change changes is seen, and the installed scheduler stays as it is."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator

import pytest

from sampler_harness.adapters import diffusers_options as options
from scripts import mutations, scheduler_mutants

DDIM = "DDIMScheduler"


@pytest.fixture(autouse=True)
def _foreign_warnings_are_not_ours() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def changed(name: str, before: str, after: str) -> scheduler_mutants.Mutant:
    """One text of the installed source replaced by another."""
    _, source = scheduler_mutants.released(name)
    assert source.count(before) == 1
    return scheduler_mutants.Mutant(1, after, ast.parse(source.replace(before, after)))


@pytest.mark.slow
def test_what_a_change_changes_is_seen() -> None:
    """Of each kind one, and one that changes nothing."""
    texts = {
        scheduler_mutants.NOTHING: ("eta * variance ** (0.5)", "eta * variance ** (1 / 2)"),
        "default loop": ("eta: float = 0.0,", "eta: float = 0.5,"),
        "option": ("eta * variance ** (0.5)", "eta * variance ** (0.4)"),
        "forward": ("velocity = sqrt_alpha_prod * noise -", "velocity = sqrt_alpha_prod * noise +"),
        "state": ("def __len__(self) -> int:\n        return", "def __len__(self) -> int:\n        return 1 +"),
        "dtype": ("dtype=original_samples.dtype", "dtype=torch.float32"),
        "before set_timesteps": ("np.arange(0, num_train_timesteps)[::-1]", "np.arange(0, num_train_timesteps)"),
    }
    chosen = [changed(DDIM, *both) for both in texts.values()]
    found = {one.told: one for one in scheduler_mutants.judged_all(DDIM, chosen, frozenset(), 1, "nothing")}
    assert {kind: found[after].kind for kind, (_, after) in texts.items()} == {kind: kind for kind in texts}
    assert not any(one.message for one in found.values())


@pytest.mark.slow
def test_a_law_knows_no_sign_of_a_draw_and_no_draw_times_nothing() -> None:
    name = "EDMEulerScheduler"
    texts = (("sample = sample + eps", "sample = sample - eps"), ("if gamma > 0:", "if True:"))
    chosen = [changed(name, *both) for both in texts]
    found = list(scheduler_mutants.judged_all(name, chosen, frozenset(), 1, "nothing"))
    assert [one.kind for one in found] == [scheduler_mutants.NOTHING] * 2


def test_lines_that_refuse_or_warn_are_left_alone() -> None:
    source = (
        "def step(x, kind: Literal['a', 'b'] = 'a'):\n"
        "    '''1'''\n"
        "    if kind == 'c':\n"
        "        raise ValueError(1)\n"
        "    warnings.warn('1', stacklevel=2)\n"
        "    return x + 1\n"
    )
    lines = mutations.lines_of_methods(source)
    found = [(line, told) for line, told, _ in mutations.mutants(source, lines)]
    assert found == [(1, "a is b: 'a'"), (6, "Add is Sub: x + 1"), (6, "1 is 2: 1")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "after", "file"),
    [
        (DDIM, "(1 - alpha_prod_t_prev - std_dev_t**2)", "(1 - alpha_prod_t_prev)", "ddim.py"),
        ("EDMEulerScheduler", "c_out = -sigma * sigma_data", "c_out = -sigma / sigma_data", "diffusers.py"),
        # Where x0 is returned in its place, what the last step makes is no evidence.
        ("DDPMScheduler", "current_beta_t) / beta_prod_t", "current_beta_t) * beta_prod_t", "ddpm.py"),
        # One name of the library is two formulas of the reference.
        (DDIM, "        beta_prod_t = 1 - alpha_prod_t\n\n", "        beta_prod_t = 1 + alpha_prod_t\n\n", "ddim.py"),
        # NaN in float32, where float64 has numbers.
        (DDIM, "/ 1.008 * math.pi / 2)", "/ 1.008 * math.pi * 2)", "processes/betas.py"),
    ],
)
def test_whether_a_diagnosis_is_right_is_seen_where_it_was_not_looked(
    name: str, before: str, after: str, file: str
) -> None:
    mutant = changed(name, before, after)
    (found,) = scheduler_mutants.judged_all(name, [mutant], frozenset(), 1, "diagnosis")
    assert found.answered is not None
    assert found.answered.unseen > 0
    assert found.answered.right
    assert not found.answered.is_wrong_but_exact
    assert found.answered.lines[0].startswith(f"reference_samplers/{file}:")


@pytest.mark.slow
def test_a_change_that_counts_is_caught_and_one_that_does_not_is_not_flagged() -> None:
    before = options.scheduler_class(DDIM)
    module = sys.modules[before.__module__]
    counts = changed(DDIM, "(1 - alpha_prod_t_prev - std_dev_t**2)", "(1 - alpha_prod_t_prev + std_dev_t**2)")
    equal = changed(DDIM, "eta * variance ** (0.5)", "eta * variance ** (1 / 2)")
    caught, spared = sorted(
        scheduler_mutants.judged_all(DDIM, [counts, equal], frozenset(), 1), key=lambda one: one.kind, reverse=True
    )
    assert (caught.kind, caught.subject, caught.is_caught) == ("option", DDIM, True)
    assert caught.message
    assert (spared.kind, spared.is_caught) == (scheduler_mutants.NOTHING, False)
    assert options.scheduler_class(DDIM) is before
    assert sys.modules[before.__module__] is module
