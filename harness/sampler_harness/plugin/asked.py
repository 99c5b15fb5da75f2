"""What the options of pytest ask for, read once; a run that asks for nothing loads nothing."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sampler_harness.gate.baseline import Baseline

__all__ = ["Asked", "asked", "own_warnings"]


@dataclass(frozen=True)
class Asked:
    """What the options ask for, checked.

    Attributes:
        problem: why the device cannot be used; None where it can.
        checks_as_of: version whose set of checks is run; empty for the present one.
        baseline: known deviations; without entries where none are named.
    """

    problem: str | None
    checks_as_of: str
    baseline: Baseline


_ASKED = pytest.StashKey[Asked]()


def asked(config: pytest.Config) -> Asked:
    """What this run's options ask for.

    Raises:
        pytest.UsageError: where one is wrong.
    """
    if _ASKED not in config.stash:
        from sampler_harness.catalogue import checked_version
        from sampler_harness.gate.baseline import Baseline, read_baseline
        from sampler_harness.targets import device_problem

        device = config.getoption("sampler_harness_device")
        as_of = config.getoption("sampler_harness_checks_as_of")
        baseline = config.getoption("sampler_harness_baseline")
        with own_warnings():
            problem = _told("device", lambda: device_problem(device))
        config.stash[_ASKED] = Asked(
            problem,
            _told("checks-as-of", lambda: checked_version(as_of)),
            _told("baseline", lambda: Baseline("") if baseline is None else read_baseline(baseline)),
        )
    return config.stash[_ASKED]


def _told(option: str, answer: Callable[[], Any]) -> Any:
    """What an option asks for; what is wrong with it becomes a sentence that names it."""
    try:
        return answer()
    except ValueError as error:
        raise pytest.UsageError(f"--sampler-{option}: {error}") from None


@contextlib.contextmanager
def own_warnings() -> Generator[None, None, None]:
    """The host's ``filterwarnings`` must not turn a sampler's or torch's warning into a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
