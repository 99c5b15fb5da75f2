"""``make diagnosis``: every fault that an edit expresses, the first answer, the rank of the truth, and seconds."""

from __future__ import annotations

import sys

from fixtures.faulty_samplers import FAULTY
from fixtures.faulty_samplers.true_edits import TRUE_EDITS
from sampler_harness.diagnosis.words import told
from sampler_harness.targets import load_sampler

from .diagnosed import Diagnosed, as_explanation, diagnosed


def row(name: str, budget: str) -> Diagnosed:
    """One faulty sampler diagnosed."""
    faulty = next(one for one in FAULTY if one.name == name)
    subject = load_sampler(faulty.subject_path)
    return diagnosed(subject, as_explanation(subject.reference, TRUE_EDITS[name]), budget=budget)


def main(arguments: list[str]) -> int:
    """Print the table; exit status 1 where a wrong answer is labelled exact."""
    budget = "quick"
    wanted = [a for a in arguments if not a.startswith("-")]
    names = [f.name for f in FAULTY if f.name in TRUE_EDITS and (not wanted or any(w in f.name for w in wanted))]
    first = three = wrong = 0
    print(f"{'fault':52} {'rank':>4} {'exact':>5} {'s':>5}  answer")
    for name in names:
        result = row(name, budget)
        first += result.rank == 1
        three += 1 <= result.rank <= 3
        wrong += result.is_wrong_but_exact
        answer = "-" if result.answer is None else told(result.answer, [t.config for t in result.targets]).summary
        print(
            f"{name:52} {result.rank or '-':>4} {'yes' if result.exact else '':>5} {result.seconds:5.1f}  {answer}",
            flush=True,
        )
    print(f"\n{len(names)} faults: truth first {first}, among the first three {three}; wrong but exact {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
