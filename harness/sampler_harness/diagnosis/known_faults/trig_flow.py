"""Mistakes around TrigFlow, arXiv:2410.11081."""

from __future__ import annotations

from . import KnownFault, edits_of

__all__ = ["FAULTS"]

process = edits_of("reference_samplers/processes/trig_flow.py")
method = edits_of("reference_samplers/trig_flow.py")
grid = edits_of("reference_samplers/grids/angles.py")

_DATA = "return np.asarray(np.cos(t) * x - np.sin(t) * self.to_velocity(output))  # eq. 3"
_STEP = "x = np.cos(t - t_next) * x - np.sin(t - t_next) * velocity  # section 3, DDIM"

FAULTS: tuple[KnownFault, ...] = (
    process(
        "trig-noise-of-unit-std",
        "return np.cos(t), self.sigma_data * np.sin(t)",
        "return np.cos(t), np.sin(t)",
        "Fresh noise is louder than the network was trained on, and it is taken for structure.",
    ),
    process(
        "trig-output-added-to-data",
        _DATA,
        "return np.asarray(np.cos(t) * x + np.sin(t) * self.to_velocity(output))  # eq. 3",
        "The noise that the network finds is added and not taken off, and samples are noise.",
    ),
    process(
        "trig-output-not-scaled-by-sigma-data",
        'return self.sigma_data * output if self.prediction == "network" else output',
        "return output",
        "The network's part is as strong as if data had unit variance, and samples are too loud.",
    ),
    process(
        "trig-network-shown-x",
        'return x / self.sigma_data if self.prediction == "network" else x',
        "return x",
        "The network sees inputs that are quieter than those it was trained on.",
    ),
    process(
        "trig-sine-and-cosine-exchanged",
        _DATA,
        "return np.asarray(np.sin(t) * x - np.cos(t) * self.to_velocity(output))  # eq. 3",
        "Noise is kept for data, and the other way round.",
    ),
    process(
        "trig-first-noise-of-unit-std",
        "return self.sigma_data\n\n    def scales",
        "return 1.0\n\n    def scales",
        "The run starts louder than the level that the model is told.",
    ),
    process(
        "trig-told-noise-level",
        "return float(t)",
        "return float(self.sigma_data * np.tan(t))",
        "The model takes a noise level for an angle, and near noise it is told numbers that it has never seen.",
    ),
    method(
        "trig-straight-step",
        _STEP,
        "x = x - (t - t_next) * velocity  # section 3, DDIM",
        "The path is an arc: with few steps samples are too large.",
    ),
    method(
        "trig-turned-from-data",
        _STEP,
        "x = np.cos(t - t_next) * x + np.sin(t - t_next) * velocity  # section 3, DDIM",
        "Each step goes away from the data, and samples are noise.",
    ),
    grid(
        "angles-from-right-angle",
        "return np.linspace(self.first_angle, 0.0, self.num_steps + 1)",
        "return np.linspace(np.pi / 2, 0.0, self.num_steps + 1)",
        "The run begins where there is no signal at all, at an angle that the network was hardly trained at.",
    ),
)
