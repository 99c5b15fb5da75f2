"""Mistakes in how long a step is: a length that was kept, or looked up, for another step."""

from __future__ import annotations

from . import KnownFault, Replacement

__all__ = ["FAULTS"]

_EDM = "reference_samplers/edm.py"
_FLOW = "reference_samplers/flow.py"

_LEVELS = "for sigma_cur, sigma_next in pairwise(self.sigma_grid):  # line 3"
_STEP = "x = x_hat + (sigma_next - sigma_hat) * d_cur  # line 8"
_CORRECTION = "x = x_hat + (sigma_next - sigma_hat) * (0.5 * d_cur + 0.5 * d_prime)  # line 11"
_TIMES = "for time_cur, time_next in pairwise(self.time_grid):"
_FLOW_STEP = "x = x + (time_next - time_cur) * flow  # eq. 1"


def _of_edm(name: str, effect: str, loop: str, length: str) -> KnownFault:
    """A step of another length, with Heun's method and with Euler's."""
    return KnownFault(
        name,
        (
            Replacement(_EDM, _LEVELS, loop),
            Replacement(_EDM, _STEP, f"{length}\n            x = x_hat + length * d_cur  # line 8"),
            Replacement(_EDM, _CORRECTION, "x = x_hat + length * (0.5 * d_cur + 0.5 * d_prime)  # line 11"),
        ),
        effect,
    )


def _of_flow(name: str, effect: str, step: str) -> KnownFault:
    counted = "for number, (time_cur, time_next) in enumerate(pairwise(self.time_grid)):"
    return KnownFault(name, (Replacement(_FLOW, _TIMES, counted), Replacement(_FLOW, _FLOW_STEP, step)), effect)


FAULTS: tuple[KnownFault, ...] = (
    _of_edm(
        "step-as-long-as-the-one-before",
        "Steps are longer than the level falls, so that each overshoots, and the last leaves the range of the data.",
        f"kept = None\n        {_LEVELS}",
        "length, kept = sigma_next - sigma_hat if kept is None else kept, sigma_next - sigma_hat",
    ),
    _of_edm(
        "step-one-index-low",
        "The first step goes from the last level to the first, away from the data, and each other one is one late.",
        "for number, (sigma_cur, sigma_next) in enumerate(pairwise(self.sigma_grid)):  # line 3",
        "length = sigma_cur - self.sigma_grid[number - 1]",
    ),
    _of_flow(
        "flow-step-as-long-as-the-one-before",
        "With a shift each step has another length than the model is told, and noise stays in the samples.",
        "before = max(number - 1, 0)\n"
        "            x = x + (self.time_grid[before + 1] - self.time_grid[before]) * flow  # eq. 1",
    ),
    _of_flow(
        "flow-step-one-index-low",
        "The first step goes from the last time to the first, away from the data, and each other one is one late.",
        "x = x + (time_cur - self.time_grid[number - 1]) * flow  # eq. 1",
    ),
)
