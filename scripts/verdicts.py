"""``make verdicts``: the verdicts of fixtures as JSON, without what differs from run to run; and what moved since.

For whoever changes the harness and means to change no verdict::

    make verdicts ARGS="before.json"
    make verdicts ARGS="after.json"
    make verdicts ARGS="--diff before.json after.json"
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sampler_harness.importing import TargetError
from sampler_harness.report.json import to_json
from sampler_harness.runner import check_sampler
from sampler_harness.targets import load_subjects

#: What is decided on, a module's own names or all that it declares: every kind under test, sound and faulty.
TARGETS = {
    "fixtures.torch_samplers.under_test": ("edm", "ddpm_learned", "ddim", "flow"),
    "fixtures.faulty_samplers.casts": ("sample_through_bfloat16",),
    "fixtures.faulty_samplers.clip": ("clip_without_rederiving", "tanh_for_clamp", "quantised_by_truncation"),
    "fixtures.faulty_samplers.constructed": ("slope_too_short",),
    "fixtures.faulty_samplers.ddim": ("add_noise_at_begin_index", "partial_run_one_step_late"),
    "fixtures.faulty_samplers.ddim_grid": ("linspace_truncated",),
    "fixtures.faulty_samplers.ddim_step": ("eta_squared",),
    "fixtures.faulty_samplers.ddpm": ("upper_bound_of_training_chain", "noise_shared_by_batch"),
    "fixtures.faulty_samplers.ddpm_mean": ("x0_at_current_level",),
    "fixtures.faulty_samplers.ddpm_schedule": ("cosine_without_offset",),
    "fixtures.faulty_samplers.diamond": ("diamond",),
    "fixtures.faulty_samplers.edm": ("nan_into_zero", "one_step_schedule_fails"),
    "fixtures.faulty_samplers.edm_churn": ("gamma_without_limit",),
    "fixtures.faulty_samplers.edm_corrector": ("slopes_added",),
    "fixtures.faulty_samplers.edm_model": ("network_input_not_scaled", "rho_turned_over"),
    "fixtures.faulty_samplers.flow": ("times_not_shifted",),
    "fixtures.faulty_samplers.score_sde": ("root_forgotten", "snr_not_squared"),
    "fixtures.faulty_samplers.shape": ("item_one_never_updated",),
    "fixtures.faulty_samplers.state": ("running_sum_survives", "noise_from_numpy", "default_dtype_left_changed"),
    "fixtures.sound_samplers.score_sde": ("corrected_variance_exploding",),
    "fixtures.sound_samplers.unusual": ("item_by_item",),
    "fixtures.wraps.diamond": (),
    "fixtures.wraps.edm": (),
    "diffusers": ("EDMEulerScheduler", "EulerDiscreteScheduler"),
    "fixtures.torch_training.under_test": (),
    "fixtures.faulty_training.ddpm": (
        "last_timestep_never_drawn",
        "noise_drawn_twice",
        "noise_shared_by_channels",
        "v_with_scales_swapped",
    ),
    "fixtures.faulty_training.edm": ("output_detached",),
    "fixtures.faulty_data.batches": ("standardised",),
    "fixtures.faulty_data.broken": ("returns_nothing",),
    "fixtures.faulty_data.returns": ("wraps_around",),
    "fixtures.faulty_data.tones": ("gamma_twice",),
    "fixtures.sound_data.batches": (),
    "fixtures.sound_data.with_torch": (),
}
#: Keys whose values differ from run to run, or from machine to machine.
LEFT_OUT = {"seconds", "versions"}
#: Of two numbers, more than what another order of summation does to them.
MOVED = 1e-4
#: Differences that are shown of one subject.
SHOWN = 12

Json = Any


def stated(value: Json) -> Json:
    """A verdict's JSON without times, versions, addresses of objects, and digits that rounding decides."""
    if isinstance(value, dict):
        return {name: stated(one) for name, one in value.items() if name not in LEFT_OUT}
    if isinstance(value, list):
        return [stated(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, str):
        return re.sub(r"\b0x[0-9a-f]+", "0x", value)
    return value


def verdicts(parts: list[str]) -> dict[str, Json]:
    """The verdicts of the targets whose name holds one of the parts, of all where there are none; by subject."""
    found: dict[str, Json] = {}
    for module, names in TARGETS.items():
        for target in [f"{module}:{name}" for name in names] or [module]:
            if parts and not any(part in target for part in parts):
                continue
            try:
                subjects = load_subjects(target)
            except TargetError as error:
                found[target] = {"error": str(error)}
                continue
            for subject in subjects:
                started = time.perf_counter()
                verdict = check_sampler(subject, budget="quick")
                found[verdict.sampler] = stated(json.loads(json.dumps(to_json(verdict))))
                sys.stdout.write(f"{time.perf_counter() - started:6.1f} s  {verdict.sampler}\n")
                sys.stdout.flush()
    return found


def moved(old: Json, new: Json, where: str = "") -> Iterator[tuple[str, Json, Json]]:
    """Where two verdicts differ, and what stands there in each."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            if name in old and name in new:
                yield from moved(old[name], new[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}", old.get(name, "nothing"), new.get(name, "nothing")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from moved(one, other, f"{where}[{place}]")
    elif isinstance(old, float) and isinstance(new, float):
        if not (math.isclose(old, new, rel_tol=MOVED) or (math.isnan(old) and math.isnan(new))):
            yield where, old, new
    elif old != new:
        yield where, old, new


def tell_moved(before: Path, after: Path) -> int:
    """Print what moved; the number of subjects that did. What only one of the two files has did not move."""
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
    both = [name for name in new if name in old]
    count = 0
    for name in both:
        found = list(moved(old[name], new[name]))
        count += bool(found)
        sys.stdout.write(f"{'moved' if found else 'same '}  {name}\n")
        for where, one, other in found[:SHOWN]:
            sys.stdout.write(f"    {where}\n      - {str(one)[:400]}\n      + {str(other)[:400]}\n")
        if len(found) > SHOWN:
            sys.stdout.write(f"    and {len(found) - SHOWN} more\n")
    for path, names in ((before, old.keys() - new.keys()), (after, new.keys() - old.keys())):
        sys.stdout.writelines(f"only in {path}: {name}\n" for name in sorted(names))
    sys.stdout.write(f"{len(both)} subjects in both, {count} moved\n")
    return count if both else 1


def main(arguments: list[str]) -> int:
    """Decide and write, or compare; the exit status of a comparison tells whether something moved."""
    parser = argparse.ArgumentParser(prog="python -m scripts.verdicts", description="Verdicts of fixtures, as JSON.")
    parser.add_argument("--diff", nargs=2, metavar=("OLD", "NEW"), type=Path, help="what moved between two files")
    parser.add_argument("out", nargs="?", type=Path, default=Path("verdicts.json"), help="the file that is written")
    parser.add_argument("parts", nargs="*", help="only the targets whose name holds one of these")
    options = parser.parse_args(arguments)
    if options.diff:
        return int(tell_moved(*options.diff) > 0)
    found = verdicts(options.parts)
    if not found:
        parser.error(f"no target is named {' or '.join(options.parts)}")
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found)} verdicts in {options.out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
