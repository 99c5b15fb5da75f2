"""Which check fails which faulty sampler, where it says to look, and how many causes it counts.

Printed by ``make kill-matrix``, proven by its tests in ``tests/bank``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from fixtures.faulty_samplers import FAULTY, FAULTY_SCORE_SDE, Faulty
from fixtures.faulty_samplers.marks import marked_lines
from fixtures.sound_samplers import SOUND
from sampler_harness.runner import check_sampler
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Place, Verdict

__all__ = ["causes", "counts_right", "looks_right", "main", "names_none", "verdict_of"]

_verdicts: dict[str, Verdict] = {}
_diagnosed: dict[str, Verdict] = {}


def verdict_of(target: str) -> Verdict:
    """The verdict of a fixture under the quick budget; measured once per process."""
    if target not in _verdicts:
        _verdicts[target] = check_sampler(load_subject(target), budget="quick", diagnose=False)
    return _verdicts[target]


def causes(verdict: Verdict) -> tuple[str, ...]:
    """Ids of the checks that fail for a reason of their own, not as a consequence."""
    return tuple(f.id for f in verdict.findings if f.outcome in ("failed", "error") and f.consequence_of is None)


def failing(verdict: Verdict) -> tuple[str, ...]:
    """Ids of all checks that fail or err."""
    return tuple(f.id for f in verdict.findings if f.outcome in ("failed", "error"))


def margin(verdict: Verdict, ids: tuple[str, ...]) -> float:
    """The largest margin among the named checks."""
    return max((f.margin or 0.0 for f in verdict.findings if f.id in ids), default=0.0)


def looks_right(faulty: Faulty, verdict: Verdict) -> bool:
    """Whether the first cause names a line in which the fault is, or two lines of which it is one."""
    file, lines = marked_lines(faulty)
    place = _first_place(verdict)
    if place is None or Path(place.file).resolve() != Path(file).resolve():
        return False
    return not lines.isdisjoint((place.line, place.or_line))


def names_none(verdict: Verdict) -> bool:
    """Whether the first cause names no line at all, which is better than a wrong one."""
    return _first_place(verdict) is None


def _first_place(verdict: Verdict) -> Place | None:
    first = next((f for f in verdict.findings if f.id in causes(verdict)), None)
    return None if first is None else first.place


def counts_right(faulty: Faulty, verdict: Verdict) -> bool:
    """Whether as many causes are told as there are faulty lines.

    That one change of the reference explains all of it is known to the diagnosis alone, as where the model is called
    before its input is noised. It takes long, and is asked only where the count is wrong without it.
    """
    lines = len(marked_lines(faulty)[1])
    if len(causes(verdict)) == lines:
        return True
    if faulty.subject_path not in _diagnosed:
        _diagnosed[faulty.subject_path] = check_sampler(load_subject(faulty.subject_path), budget="quick")
    return len(causes(_diagnosed[faulty.subject_path])) == lines


def rows() -> Iterator[tuple[Faulty, Verdict]]:
    """Every faulty sampler with its verdict."""
    for faulty in (*FAULTY, *FAULTY_SCORE_SDE):
        yield faulty, verdict_of(faulty.subject_path)


def main() -> int:
    """Print the matrix; the exit status tells whether a fault slipped through or a sound sampler was flagged."""
    bad = looked = counted = silent = 0
    every = (*FAULTY, *FAULTY_SCORE_SDE)
    killed: dict[str, int] = {}
    for faulty, verdict in rows():
        hit = [i for i in faulty.expected if i in failing(verdict)]
        for i in failing(verdict):
            killed[i] = killed.get(i, 0) + 1
        mark = "killed  " if hit else "SURVIVED"
        bad += not hit
        made = " (constructed)" if faulty.constructed else ""
        looks, counts = looks_right(faulty, verdict), counts_right(faulty, verdict)
        looked += looks
        counted += counts
        silent += names_none(verdict)
        told = f"{'' if looks else '  look at: not the line'}{'' if counts else f'  causes: {len(causes(verdict))}'}"
        others = [i for i in causes(verdict) if i not in hit]
        sys.stdout.write(
            f"{mark} {faulty.name:48} {', '.join(hit) or '-':34} margin {margin(verdict, tuple(hit)):10.3g}"
            f"{'  also ' + ', '.join(others) if others else ''}{told}{made}\n"
        )
    wrong = len(every) - looked - silent
    sys.stdout.write(f"look at: {looked} right, {silent} none, {wrong} wrong of {len(every)}; ")
    sys.stdout.write(f"causes: counted right in {counted}\n")
    for target in SOUND:
        verdict = verdict_of(target)
        bad += not verdict.conforms
        mark = "passes  " if verdict.conforms else "FLAGGED "
        why = ", ".join(
            f"{f.id} ({f.message.splitlines()[0][:80]})" for f in verdict.findings if f.outcome in ("failed", "error")
        )
        sys.stdout.write(f"{mark} {target.rpartition(':')[2]:48} margin {verdict.margin or 0:6.3f} {why}\n")
    idle = [f.id for f in verdict.findings if f.id not in killed]
    sys.stdout.write(f"checks that fail no faulty sampler: {', '.join(idle) or 'none'}\n")
    return int(bool(bad or idle))


if __name__ == "__main__":
    raise SystemExit(main())
