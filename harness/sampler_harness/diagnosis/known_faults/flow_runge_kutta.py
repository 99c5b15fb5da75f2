"""Mistakes around methods of second and fourth order on a rectified flow, arXiv:2412.06264."""

from __future__ import annotations

from . import KnownFault, edits_of

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/flow_runge_kutta.py")

_MIDPOINT = "x = x + dt * flow(x + dt * k_1 / 2, t + dt / 2)  # eq. 1.4"
_HEUN = "x = x + dt * (k_1 + k_2) / 2"
_SECOND = "            else:\n                k_2 = flow(x + dt * k_1, t_next)"
_CLASSICAL = "x = x + dt * (k_1 + 2 * k_2 + 2 * k_3 + k_4) / 6  # table 1.2, left"
_THIRD = "k_3 = flow(x + dt * k_2 / 2, t + dt / 2)"
_FOURTH = "k_4 = flow(x + dt * k_3, t_next)"

FAULTS: tuple[KnownFault, ...] = (
    method(
        "midpoint-told-time-of-step",
        _MIDPOINT,
        "x = x + dt * flow(x + dt * k_1 / 2, t)  # eq. 1.4",
        "The model takes the middle for noisier than it is, and the method is of first order only.",
    ),
    method(
        "midpoint-asked-at-first-state",
        _MIDPOINT,
        "x = x + dt * flow(x, t + dt / 2)  # eq. 1.4",
        "The model takes the state for cleaner than it is, and noise stays in.",
    ),
    method(
        "midpoint-half-a-step",
        _MIDPOINT,
        "x = x + dt / 2 * flow(x + dt * k_1 / 2, t + dt / 2)  # eq. 1.4",
        "Every step goes half as far as the model is told, and samples are noise.",
    ),
    method(
        "flow-slopes-added",
        _HEUN,
        "x = x + dt * (k_1 + k_2)",
        "Every step goes twice as far as it should, and samples burn out.",
    ),
    method(
        "flow-second-slope-alone",
        _HEUN,
        "x = x + dt * k_2",
        "Each step takes the slope at its end: first order, and smoother than it should be.",
    ),
    method(
        "flow-corrector-told-first-time",
        _SECOND,
        "            else:\n                k_2 = flow(x + dt * k_1, t)",
        "The model takes the corrected state for noisier than it is, and detail is smoothed away.",
    ),
    method(
        "flow-corrector-at-first-state",
        _SECOND,
        "            else:\n                k_2 = flow(x, t_next)",
        "The model takes the first state for as clean as the next one, and noise stays in.",
    ),
    method(
        "classical-stages-weighed-alike",
        _CLASSICAL,
        "x = x + dt * (k_1 + k_2 + k_3 + k_4) / 4  # table 1.2, left",
        "The method is of second order: more calls than it needs for what it gives.",
    ),
    method(
        "classical-third-stage-from-first",
        _THIRD,
        "k_3 = flow(x + dt * k_1 / 2, t + dt / 2)",
        "The third stage repeats the second, and the method is of lower order than its calls pay for.",
    ),
    method(
        "classical-fourth-stage-half-way",
        f"                {_THIRD}\n                {_FOURTH}",
        f"                {_THIRD}\n                k_4 = flow(x + dt * k_3 / 2, t_next)",
        "The model is told that the state is at the step's end where it is half way, and noise stays in.",
    ),
)
