"""The measured impulse response ``(T, m, A, B)`` of a sampler, and how a reference's is measured.

    X[k] = m[k] + sum_i A[k, i] z_i + sum_{j<k} B[k, j] D_j          k = 0 … K

``X[k]`` is the k-th input that the model is called with (``X[K]`` the returned sample), ``D_j`` the model's j-th
output and ``z_i`` the i-th unit normal. Every draw and output becomes an impulse at an element of its own, so the
coefficients are read off, not fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sampler_harness.observe.learned_variance import variance_value

__all__ = ["AMPLITUDE", "Array", "Reference", "Response", "respond_reference"]

Array = np.ndarray[Any, np.dtype[np.float64]]

#: A power of two: products with it are exact, and it is far below any clamp.
AMPLITUDE = 2.0**-24


class Reference(Protocol):
    """What the harness needs of a reference sampler: the algorithm with its two openings as arguments."""

    def sample(self, model: Callable[..., Any], noise: Callable[[], Array]) -> Array:
        """Run the algorithm once."""


@dataclass(frozen=True)
class Response:
    """Coefficients of all primitives in all rows.

    Attributes:
        times: ``(K,)`` the time argument of each model call, in the sampler's own convention.
        offset: ``(K + 1,)`` the row's constant (the entry of largest magnitude), data units.
        noise: ``(K + 1, P)`` coefficients A of the unit normals.
        outputs: ``(K + 1, K)`` coefficients B of the model's outputs.
        amplitude: of the impulses; with an offset it bounds what could be read.
    """

    times: Array
    offset: Array
    noise: Array
    outputs: Array
    amplitude: float = AMPLITUDE

    @property
    def num_calls(self) -> int:
        """K."""
        return int(self.times.size)


def respond_reference(
    reference: Reference,
    *,
    learned_variance: bool = False,
    wrap: Callable[[Array], Array] = lambda values: values,
    counts: tuple[int, int] | None = None,
) -> Response:
    """Measure a reference by the same impulses, in one run on a vector with an element per primitive.

    Args:
        reference: anything with ``sample(model, noise)``.
        learned_variance: the model returns a pair ``(prediction, v)``.
        wrap: applied to every array handed in; tolerances hand in arrays that round.
        counts: draws and calls of a run, where they are known.

    Returns:
        The response, exact to float64 rounding.

    Raises:
        ValueError: when the reference never calls its model.
    """
    count = [0, 0]

    def answer(values: Array, call: int) -> Any:
        return (values, wrap(np.full(values.shape, variance_value(call)))) if learned_variance else values

    def counting_noise() -> Array:
        count[0] += 1
        return wrap(np.zeros(1))

    def counting_model(x: Array, time: Any) -> Any:
        count[1] += 1
        return answer(wrap(np.zeros(np.shape(x))), count[1] - 1)

    if counts is None:
        reference.sample(counting_model, counting_noise)
    draws, calls = counts or (count[0], count[1])
    if calls == 0:
        raise ValueError(f"{reference!r} never calls its model")
    size = draws + calls + 1  # the last element stays empty and holds the constant
    seen: list[Array] = []
    times: list[float] = []
    drawn = [0]

    def impulse(position: int) -> Array:
        values = np.zeros(size)
        values[position] = AMPLITUDE
        return wrap(values)

    def noise() -> Array:
        drawn[0] += 1
        return impulse(drawn[0] - 1)

    def model(x: Array, time: Any) -> Any:
        seen.append(np.array(x, dtype=np.float64))
        times.append(float(time))
        return answer(impulse(draws + len(seen) - 1), len(seen) - 1)

    sample = reference.sample(model, noise)
    rows = np.stack([*seen, np.array(sample, dtype=np.float64)])
    offset = rows[:, -1].copy()
    coefficients = (rows[:, :-1] - offset[:, None]) / AMPLITUDE
    return Response(
        times=np.array(times),
        offset=offset,
        noise=coefficients[:, :draws],
        outputs=coefficients[:, draws:],
    )
