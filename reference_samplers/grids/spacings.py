"""Which timesteps of a chain are visited: the conventions, each a function with its source."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

__all__ = [
    "TIMESTEP_SPACINGS",
    "TimestepSpacing",
    "distilled",
    "leading",
    "linspace",
    "positions",
    "respaced",
    "rounds_a_half",
    "spaced_timesteps",
    "trailing",
]

TimestepSpacing = Literal["leading", "linspace", "trailing", "respaced"]

TIMESTEP_SPACINGS: tuple[TimestepSpacing, ...] = ("leading", "linspace", "trailing", "respaced")


def leading(num_train_timesteps: int, num_steps: int, steps_offset: int = 0) -> tuple[int, ...]:
    """Every ``T // n``-th timestep from ``steps_offset`` upwards, in descending order.

    Source: Song et al. 2020, arXiv:2010.02502, released code; named in Lin et al. 2023, table 2.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, T].
        steps_offset: added to each timestep.

    Returns:
        n timesteps; with an offset they may leave the table, which the caller refuses.
    """
    stride = num_train_timesteps // num_steps
    return tuple(i * stride + steps_offset for i in reversed(range(num_steps)))


def linspace(num_train_timesteps: int, num_steps: int) -> tuple[int, ...]:
    """Evenly spaced timesteps with both ends, halves rounded to even, in descending order.

    Source: Lin et al. 2023, arXiv:2305.08891, table 2.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, T]; 1 gives timestep 0.

    Returns:
        n timesteps.
    """
    if num_steps == 1:
        return (0,)
    last = num_train_timesteps - 1
    stride = last / (num_steps - 1)
    # A multiple of the stride, as numpy's linspace has it: near a half that decides where it is rounded to.
    return (last, *(round(i * stride) for i in reversed(range(num_steps - 1))))


def trailing(num_train_timesteps: int, num_steps: int) -> tuple[int, ...]:
    """Evenly spaced timesteps from the last one downwards, halves rounded to even, in descending order.

    Source: Lin et al. 2023, arXiv:2305.08891, table 2.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, T].

    Returns:
        n timesteps.
    """
    return tuple(round(num_train_timesteps - i * num_train_timesteps / num_steps) - 1 for i in range(num_steps))


def respaced(num_train_timesteps: int, num_steps: int) -> tuple[int, ...]:
    """Evenly spaced timesteps with both ends, by adding up a fractional stride, in descending order.

    Source: Nichol & Dhariwal 2021, arXiv:2102.09672, released code, ``space_timesteps(T, [n])``.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, T]; 1 gives timestep 0.

    Returns:
        n timesteps.
    """
    stride = (num_train_timesteps - 1) / (num_steps - 1) if num_steps > 1 else 1.0
    position = 0.0
    taken = []
    for _ in range(num_steps):
        taken.append(round(position))
        position += stride
    return tuple(reversed(taken))


def distilled(num_train_timesteps: int, num_steps: int, original_steps: int) -> tuple[int, ...]:
    """Some of the timesteps at which a few-step model was distilled, in descending order.

    Source: Luo et al. 2023, arXiv:2310.04378, released code, as diffusers' ``LCMScheduler`` documents it.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, K].
        original_steps: K, in [1, T].

    Returns:
        n timesteps.
    """
    stride = num_train_timesteps // original_steps
    taught = [i * stride - 1 for i in range(original_steps, 0, -1)]
    return tuple(taught[i * original_steps // num_steps] for i in range(num_steps))


def rounds_a_half(spacing: TimestepSpacing, num_train_timesteps: int, num_steps: int) -> bool:
    """Whether a position of the grid is a half, so that sound programs may differ in where they round it to.

    Args:
        spacing: its name.
        num_train_timesteps: T.
        num_steps: n, in [1, T].

    Returns:
        True where some position, in exact arithmetic, lies midway between two timesteps.
    """
    exact = positions(spacing, num_train_timesteps, num_steps)
    return exact is not None and any(value.denominator == 2 for value in exact)


def positions(spacing: TimestepSpacing, num_train_timesteps: int, num_steps: int) -> tuple[Fraction, ...] | None:
    """Where a grid lies before it is rounded, in descending order; None where nothing is.

    Args:
        spacing: its name.
        num_train_timesteps: T.
        num_steps: n, in [1, T].
    """
    if spacing == "leading" or num_steps == 1:
        return None
    if spacing == "trailing":
        return tuple(num_train_timesteps - 1 - Fraction(i * num_train_timesteps, num_steps) for i in range(num_steps))
    last, gaps = num_train_timesteps - 1, num_steps - 1
    return tuple(Fraction(i * last, gaps) for i in reversed(range(num_steps)))


def spaced_timesteps(
    spacing: TimestepSpacing, num_train_timesteps: int, num_steps: int, steps_offset: int = 0
) -> tuple[int, ...]:
    """The grid of a named spacing; the offset belongs to ``leading`` alone.

    Args:
        spacing: its name.
        num_train_timesteps: T.
        num_steps: n, in [1, T].
        steps_offset: added to each timestep of ``leading``.

    Returns:
        n timesteps, descending.

    Raises:
        ValueError: for an unknown name.
    """
    if spacing == "leading":
        return leading(num_train_timesteps, num_steps, steps_offset)
    if spacing == "linspace":
        return linspace(num_train_timesteps, num_steps)
    if spacing == "trailing":
        return trailing(num_train_timesteps, num_steps)
    if spacing == "respaced":
        return respaced(num_train_timesteps, num_steps)
    raise ValueError(f"spacing must be one of {', '.join(TIMESTEP_SPACINGS)}, got {spacing!r}")
