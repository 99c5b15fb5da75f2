"""What the options of pytest say of how samplers are judged, read once."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sampler_harness.gate.terms import Terms

__all__ = ["own_warnings", "terms_of"]

_TERMS = pytest.StashKey["Terms"]()


def terms_of(config: pytest.Config) -> Terms:
    """How this run judges.

    Raises:
        pytest.UsageError: where an option is wrong.
    """
    if _TERMS not in config.stash:
        config.stash[_TERMS] = _terms(config)
    return config.stash[_TERMS]


def _terms(config: pytest.Config) -> Terms:
    from sampler_harness.checks.catalogue import checked_version
    from sampler_harness.gate.baseline import Baseline, read_baseline
    from sampler_harness.gate.terms import Terms
    from sampler_harness.targets import device_problem

    device = config.getoption("sampler_harness_device")
    as_of = config.getoption("sampler_harness_checks_as_of")
    baseline = config.getoption("sampler_harness_baseline")
    with own_warnings():
        problem = _asked("device", lambda: device_problem(device))
    return Terms(
        budget=config.getoption("sampler_harness_budget"),
        device=device,
        problem=problem,
        checks_as_of=_asked("checks-as-of", lambda: checked_version(as_of)),
        baseline=_asked("baseline", lambda: Baseline("") if baseline is None else read_baseline(baseline)),
        diagnose=not config.getoption("sampler_harness_no_diagnosis"),
    )


def _asked(option: str, answer: Callable[[], Any]) -> Any:
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
