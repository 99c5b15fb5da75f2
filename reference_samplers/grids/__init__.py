"""Grids: which levels a sampler visits, from the noisiest to the data. Each names its convention's source."""

from __future__ import annotations

from .even_log_snr import FlowLogSNR, VPLogSNR
from .even_times import EvenTimes
from .flow_match_times import FlowMatchTimes
from .grid import Grid
from .levels_in_table import LevelsInTable
from .linear_quadratic import LinearQuadratic
from .noise_levels import KarrasLevels
from .quantile_times import BetaTimes, LogitNormalTimes
from .sized_times import SizedTimes
from .spaced_timesteps import SpacedTimesteps
from .spread_levels import ExponentialLevels, KLOptimalLevels, PolyexponentialLevels
from .stretched_times import StretchedTimes
from .table_levels import TableLevels

__all__ = [
    "ALL_GRIDS",
    "BetaTimes",
    "EvenTimes",
    "ExponentialLevels",
    "FlowLogSNR",
    "FlowMatchTimes",
    "Grid",
    "KLOptimalLevels",
    "KarrasLevels",
    "LevelsInTable",
    "LinearQuadratic",
    "LogitNormalTimes",
    "PolyexponentialLevels",
    "SizedTimes",
    "SpacedTimesteps",
    "StretchedTimes",
    "TableLevels",
    "VPLogSNR",
]

#: Every grid that a function of levels can be held against, in the order in which they are tried when levels are
#: looked for. Not among them is what a process is needed for: ``TableLevels`` can be declared, and is not looked for.
ALL_GRIDS: tuple[type[Grid], ...] = (
    EvenTimes,
    KarrasLevels,
    ExponentialLevels,
    SizedTimes,
    StretchedTimes,
    PolyexponentialLevels,
    KLOptimalLevels,
    LevelsInTable,
    SpacedTimesteps,
    LinearQuadratic,
    BetaTimes,
    LogitNormalTimes,
    FlowLogSNR,
    VPLogSNR,
    FlowMatchTimes,
)
