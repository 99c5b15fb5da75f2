"""What a scheduler shows of itself before ``set_timesteps``: tables that training reads and no run of sampling does."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference_samplers.diffusers_chains import CogVideoXDDIM
from reference_samplers.grids.table_levels import TableLevels
from reference_samplers.openings import Array
from reference_samplers.processes.table_chain import TableChain

from .diffusers_handling import order_of

__all__ = ["check_shown", "check_tables"]

#: A product of T numbers in float32 has T roundings of a number that is at most 1.
_ROUNDING = 2.0**-23


_CONSTRUCTED = "as constructed"
#: Schedulers whose timesteps are float64 until a grid is laid out.
_DOUBLE_TIMESTEPS = ("EulerAncestralDiscreteScheduler",)
#: Schedulers whose one table of betas is float64.
_DOUBLE_TABLES = {"CogVideoXDDIMScheduler": "scaled_linear"}


def check_shown(scheduler: Any, when: str) -> None:
    """Hold dtypes and lengths of what a scheduler hands out: told in another dtype, a model computes in another one.

    Context: no page says which they are. Choice: those of the release, whole timesteps for a chain and float32 for all
    else. Reversed by: a release that changes them on purpose.

    Args:
        scheduler: of diffusers.
        when: was it looked at; completes "timesteps of a scheduler …".

    Raises:
        ValueError: names what has another dtype.
    """
    wanted = {"timesteps": "torch.float32" if "sigmas" in vars(scheduler) else "torch.int64"}
    wanted |= dict.fromkeys(("sigmas", "alphas_cumprod", "betas"), "torch.float32")
    is_double = when == _CONSTRUCTED and type(scheduler).__name__ in _DOUBLE_TIMESTEPS
    if is_double or (hasattr(scheduler, "sigmas_interpol") and scheduler.config.get("use_exponential_sigmas")):
        wanted["timesteps"] = "torch.float64"
    if scheduler.config.get("trained_betas") is None and scheduler.config.get("beta_schedule") == _DOUBLE_TABLES.get(
        type(scheduler).__name__, ""
    ):
        wanted |= dict.fromkeys(("alphas_cumprod", "betas"), "torch.float64")
    for name, should_be in wanted.items():
        table = vars(scheduler).get(name)
        if table is not None and str(table.dtype) != should_be:
            raise ValueError(f"{name} of a scheduler {when} has dtype {table.dtype}, should be {should_be}")
    levels, times = vars(scheduler).get("sigmas"), len(scheduler.timesteps)
    is_one_too_many = scheduler.config.get("interpolation_type", "linear") != "linear"  # a known deviation
    is_one_too_many = is_one_too_many or hasattr(scheduler, "sigmas_interpol")  # two lists, neither of them a grid
    if levels is not None and not is_one_too_many and len(levels) != times + 1:
        raise ValueError(f"sigmas of a scheduler {when} are {len(levels)}, should be {times + 1}")


def check_tables(scheduler: Any, config: Any) -> None:
    """Hold a scheduler as constructed against the table of its reference.

    Args:
        scheduler: without a grid.
        config: configuration of the reference.

    Raises:
        ValueError: names what differs, and where.
    """
    alpha_bar = _alpha_bar(config)
    if alpha_bar is None:
        return
    length = config.num_train_timesteps
    if hasattr(type(scheduler), "__len__") and len(scheduler) != length:
        raise ValueError(f"len(scheduler) is {len(scheduler)}, should be {length}")
    _hold("alphas_cumprod", scheduler.alphas_cumprod, alpha_bar, (length + _gain(config)) * _ROUNDING)
    is_shifted = isinstance(config, CogVideoXDDIM)
    if is_shifted or not config.rescale_zero_terminal_snr:  # where alpha_bar nears 0 its ratios are lost
        plain = config.table_before_shift if is_shifted else alpha_bar
        betas = 1 - plain / np.append(1.0, plain[:-1])
        _hold("betas", scheduler.betas, betas, 2 * _ROUNDING)
    if not _levels_at_once(scheduler) and not config.values().get("continuous_time"):
        _hold("timesteps", scheduler.timesteps, np.arange(length)[::-1], 0.0)
    if isinstance(config, TableChain):
        _hold("init_noise_sigma", scheduler.init_noise_sigma, np.array(1.0), 0.0)
    elif not _levels_at_once(scheduler) and config.is_table_increasing:
        largest = config.table[-1]
        with_data = np.sqrt(largest**2 + 1) if config.timestep_spacing == "leading" else largest
        _hold("init_noise_sigma / its reference", scheduler.init_noise_sigma / with_data, np.array(1.0), 1e-3)


def _alpha_bar(config: Any) -> Array | None:
    """``(T,)`` alpha_bar of the timesteps; None where there is no table."""
    if isinstance(config, TableChain):
        return config.alpha_bar[1 : config.num_train_timesteps + 1]
    if isinstance(config, TableLevels):
        levels: Array = 1 / (1 + np.square(config.table))
        return levels
    return None


def _gain(config: Any) -> float:
    """How much rescaling stretches the roundings of a table: sqrt(alpha_bar) is shifted to end in 0, then scaled."""
    if not config.rescale_zero_terminal_snr:
        return 0.0
    if isinstance(config, TableChain):
        plain = config.table_of_schedule
    else:
        names = ("num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "betas")
        plain = 1 / (1 + np.square(TableLevels(num_steps=1, **{n: config.values()[n] for n in names}).table))
    signal = np.sqrt(plain)
    return float(4 * signal[0] / (signal[0] - signal[-1]))


def _levels_at_once(scheduler: Any) -> bool:
    """Whether it lays out a grid when it is constructed: then a run without ``set_timesteps`` shows all of it."""
    return bool(order_of(scheduler) == 2)


def _hold(name: str, got: Any, should_be: Array, allowed: float) -> None:
    values = np.asarray(got, dtype=np.float64)
    if values.shape != should_be.shape:
        raise ValueError(f"{name} of a new scheduler has shape {values.shape}, should be {should_be.shape}")
    off = np.abs(values - should_be)
    if not bool((off <= allowed).all()):
        place = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
        found, wanted = np.ravel(values)[place], np.ravel(should_be)[place]
        raise ValueError(f"{name} of a new scheduler, entry {place}, is {found:.8g}, should be {wanted:.8g}")
