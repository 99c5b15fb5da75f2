"""Which table of a chain has a signal: one that has a name, or one that is written out."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reference_samplers.processes import betas
from sampler_harness.law.response import Array

from .numbers import shortest
from .signal import turns
from .steps import Step

__all__ = [
    "levels_between",
    "log_snr",
    "named_tables",
    "other_tables",
    "table_of",
    "tables_of",
    "tables_that_turn",
    "written_out",
]

#: Lengths of tables that people train on; a longer one is looked for from what the model is told.
LENGTHS = (1000, 100, 50, 20, 200, 250, 500, 2000, 4000)
#: Ends of linear tables that have a name: Ho et al. 2020, Rombach et al. 2022.
ENDS = ((1e-4, 0.02), (0.00085, 0.012))
#: How far the logarithm of the signal-to-noise ratio may be off for a table to be looked at.
NEAR = 1e-2
#: What a float32 step adds to the rounding of a product.
ROUNDED = 1e-7
#: Times what is left of the equations that their solution may be off: rounding is not alike at all timesteps.
LEFT = 20.0
#: Below this alpha_bar only that it is next to nothing is compared.
LOST = 1e-7
_OF_ENDS = ("linear", "scaled_linear")


def log_snr(alpha_bar: Array) -> Array:
    """``ln(alpha_bar / (1 - alpha_bar))``, next to nothing held at one value.

    Args:
        alpha_bar: shares of the signal's variance.
    """
    held = np.clip(alpha_bar, LOST, 1 - 1e-12)
    return np.asarray(np.log(held) - np.log1p(-held))


def levels_between(table: Array, places: Sequence[float], *, by_logarithm: bool = False) -> Array:
    """Alpha_bar at places in a table, linear between entries in the noise level, or in its logarithm.

    Args:
        table: ``(T,)`` alpha_bar.
        places: whole or not.
        by_logarithm: of the noise level, as a level's fractional index has it.
    """
    sigma = np.sqrt(np.maximum(1 - table, 0) / np.maximum(table, 2.0**-96))
    entries = np.log(np.maximum(sigma, 1e-12)) if by_logarithm else sigma
    between = np.interp(np.asarray(places, dtype=np.float64), np.arange(len(table)), entries)
    return np.asarray(1 / (1 + (np.exp(between) if by_logarithm else between) ** 2))


def _lengths(places: Sequence[float]) -> list[int]:
    least = int(np.ceil(max(places))) + 1
    longer = [length for length in LENGTHS if length >= least]
    return longer if least in LENGTHS else [*longer, least]


def tables_of(places: Sequence[float], alpha_bar: Array) -> Iterator[Mapping[str, Any]]:
    """Fields of the tables with a name that have, at some places, some signal, of the likeliest length.

    Args:
        places: what the model is told.
        alpha_bar: ``(K,)`` there; NaN where it was not seen.
    """
    seen = np.isfinite(alpha_bar)
    if not seen.any() or min(places) < 0:
        return
    at = [place for place, one in zip(places, seen, strict=True) if one]
    wanted = log_snr(alpha_bar[seen])
    found = False
    for length in dict.fromkeys(_lengths(places)):
        for fields in _named(length):
            table = table_of(fields)
            if table is not None and _is_near(table, at, wanted):
                found = True
                yield fields
        if found:
            return


def other_tables(timesteps: tuple[int, ...], alpha_bar: Array) -> Iterator[Mapping[str, Any]]:
    """Fields of tables without a name: linear ones whose ends are solved for, and one that is written out.

    Args:
        timesteps: what the model is told.
        alpha_bar: ``(K,)`` there; NaN where it was not seen.
    """
    seen = np.isfinite(alpha_bar)
    at = [float(place) for place, one in zip(timesteps, seen, strict=True) if one]
    if len(at) > 1:
        yield from _with_ends(at, log_snr(alpha_bar[seen]), list(dict.fromkeys(_lengths(timesteps))))
    by_hand = written_out(timesteps, alpha_bar)
    if by_hand is not None:
        yield {"betas": by_hand, "num_train_timesteps": len(by_hand)}


def named_tables(places: Sequence[float]) -> Iterator[Mapping[str, Any]]:
    """Every table with a name that has these places, of the length that is likeliest.

    Args:
        places: what the model is told.
    """
    for length in dict.fromkeys(_lengths(places)):
        yield from _named(length)


def tables_that_turn(places: Sequence[float], steps: Sequence[Step]) -> Iterator[tuple[Mapping[str, Any], Array]]:
    """Tables with a name along which steps of a model of v lead, and alpha at these places.

    Args:
        places: what the model is told.
        steps: each of one call.
    """
    if len(places) < 2 or min(places) < 0:
        return
    for fields in named_tables(places):
        table = table_of(fields)
        if table is not None and max(places) <= len(table) - 1:
            alpha = np.sqrt(levels_between(table, places))
            if turns(steps, alpha):
                yield fields, alpha


def _named(length: int) -> Iterator[Mapping[str, Any]]:
    for schedule in typing.get_args(betas.BetaSchedule):
        for start, end in ENDS if schedule in (*_OF_ENDS, "sigmoid") else ENDS[:1]:
            for rescaled in (False, True):
                yield {
                    "num_train_timesteps": length, "beta_schedule": schedule, "beta_start": start, "beta_end": end,
                    "rescale_zero_terminal_snr": rescaled,
                }  # fmt: skip


def table_of(fields: Mapping[str, Any]) -> Array | None:
    """Alpha_bar of a chain by its fields; None where they make none.

    Args:
        fields: of the table.
    """
    try:
        with np.errstate(all="ignore"):
            variances = betas.betas(
                fields["beta_schedule"], fields["num_train_timesteps"], fields["beta_start"], fields["beta_end"]
            )
            if not ((variances > 0) & (variances <= 1)).all():
                return None
            table = betas.alpha_bar(variances)
            if fields.get("rescale_zero_terminal_snr"):
                table = betas.rescale_zero_terminal_snr(table)
    except (ValueError, ArithmeticError, IndexError):
        return None
    return table if np.isfinite(table).all() else None


def _is_near(table: Array, places: Sequence[float], wanted: Array) -> bool:
    """Whether a table has the signal at some places, in one way or the other to go between its entries."""
    if max(places) > len(table) - 1:
        return False
    ways = [log_snr(levels_between(table, places, by_logarithm=way)) for way in (False, True)]
    low, high = np.minimum(*ways), np.maximum(*ways)
    # Near data a product of many float32 numbers is off by more than what it differs from 1.
    noise = 1 / (1 + np.exp(wanted))
    allowed = NEAR + np.minimum(ROUNDED * len(places) / noise, 0.5)
    return bool(((wanted >= low - allowed) & (wanted <= high + allowed)).all())


def _with_ends(places: Sequence[float], wanted: Array, lengths: Sequence[int]) -> Iterator[Mapping[str, Any]]:
    """Linear tables with other ends: solved for by least squares from the named ones."""
    from scipy.optimize import least_squares

    for schedule in _OF_ENDS:
        found: list[Mapping[str, Any]] = []
        for length in lengths:

            def rest(ends: Array, schedule: str = schedule, length: int = length) -> Array:
                table = table_of({"beta_schedule": schedule, "num_train_timesteps": length,
                                "beta_start": float(np.exp(ends[0])), "beta_end": float(np.exp(ends[1]))})  # fmt: skip
                if table is None:
                    return np.full(len(places), 10.0)
                return log_snr(levels_between(table, places)) - wanted

            solved = least_squares(rest, np.log(ENDS[0]), x_scale=0.1, xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=60)
            if float(np.abs(solved.fun).max()) > NEAR / 4:
                continue
            start, end = (float(np.exp(one)) for one in solved.x)
            # What is left over, as a share of each end: the lower one is little of most entries.
            jacobian = np.asarray(solved.jac, dtype=np.float64)
            spread = np.sqrt(np.abs(np.diag(np.linalg.pinv(jacobian.T @ jacobian))))
            off_start, off_end = (float(one) for one in 2e-6 + LEFT * float(np.abs(solved.fun).max()) * spread)
            found.append({
                "num_train_timesteps": length, "beta_schedule": schedule,
                "beta_start": shortest(start, off_start * start), "beta_end": shortest(end, off_end * end),
                "rescale_zero_terminal_snr": False,
            })  # fmt: skip
        # A longer table goes on along the same line: the one that was meant ends at a number that people write.
        yield from sorted(found, key=lambda fields: _digits(fields["beta_start"]) + _digits(fields["beta_end"]))[:1]


def _digits(number: float) -> int:
    """How many digits a number is written with, where it stands aside."""
    return len(f"{number:.9e}".partition("e")[0].replace(".", "").rstrip("0"))


def written_out(places: Sequence[float], alpha_bar: Array) -> tuple[float, ...] | None:
    """A table of betas that has a signal at some places, and what is even between them.

    Args:
        places: whole numbers.
        alpha_bar: there, falling with the place.
    """
    if not np.isfinite(alpha_bar).all() or any(place != int(place) or place < 0 for place in places):
        return None
    order = np.argsort(places)
    at = np.asarray(places, dtype=np.float64)[order].astype(int)
    logs = np.log(np.clip(alpha_bar[order], 1e-12, 1.0))
    whole = np.interp(np.arange(at[-1] + 1), np.concatenate([[-1], at]), np.concatenate([[0.0], logs]))
    variances = -np.expm1(np.diff(np.concatenate([[0.0], whole])))
    if not ((variances > 0) & (variances < 1)).all():
        return None
    return tuple(float(beta) for beta in variances)
