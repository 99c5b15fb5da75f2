"""The suite's Hypothesis profile, what of it is slow, and a small sampler as a stranger's repository would hold it."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# Workers share the cores already. With threads of its own in each of them, tensors of a few thousand numbers wait for
# one another, and a test takes up to forty times as long. In the environment, so that processes which tests start have
# it too, and before anything imports torch, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("suite", derandomize=True, database=None, deadline=None)
settings.load_profile("suite")

COLLECTED: pytest.StashKey[Counter[str]] = pytest.StashKey()


def pytest_collection_finish() -> None:
    """Eight thousand tests are a million objects, which no search for garbage need go through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Of a test that is sampled, all but the sample is slow: told by an item's place in its list, never by its cost."""
    mark = item.get_closest_marker("sampled")
    if mark is None or not isinstance(item, pytest.Function):
        return
    listed = item.nodeid.partition("[")[0]
    if mark.kwargs.get("first_of") == "file":
        listed += item.callspec.id.partition("-")[0]  # fixtures are named file-function
    collected = item.config.stash.setdefault(COLLECTED, Counter())
    place, collected[listed] = collected[listed], collected[listed] + 1
    if place % mark.kwargs.get("every", sys.maxsize):
        item.add_marker(pytest.mark.slow)


SAMPLER = """
import pytest
import torch
from hypothesis import strategies as st
from reference_samplers import EDM
from sampler_harness import sampler_under_test

GRID = dict(sigma_max=5.0, solver="euler", num_steps=st.integers(1, 4))


def euler(model, shape, config, device, dtype, scale=None):
    n, rho = config.num_steps, config.rho
    high, low = config.sigma_max ** (1 / rho), config.sigma_min ** (1 / rho)
    sigmas = [(high + i / max(n - 1, 1) * (low - high)) ** rho for i in range(n)] + [0.0]
    x = torch.randn(shape, device=device, dtype=dtype) * (sigmas[0] if scale is None else scale)
    for sigma_cur, sigma_next in zip(sigmas[:-1], sigmas[1:]):
        slope = (x - model(x, sigma_cur)) / sigma_cur
        x = x + (sigma_next - sigma_cur) * slope
    return x
"""

SOUND = """

@sampler_under_test(EDM, **GRID)
def sound(model, shape, config, *, device, dtype):
    return euler(model, shape, config, device, dtype)
"""

FAULTY = """

@sampler_under_test(EDM, **GRID)
def faulty(model, shape, config, *, device, dtype):
    return euler(model, shape, config, device, dtype, scale=1.0)
"""


@pytest.fixture
def sound_file() -> str:
    """A file that declares ``sound``, which conforms."""
    return SAMPLER + SOUND


@pytest.fixture
def faulty_file() -> str:
    """A file that declares ``faulty``, which does not scale its first noise."""
    return SAMPLER + FAULTY


@pytest.fixture
def sampler_file() -> str:
    """The sampler alone, for declarations of the test's own."""
    return SAMPLER


@pytest.fixture(autouse=True)
def outside_any_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is the same wherever the suite runs; tests of the workflow's output say so themselves."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_BASE_REF"):
        monkeypatch.delenv(name, raising=False)
