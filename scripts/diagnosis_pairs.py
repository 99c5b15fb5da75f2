"""``make diagnosis-pairs``: forty pairs of known faults injected together, and whether both are named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from reference_samplers import DDIM, DDPM, EDM
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.diagnose import targets_of
from sampler_harness.diagnosis.edits import with_fault
from sampler_harness.diagnosis.explanation import Explanation
from sampler_harness.diagnosis.known_faults import KNOWN_FAULTS, KnownFault
from sampler_harness.diagnosis.target import Target
from sampler_harness.diagnosis.words import told

from .diagnosed import Diagnosed, as_sampler, diagnosed

#: What is declared, and how many pairs are tried.
DECLARED: tuple[tuple[type, dict[str, Any], int], ...] = (
    (
        EDM,
        {
            "num_steps": st.integers(2, 12),
            "s_churn": st.floats(0.5, 4.0),
            "s_noise": st.floats(0.95, 1.05),
            "solver": st.sampled_from(["heun", "euler"]),
        },
        16,
    ),
    (DDPM, {"num_train_timesteps": 100, "num_steps": st.integers(2, 12)}, 12),
    (DDIM, {"num_train_timesteps": 100, "num_steps": st.integers(2, 12), "eta": st.floats(0.2, 1.0)}, 12),
)


def sound_targets(reference: type, declared: dict[str, Any]) -> list[Target]:
    """The cases of a sound sampler under a declaration."""
    evidence = Evidence(as_sampler(Explanation("edit", reference), **declared), budget="quick")
    evidence.measure()
    return targets_of(evidence)


def injected(reference: type, *faults: KnownFault) -> Explanation | None:
    """A reference with known faults in it; None where they do not fit together."""
    texts: dict[str, str] | None = {}
    for fault in faults:
        texts = with_fault(texts or {}, fault)
        if texts is None:
            return None
    return Explanation("pair", reference, texts=texts or {}, faults=tuple(fault.name for fault in faults))


def shows(explanation: Explanation, others: list[Explanation], targets: list[Target]) -> bool:
    """Whether an explanation has a finite law in all cases, and in some another one than each of the others."""
    laws = [explanation.law(target) for target in targets]
    if any(law is None or float(np.abs(law.outputs).max(initial=0.0)) > 1e6 for law in laws):
        return False
    for other in others:
        differs = False
        for target, law in zip(targets, laws, strict=True):
            beside = other.law(target)
            assert law is not None
            if beside is None:
                differs = True
                break
            case = Target(target.case, law, law, target.tolerance)
            if case.ratio(beside) > 3:
                differs = True
                break
        if not differs:
            return False
    return True


def pairs(reference: type, declared: dict[str, Any], count: int) -> Iterator[Explanation]:
    """Pairs of faults that each show under a declaration, the same ones every time."""
    targets = sound_targets(reference, declared)
    sound = Explanation("edit", reference)
    files = {function.place.file for function in sound.program.functions.values()}
    alone: list[tuple[KnownFault, Explanation]] = []
    for fault in KNOWN_FAULTS:
        # What is quantised is not affine: it has no law that a pair could be read off.
        if {one.file for one in fault.replacements} <= files and "quantised" not in fault.name:
            one = injected(reference, fault)
            if one is not None and shows(one, [sound], targets):
                alone.append((fault, one))
    found = 0
    for stride in range(7, len(alone), 5):
        for index in range(0, len(alone) - stride, 3):
            (first, a), (second, b) = alone[index], alone[index + stride]
            both = injected(reference, first, second)
            if found < count and both is not None and shows(both, [sound, a, b], targets):
                found += 1
                yield both


def row(pair: Explanation, declared: dict[str, Any]) -> Diagnosed:
    """One pair diagnosed with the thorough search."""
    return diagnosed(as_sampler(pair, **declared), pair, budget="quick", search="thorough")


def main(arguments: list[str]) -> int:
    """Print the table; exit status 1 where a wrong answer is labelled exact."""
    total = named = exact = wrong = 0
    for reference, declared, count in DECLARED:
        if arguments and reference.__name__ not in arguments:
            continue
        for pair in pairs(reference, declared, count):
            result = row(pair, declared)
            total += 1
            named += result.rank == 1
            exact += result.rank == 1 and result.exact
            wrong += result.is_wrong_but_exact
            answer = "-" if result.answer is None else told(result.answer, [t.config for t in result.targets]).summary
            programs = 0 if result.found is None else result.found.programs
            print(
                f"{reference.__name__:5} {' + '.join(pair.faults):70} {result.rank or '-':>3} "
                f"{'exact' if result.exact else '':>5} {result.seconds:5.1f} s {programs:6}  {answer}",
                flush=True,
            )
    print(f"\n{total} pairs: named first {named}, exactly {exact}; wrong but exact {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
