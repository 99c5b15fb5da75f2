"""What Hypothesis makes of a declaration: strategies for its configurations, and what is drawn from them.

:func:`configurations` is for property tests of one's own::

    @given(strategies.configurations(my_sampler))
    def test_my_sampler_stays_finite(config): ...

Here as everywhere the host's profile, seed and database do not matter for what the harness draws itself.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .budgets import Budget
from .subject import ModelSubject
from .subject.allowed import bounds_of, is_strategy

__all__ = ["configurations", "drawn_configurations", "drawn_values", "smallest_failing"]

#: Share of a range around zero that is left alone, zero itself excepted: in float32 rounding decides whether such a
#: value does anything at all. Hypothesis is fond of them, some releases more than others.
NEARLY_ZERO = 1e-6


@contextlib.contextmanager
def _own_constants_only() -> Iterator[None]:
    """Keep Hypothesis from mixing in constants of whatever modules happen to be loaded.

    Context: newer releases draw now and then from constants found in the host's own modules, so that the same
    declaration would be tried on other values under pytest than on the command line.
    Choice: hand it an empty set while cases are drawn, where the release has that (private) function.
    Reversed by: a public setting for it.
    """
    try:
        from hypothesis.internal.conjecture import providers
    except ImportError:  # pragma: no cover - depends on the Hypothesis release
        yield
        return
    original = getattr(providers, "_get_local_constants", None)
    constants = getattr(providers, "Constants", None)
    if original is None or constants is None:  # pragma: no cover - depends on the Hypothesis release
        yield
        return
    empty = constants()
    providers._get_local_constants = lambda: empty
    try:
        yield
    finally:
        providers._get_local_constants = original


def drawn_values(strategy: Any) -> list[Any]:
    """Values of a strategy that cannot be looked into, drawn the same way every time; equal ones are told once.

    Args:
        strategy: of one field.
    """
    from hypothesis import HealthCheck, Phase, given, seed, settings

    values: list[Any] = []

    @seed(0)
    @settings(
        max_examples=24,
        database=None,
        derandomize=False,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        if value not in values:
            values.append(value)

    with _own_constants_only():
        collect()
    return values


def drawn_configurations(subject: ModelSubject, budget: Budget) -> list[tuple[Any, int]]:
    """Further configurations, drawn by Hypothesis from the declaration's strategies.

    The host's profile, seed and database do not matter: everything is set here.

    Returns:
        Configurations, each with a number that chooses its shape and dtype.
    """
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    strategy = configurations(subject, longest=min(budget.longest_chain, 50))
    if strategy is None:
        return []
    found: dict[Any, int] = {}

    @seed(20_260_101)
    @settings(
        max_examples=budget.drawn,
        database=None,
        derandomize=False,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy, st.integers(0, 999))
    def collect(configuration: Any, number: int) -> None:
        found.setdefault(configuration, number)

    with _own_constants_only():
        collect()
    return list(found.items())


def configurations(subject: ModelSubject, *, longest: int = 50) -> Any:
    """A Hypothesis strategy for legal configurations of a subject; None where nothing is varied.

    Args:
        subject: the declaration.
        longest: number of steps above which a drawn chain is not run.
    """
    from hypothesis import strategies as st

    varied = {n: v for n, v in subject.fields.items() if is_strategy(v)}
    if not varied:
        return None
    fixed = {n: v for n, v in subject.fields.items() if not is_strategy(v)}
    if "num_steps" in varied:
        bounds = bounds_of(varied["num_steps"])
        if bounds is not None and bounds[1] > longest >= bounds[0]:
            varied["num_steps"] = st.integers(int(bounds[0]), longest)

    scales = {}
    for name, value in varied.items():
        low, high = bounds_of(value) or (1.0, 1.0)
        if low <= 0 <= high and math.isfinite(high - low):
            scales[name] = max(-low, high)

    def legal(values: Mapping[str, Any]) -> Any:
        if any(0 < abs(values[name]) < NEARLY_ZERO * scale for name, scale in scales.items()):
            return None
        try:
            return subject.reference(**fixed, **values)
        except ValueError:
            return None

    return st.fixed_dictionaries(varied).map(legal).filter(lambda c: c is not None)


def smallest_failing(subject: ModelSubject, fails: Callable[[Any], bool], budget: Budget, start: Any) -> Any:
    """The smallest configuration that still fails, by Hypothesis's shrinking; ``start`` where none is smaller.

    Args:
        subject: the declaration.
        fails: measures a configuration and tells whether the check fails on it.
        budget: bounds how many cases are tried.
        start: a configuration that is known to fail.
    """
    import random

    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis.errors import NoSuchExample, Unsatisfiable

    steps = start.values().get("num_steps")
    strategy = configurations(subject, longest=steps if isinstance(steps, int) and steps > 0 else 50)
    if strategy is None:
        return start
    tried: dict[Any, bool] = {}

    def condition(configuration: Any) -> bool:
        if configuration not in tried:
            # Past the budget nothing new is measured; what is known stays known.
            tried[configuration] = len(tried) < budget.shrinking and fails(configuration)
        return tried[configuration]

    try:
        with _own_constants_only():
            return find(
                strategy,
                condition,
                settings=settings(
                    max_examples=budget.shrinking,
                    database=None,
                    deadline=None,
                    phases=(Phase.generate, Phase.shrink),
                    suppress_health_check=list(HealthCheck),
                ),
                random=random.Random(0),
            )
    except (NoSuchExample, Unsatisfiable):
        return start
