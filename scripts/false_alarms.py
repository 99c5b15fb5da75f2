"""``make false-alarms``: everything that is known to be sound, drawn anew from several starts of Hypothesis.

A verdict draws the same configurations everywhere. Here they are drawn from other starts too, so that what conforms
does not do so by the luck of one. Sound are the samplers, training steps and data of ``fixtures``, the wraps of
released programs, and the schedulers of diffusers, each also with every option at each value that it can have.

    make false-alarms
    make false-alarms ARGS="--budget standard --starts 1 2 3"
    make false-alarms ARGS="diffusers:DDIM wraps"
    make false-alarms ARGS="diffusers: --plain"
    make false-alarms ARGS="--budget standard --log sweep.log"

All of it takes hours. With ``--log`` each verdict is a line of that file; a run that was stopped goes on where it was,
as what conformed there is not decided again.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fixtures.faulty_training import SOUND_TRAINING
from fixtures.sound_data import SOUND as SOUND_DATA
from fixtures.sound_samplers import SOUND
from sampler_harness import strategies
from sampler_harness.adapters.diffusers_options import known_options
from sampler_harness.adapters.diffusers_varied import REFERENCED
from sampler_harness.importing import TargetError
from sampler_harness.runner import check_sampler
from sampler_harness.subject import AnySubject
from sampler_harness.targets import load_subject, load_subjects
from sampler_harness.verdict import Verdict

__all__ = ["OPTIONS", "main", "settings_of", "sound"]

#: Modules all of whose declarations are sound, or say what is not.
MODULES = (
    "fixtures.torch_samplers.under_test",
    "fixtures.wraps.denoising_diffusion_ddim",
    "fixtures.wraps.denoising_diffusion_ddpm",
    "fixtures.wraps.diamond",
    "fixtures.wraps.edm",
    "fixtures.wraps.flux_flow",
    "fixtures.wraps.guided_ddim",
    "fixtures.wraps.guided_ddpm",
    "fixtures.wraps.guided_ddpm_learned",
    "fixtures.wraps.lcm_pipeline",
    "fixtures.wraps.policy_ddim",
    "fixtures.wraps.policy_ddpm",
    "fixtures.wraps.policy_flow",
    "fixtures.wraps.score_sde",
    "fixtures.wraps.sd3_flow",
    "fixtures.torch_training.under_test",
)
#: Options of diffusers' schedulers, each value by itself; one that a scheduler lacks or refuses is not asked of it.
OPTIONS: dict[str, tuple[str, ...]] = {
    "base_image_seq_len": ("128",),
    "base_shift": ("0.6",),
    "beta_end": ("0.012",),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"),
    "beta_start": ("0.001",),
    "clip_denoised": ("true", "false"),
    "clip_sample": ("true", "false"),
    "clip_sample_range": ("2.0",),
    "correct_steps": ("0", "2"),
    "dynamic_thresholding_ratio": ("0.9",),
    "eta": ("0.3", "1.0"),
    "final_sigmas_type": ("zero", "sigma_min"),
    "intermediate_timesteps": ("1.2",),
    "interpolation_type": ("linear", "log_linear"),
    "invert_sigmas": ("true",),
    "max_image_seq_len": ("2048",),
    "max_shift": ("1.0",),
    "max_timesteps": ("1.5",),
    "mu": ("1.15",),
    "num_inference_steps": ("10",),
    "num_train_timesteps": ("100", "1000"),
    "original_inference_steps": ("20",),
    "prediction_type": ("epsilon", "sample", "v_prediction"),
    "rescale_betas_zero_snr": ("true", "false"),
    "rho": ("3.0",),
    "s_churn": ("5.0",),
    "s_noise": ("1.003",),
    "s_tmax": ("10.0",),
    "s_tmin": ("0.1",),
    "s": ("0.02",),
    "sample_max_value": ("1.5",),
    "sampling_eps": ("0.001",),
    "scale_factors": ("0.5, 1.0",),
    "scaler": ("2.0", "0.5"),
    "set_alpha_to_one": ("true", "false"),
    "shift": ("3.0",),
    "shift_terminal": ("0.1",),
    "sigma_data": ("1.0",),
    "sigma_max": ("10.0",),
    "sigma_min": ("0.01",),
    "sigma_schedule": ("karras", "exponential"),
    "sigmas": ("5.0, 1.0, 0.1, 0.0",),
    "snr": ("0.05",),
    "snr_shift_scale": ("1.0", "5.0"),
    "steps_offset": ("0", "1"),
    "stochastic_sampling": ("true",),
    "thresholding": ("true",),
    "time_shift_type": ("exponential", "linear"),
    "timestep_scaling": ("0.1",),
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "timestep_type": ("discrete", "continuous"),
    "timesteps": ("900, 400, 20",),
    "trained_betas": ("0.01, 0.03, 0.02, 0.1, 0.2, 0.15, 0.4",),
    "upscale_mode": ("nearest",),
    "use_beta_sigmas": ("true",),
    "use_clipped_model_output": ("true",),
    "use_dynamic_shifting": ("true",),
    "use_exponential_sigmas": ("true",),
    "use_karras_sigmas": ("true",),
    "variance_type": ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"),
}
#: Options that do something beside another one alone.
TOGETHER: tuple[dict[str, str], ...] = (
    {"thresholding": "true", "dynamic_thresholding_ratio": "0.9", "sample_max_value": "1.5"},
    {"s_churn": "5.0", "s_tmin": "0.1", "s_tmax": "10.0", "s_noise": "1.003"},
    {"use_dynamic_shifting": "true", "mu": "1.15", "time_shift_type": "linear"},
    {"prediction_type": "v_prediction", "timestep_type": "continuous", "use_karras_sigmas": "true"},
)


def settings_of(scheduler: str) -> Iterator[dict[str, str]]:
    """What a scheduler of diffusers is asked with: nothing, each value of each of its options, some together.

    Args:
        scheduler: its class.
    """
    known = known_options(scheduler)
    yield {}
    yield from ({name: one} for name in known for one in OPTIONS.get(name, ()))
    yield from (settings for settings in TOGETHER if set(settings) <= set(known))


def sound(parts: list[str], *, plain: bool = False) -> Iterator[tuple[str, AnySubject]]:
    """Every subject that must conform, by a name of its own; without what is refused, or needs a missing package.

    Args:
        parts: of names; none for all.
        plain: schedulers of diffusers with no option fixed alone.
    """

    def wanted(name: str) -> bool:
        return not parts or any(part in name for part in parts)

    there = (one.subject_path for one in SOUND_DATA if not one.needs or importlib.util.find_spec(one.needs))
    for target in (*SOUND, *SOUND_TRAINING, *there):
        if wanted(target):
            yield target, load_subject(target)
    for module in MODULES:
        if wanted(module):
            for subject in load_subjects(module):
                yield subject.target, subject
    for scheduler in REFERENCED:
        for settings in settings_of(scheduler):
            told = " ".join([f"diffusers:{scheduler}", *(f"{name}={value}" for name, value in settings.items())])
            if not wanted(told) or (plain and settings):
                continue
            try:
                found = load_subjects(f"diffusers:{scheduler}", settings)
            except TargetError:
                continue  # an option or a value that has no reference: refused by name
            for subject in found:
                yield told if subject is found[0] else f"{told} ({subject.name})", subject


@dataclass
class Decided:
    """What was decided, a line each, and what of it was flagged.

    Attributes:
        log: file that the lines are kept in; None for none.
        earlier: what conformed in an earlier run, as the lines begin.
    """

    log: Path | None
    earlier: frozenset[str]

    def __post_init__(self) -> None:
        self.targets: set[str] = set()
        self.verdicts = self.configurations = 0
        self.flagged: list[str] = []

    def add(self, name: str, begins: str, verdict: Verdict) -> None:
        """Print and keep a verdict.

        Args:
            name: of the subject.
            begins: the name with budget and start.
            verdict: on it.
        """
        self.targets.add(name)
        self.verdicts += 1
        self.configurations += verdict.coverage.cases
        margin = "" if verdict.margin is None else f"margin {verdict.margin:.3g}, "
        told = f"{begins}: {verdict.coverage.cases} configurations, {margin}{verdict.seconds:.0f} s"
        if not verdict.conforms:
            told = f"{told}: {_told(verdict)}"
            self.flagged.append(told)
        line = f"{_CONFORMS if verdict.conforms else 'FLAGGED  '}{told}\n"
        sys.stdout.write(line)
        sys.stdout.flush()
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(line)


#: How a line of the log begins that says so.
_CONFORMS = "conforms "


def earlier(log: Path | None) -> frozenset[str]:
    """What conformed in earlier runs: name, budget and start, as the lines of the log begin.

    Args:
        log: file of the lines; None or a file that is not there for no earlier run.
    """
    if log is None or not log.exists():
        return frozenset()
    lines = (line for line in log.read_text().splitlines() if line.startswith(_CONFORMS))
    return frozenset(line.removeprefix(_CONFORMS).rpartition(": ")[0] for line in lines)


def main(argv: list[str] | None = None) -> int:
    """Decide on everything; the exit status tells whether anything was flagged."""
    parser = argparse.ArgumentParser(prog="false_alarms", description="what is sound and flagged all the same")
    parser.add_argument("parts", nargs="*", metavar="NAME-PART", help="subjects whose name holds one of these")
    parser.add_argument("--budget", choices=("quick", "standard", "thorough"), default="quick")
    parser.add_argument("--starts", nargs="+", type=int, default=[strategies.START], metavar="N")
    parser.add_argument("--plain", action="store_true", help="schedulers of diffusers with no option fixed alone")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep each verdict there, and go on from what it has")
    options = parser.parse_args(argv)
    decided, began = Decided(options.log, earlier(options.log)), time.perf_counter()
    for start in options.starts:
        strategies.START = start
        for name, subject in sound(options.parts, plain=options.plain):
            begins = f"{name}, {options.budget}, from {start}"
            if begins not in decided.earlier:
                decided.add(name, begins, check_sampler(subject, budget=options.budget, diagnose=False))
    sys.stdout.write(
        f"{len(decided.targets)} targets, {decided.verdicts} verdicts, {decided.configurations} configurations, "
        f"{len(decided.flagged)} flagged, {time.perf_counter() - began:.0f} s\n"
    )
    if decided.earlier:
        sys.stdout.write(f"{len(decided.earlier)} verdicts of {options.log} conformed before\n")
    sys.stdout.writelines(f"  {line}\n" for line in decided.flagged)
    return 1 if decided.flagged else 0


def _told(verdict: Verdict) -> str:
    return "; ".join(f"{one.id}: {one.message.splitlines()[0]}" for one in verdict.causes) or "nothing was decided"


if __name__ == "__main__":
    raise SystemExit(main())
