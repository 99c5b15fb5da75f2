"""``make bench``: speed as ratios within one run, since machines differ and are noisy.

Nothing here is a test: no figure decides anything. Each ratio is the median of several rounds in which both sides are
timed next to each other.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reference_samplers import DDPM, EDM
from sampler_harness.diagnosis.mutations import mutations
from sampler_harness.diagnosis.target import Target, run_program
from sampler_harness.law.bundle import Bundle
from sampler_harness.law.program import Program, Trace
from sampler_harness.law.tolerance import reference_law, tolerance_of
from sampler_harness.observe.trace import Case
from sampler_harness.runner import Assessment
from sampler_harness.subject import Subject
from sampler_harness.targets import load_sampler

TORCH_SAMPLERS = "fixtures.torch_samplers.under_test"


def seconds(function: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def bare_run(subject: Subject, case: Case) -> Callable[[], Any]:
    """The sampler without any probe: a model that answers zeros."""

    def model(x: torch.Tensor, sigma: Any) -> torch.Tensor:
        return torch.zeros_like(x)

    keywords: dict[str, Any] = {"generator": torch.Generator()} if subject.takes_generator else {}
    return lambda: subject.function(
        model, case.shape, case.config, device=torch.device("cpu"), dtype=getattr(torch, case.dtype), **keywords
    )


def law_ratio(target: str, config: Any, shape: tuple[int, ...], rounds: int) -> dict[str, float]:
    """Zero and impulse run together, over the bare sampler."""
    subject = load_sampler(target)
    case = Case(config, shape)
    bare = bare_run(subject, case)
    bare()
    pairs = []
    for _ in range(rounds):
        plain = seconds(bare)
        measured = seconds(lambda: Bundle(subject, case).first)
        pairs.append((measured, plain))
    return {
        "ratio": statistics.median(m / p for m, p in pairs),
        "law_ms": 1e3 * statistics.median(m for m, _ in pairs),
        "bare_ms": 1e3 * statistics.median(p for _, p in pairs),
    }


def verdict_seconds(target: str, budget: str) -> dict[str, Any]:
    """A whole verdict, after imports."""
    assessment = Assessment(load_sampler(target), budget=budget)
    started = time.perf_counter()
    verdict = assessment.verdict()
    spent = time.perf_counter() - started
    return {
        "seconds": spent,
        "conforms": verdict.conforms,
        "cases": verdict.coverage.cases,
        "cases_per_second": verdict.coverage.cases / spent,
        "model_calls": verdict.coverage.model_calls,
    }


def whole_processes(rounds: int) -> dict[str, dict[str, float]]:
    """What a person waits for: ``check-sampler`` from start to end, over the imports that any verdict needs.

    In each round all are timed in turn, each next to a process of imports alone: a busy machine is busy for both.
    """
    calls = {
        "check-sampler, our EDM, quick": [f"{TORCH_SAMPLERS}:edm", "--budget", "quick"],
        "check-sampler, our DDPM, standard": [f"{TORCH_SAMPLERS}:ddpm", "--budget", "standard"],
        "check-sampler --help": ["--help"],
        "check-sampler --explain DDIM": ["--explain", "DDIM"],
        "check-sampler --list-checks": ["--list-checks"],
        "check-sampler --list-references": ["--list-references"],
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, arguments in calls.items():
            imports = process_seconds("-c", "import torch, hypothesis, scipy.stats")
            spent[name].append((process_seconds("-m", "sampler_harness.cli", *arguments), imports))
    return {
        name: {
            "ratio": statistics.median(whole / imports for whole, imports in pairs),
            "seconds": statistics.median(whole for whole, _ in pairs),
            "imports_s": statistics.median(imports for _, imports in pairs),
        }
        for name, pairs in spent.items()
    }


def process_seconds(*arguments: str) -> float:
    """Wall-clock seconds of a process of this interpreter, which must end well."""
    command = [sys.executable, *arguments]
    return seconds(lambda: subprocess.run(command, capture_output=True, check=True))


def empty_pytest(rounds: int) -> dict[str, Any]:
    """What loading the plugin adds to an unrelated, empty pytest run."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        Path(folder, "conftest.py").write_text(
            "import sys\ndef pytest_unconfigure():\n    print('torch loaded:', 'torch' in sys.modules)\n",
            encoding="utf-8",
        )
        base = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder]
        with_plugin, without = [], []
        told = ""
        for _ in range(rounds):
            started = time.perf_counter()
            told = subprocess.run(base, capture_output=True, text=True, check=True, cwd=folder).stdout
            with_plugin.append(time.perf_counter() - started)
            started = time.perf_counter()
            command = [*base, "-p", "no:sampler_harness"]
            subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
            without.append(time.perf_counter() - started)
    return {
        "ratio": statistics.median(a / b for a, b in zip(with_plugin, without, strict=True)),
        "with_s": statistics.median(with_plugin),
        "without_s": statistics.median(without),
        "torch_loaded": "torch loaded: True" in told,
    }


def mutants(config: Any, rounds: int, *, stopped: bool) -> dict[str, float]:
    """Single edits of a reference, each compiled and measured, as the diagnosis does.

    Args:
        config: what they run.
        rounds: how often all of them.
        stopped: whether a run ends at the first call at which it differs from a sampler (whose first noise is off).
    """
    program, trace = Program(type(config)), Trace()
    law = reference_law(config)
    tolerance = tolerance_of(config, "float32")
    case = Case(config, (2, 3, 16, 16))
    target = Target(case, law, law, tolerance) if stopped else None
    limits: dict[str, Any] = {"max_calls": 2 * law.num_calls + 8, "max_draws": 2 * law.num_calls + 10}

    def run() -> None:
        run_program(program.configured(config), **limits, target=target)

    with np.errstate(all="ignore"):
        program.traced(run, trace)
        spent, measuring, count = [], [], 0
        for _ in range(rounds):
            inside = 0.0
            count = 0
            started = time.perf_counter()
            for mutation in mutations(program, trace):
                count += 1
                with mutation.applied():
                    try:
                        with program.edited(mutation.function):
                            inside += seconds(run)
                    except (SyntaxError, ValueError, TypeError, AttributeError):
                        continue
            spent.append(time.perf_counter() - started)
            measuring.append(inside / spent[-1])
    return {
        "mutants": float(count),
        "per_second": count / statistics.median(spent),
        "share_outside_measuring": 1 - statistics.median(measuring),
    }


def main() -> int:
    """Measure and print; a JSON copy goes to ``bench.json``."""
    torch.set_num_threads(1)
    edm, ddpm = f"{TORCH_SAMPLERS}:edm", f"{TORCH_SAMPLERS}:ddpm"
    verdict_seconds(edm, "quick")  # imports and caches of the libraries
    results: dict[str, Any] = {
        "law of EDM, 18 steps, over the bare sampler": law_ratio(edm, EDM(), (2, 3, 16, 16), 9),
        "law of DDPM, 100 steps, over the bare sampler": law_ratio(ddpm, DDPM(num_steps=100), (2, 3, 32, 32), 5),
        "law of DDPM, 1000 steps, over the bare sampler": law_ratio(ddpm, DDPM(), (2, 3, 32, 32), 3),
        "quick verdict, EDM": verdict_seconds(edm, "quick"),
        "quick verdict, DDPM": verdict_seconds(ddpm, "quick"),
        "standard verdict, EDM": verdict_seconds(edm, "standard"),
        "standard verdict, DDPM": verdict_seconds(ddpm, "standard"),
        "mutants of EDM, 5 steps, Heun and churn, whole laws": mutants(EDM(num_steps=5, s_churn=2.0), 5, stopped=False),
        "the same, stopped at the first difference": mutants(EDM(num_steps=5, s_churn=2.0), 5, stopped=True),
        "mutants of DDPM, 5 steps, whole laws": mutants(DDPM(num_steps=5), 5, stopped=False),
        "empty pytest run with the plugin over without": empty_pytest(7),
        **{f"{name}, whole process over imports": figures for name, figures in whole_processes(3).items()},
    }
    for name, figures in results.items():
        told = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items())
        sys.stdout.write(f"{name}: {told}\n")
    Path("bench.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
