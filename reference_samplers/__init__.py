"""Reference samplers: the algorithms of the papers in float64 numpy, to be checked against the page by eye.

Each module holds one paper's sampler as a frozen dataclass, joined of a process (``processes/``), a grid (``grids/``)
and the method itself; ``contract.py`` says what all of them offer. ``sample(model, noise)`` is the paper's algorithm,
line for line. Its two arguments are the only openings to the world: ``model(x, time)`` gives the network's output,
and ``noise()`` a fresh unit normal of the sample's shape.

The ``*_training`` modules hold the training steps that belong to them: ``step(model, x0, draws)`` is the loss of each
item, and the same step's figures stand beside it as methods.
"""

from __future__ import annotations

from .alphafold3 import AlphaFold3
from .ancestral import EulerAncestral
from .consistency import ConsistencyModel, FlowConsistency
from .contract import Reference
from .ddim import DDIM
from .ddim_inversion import DDIMInversion
from .ddpm import DDPM
from .ddpm_training import DDPMTraining
from .dpm2 import DPM2, DPM2Ancestral
from .edm import EDM
from .edm_training import EDMTraining
from .flow import FlowEuler
from .flow_ancestral import FlowAncestral
from .flow_runge_kutta import FlowRungeKutta
from .flow_sde import FlowSDE
from .flow_training import FlowTraining
from .interpolant import InterpolantEuler, InterpolantRungeKutta, InterpolantSDE
from .lcm import LCM
from .score_sde import ScoreSDE
from .tcd import TCD
from .training_contract import TrainingReference
from .trig_flow import TrigFlowConsistency, TrigFlowDDIM

__all__ = [
    "ALL_REFERENCES",
    "ALL_TRAINING_REFERENCES",
    "DDIM",
    "DDPM",
    "DPM2",
    "EDM",
    "LCM",
    "TCD",
    "AlphaFold3",
    "ConsistencyModel",
    "DDIMInversion",
    "DDPMTraining",
    "DPM2Ancestral",
    "EDMTraining",
    "EulerAncestral",
    "FlowAncestral",
    "FlowConsistency",
    "FlowEuler",
    "FlowRungeKutta",
    "FlowSDE",
    "FlowTraining",
    "InterpolantEuler",
    "InterpolantRungeKutta",
    "InterpolantSDE",
    "Reference",
    "ScoreSDE",
    "TrainingReference",
    "TrigFlowConsistency",
    "TrigFlowDDIM",
]

#: Every reference, in the order in which they are tried when a law is looked for.
ALL_REFERENCES: tuple[type[Reference], ...] = (
    EDM,
    DDPM,
    DDIM,
    FlowEuler,
    ScoreSDE,
    FlowRungeKutta,
    FlowSDE,
    FlowConsistency,
    ConsistencyModel,
    LCM,
    EulerAncestral,
    DPM2,
    DPM2Ancestral,
    FlowAncestral,
    TCD,
    AlphaFold3,
    DDIMInversion,
    TrigFlowConsistency,
    TrigFlowDDIM,
    InterpolantEuler,
    InterpolantRungeKutta,
    InterpolantSDE,
)

#: Every reference of a training step.
ALL_TRAINING_REFERENCES: tuple[type[TrainingReference], ...] = (EDMTraining, DDPMTraining, FlowTraining)
