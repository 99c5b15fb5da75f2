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
from typing import TYPE_CHECKING, Any

from .budgets import Budget
from .subject import ReferenceSubject
from .subject.allowed import bounds_of, is_strategy

if TYPE_CHECKING:
    from hypothesis import settings

__all__ = ["configurations", "drawn_configurations", "drawn_values", "smallest_failing"]

#: Share of a range around zero that is left alone, zero itself excepted: in float32 rounding decides whether such a
#: value does anything at all. Hypothesis is fond of them, some releases more than others.
NEARLY_ZERO = 1e-6
#: Where Hypothesis starts to draw; the same everywhere, so that the same code gets the same verdict.
START = 20_260_101


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


def _settings(most: int, *phases: Any) -> settings:
    """What Hypothesis is run with, whatever the host's own profile says."""
    from hypothesis import HealthCheck, settings

    return settings(
        max_examples=most,
        database=None,
        derandomize=False,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )


def _drawn(strategy: Any, most: int, start: int) -> list[Any]:
    """At most so many values of a strategy, in the order in which they are drawn, the same way every time."""
    from hypothesis import Phase, given, seed

    values: list[Any] = []

    @seed(start)
    @_settings(most, Phase.generate)
    @given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    with _own_constants_only():
        collect()
    return values


def drawn_values(strategy: Any) -> list[Any]:
    """Values of a strategy that cannot be looked into, drawn the same way every time; equal ones are told once.

    Args:
        strategy: of one field.
    """
    values: list[Any] = []
    for value in _drawn(strategy, 24, 0):
        if value not in values:
            values.append(value)
    return values


def drawn_configurations(subject: ReferenceSubject, budget: Budget) -> list[tuple[Any, int]]:
    """Further configurations, drawn by Hypothesis from the declaration's strategies.

    The host's profile, seed and database do not matter: everything is set here.

    Returns:
        Configurations, each with a number that chooses its shape and dtype.
    """
    from hypothesis import strategies as st

    strategy = configurations(subject, longest=min(budget.longest_chain, 50))
    if strategy is None:
        return []
    found: dict[Any, int] = {}
    for configuration, number in _drawn(st.tuples(strategy, st.integers(0, 999)), budget.drawn, START):
        found.setdefault(configuration, number)
    return list(found.items())


def configurations(subject: ReferenceSubject, *, longest: int = 50) -> Any:
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


def smallest_failing(subject: ReferenceSubject, fails: Callable[[Any], bool], budget: Budget, start: Any) -> Any:
    """The smallest configuration that still fails, by Hypothesis's shrinking; ``start`` where none is smaller.

    Args:
        subject: the declaration.
        fails: measures a configuration and tells whether the check fails on it.
        budget: bounds how many cases are tried.
        start: a configuration that is known to fail.
    """
    import random

    from hypothesis import Phase, find
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
                settings=_settings(budget.shrinking, Phase.generate, Phase.shrink),
                random=random.Random(0),
            )
    except (NoSuchExample, Unsatisfiable):
        return start
